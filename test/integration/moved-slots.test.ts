import { takeBackup } from '@keyfleet/cli/backup/take';
import { Progress } from '@keyfleet/cli/progress';
import { pagesOfAllNames } from '@keyfleet/cli/redis-option';
import { rotateRecordKey } from '@keyfleet/cli/rotate-record-key';
import { countTokens } from '@keyfleet/cli/sealed-census';
import { RedisStore as ManagerStore } from '@keyfleet/domain-manager/store/redis-store';
import { RedisParts } from '@keyfleet/frontend/background/reseal-parts';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { RedisStore } from '@keyfleet/frontend/store/redis-store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { nodesInOrder } from '@keyfleet/shared/redis/nodes';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { connectTestRedis, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { type RedisCluster, reshard, startRedisCluster } from '@keyfleet/test-support/redis-cluster';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const KEYS = 300;
const MOVED = /slots of the Redis Cluster moved, so that names may have been missed: begin anew/;
const MOVING = /slots of the Redis Cluster are being moved/;

const resources = new AsyncDisposableStack();
let cluster: RedisCluster;
let client: RedisClient;
beforeAll(async () => {
  cluster = await startRedisCluster(3, 0, resources);
  client = resources.use(await connectTestRedis(cluster.url, PATIENCE_MS));
});
afterAll(() => resources.disposeAsync());

const progress = new Progress({ note: () => {} });
const hsm = new FakeHsm();
const domain = new FakeDomain();
const clock = { now: Date.now };

function open() {
  const calls = new RedisCalls({ client, writes: writesOf(client) });
  const secrets = new RedisFleetSecrets(calls);
  const keys = new FleetRecordKeys({ secrets, hsm, domain, clock });
  const macs = new RecordMacs(keys);
  return { calls, secrets, keys, macs, store: new RedisStore({ calls, macs, clock }) };
}

/** From the node that a pass looks at last to the one that it looks at first. */
async function moveSlots(): Promise<void> {
  const ports = nodesInOrder(client).map(({ options }) => options.port);
  const at = (port: number | undefined) => cluster.masters.find((master) => master.port === port)!;
  await reshard(at(ports.at(-1)), at(ports[0]), 500);
}

/** Calls `method`, the first time once slots have moved. */
function movingBefore<Args extends unknown[], Result>(
  method: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  let moved: Promise<void> | undefined;
  return async (...args) => {
    await (moved ??= moveSlots());
    return method(...args);
  };
}

test('rotate-record-key drops no record key if slots moved meanwhile, and every record is believed after another run', async () => {
  const { store, calls, secrets, keys, macs } = open();
  const made = Array.from({ length: KEYS }, () => newKey());
  await Promise.all(made.map((key) => store.insertKey(key)));

  const moving = { calls, secrets, keys, macs: new RecordMacs(keys) };
  moving.macs.verified = movingBefore((...record) => macs.verified(...record));
  const cutOff = rotateRecordKey(client, moving, progress, {
    known: { number: 1, madeIn: 1 },
    interrupted: undefined,
  });
  await expect(cutOff).rejects.toThrow(MOVED);
  await expect(cutOff).rejects.toThrow(/--newest 2 --made-in 1 --interrupted 2\. No older record key was dropped\.$/);
  const believed = async () => {
    const { store: later } = open();
    return (await Promise.all(made.map(({ region, keyId }) => later.findKey(region, keyId)))).filter(Boolean).length;
  };
  expect(await believed()).toBe(KEYS);

  const again = { known: { number: 2, madeIn: 1 }, interrupted: 2 };
  expect(await rotateRecordKey(client, open(), progress, again)).toMatchObject({ newest: 3, refused: [] });
  const left = await Promise.all([1, 2, 3].map((key) => client.exists(`kf:secret:{record-key-${key}}`)));
  expect(left).toEqual([0, 0, 1]);
  expect(await believed()).toBe(KEYS);
}, 60_000);

test('rotate-record-key drops no record key if a second look finds a record under an older one', async () => {
  const { calls, secrets, keys } = open();
  const seen: Parameters<RecordMacs['verified']>[] = [];
  const [genuine, macs] = [new RecordMacs(keys), new RecordMacs(keys)];
  macs.verified = async (...args) => {
    const [{ name, field }, stored] = seen[0] ?? args;
    // Whoever writes to Redis puts back what was done already.
    if (seen.push(args) === KEYS) await client.hset(name, field!, String(stored));
    return genuine.verified(...args);
  };
  const options = { known: { number: 3, madeIn: 1 }, interrupted: undefined };
  const cutOff = rotateRecordKey(client, { calls, secrets, keys, macs }, progress, options);
  await expect(cutOff).rejects.toThrow(
    /^a second look found records that are not under record key 4 \(1\): begin anew, with/,
  );
  expect(await client.exists('kf:secret:{record-key-3}')).toBe(1);
}, 60_000);

test('who goes over all names is told if slots moved meanwhile, and goes over none while some are being moved', async () => {
  const pages = pagesOfAllNames(client);
  await pages.next();
  await moveSlots();
  await expect(Array.fromAsync(pages)).rejects.toThrow(MOVED);
  await countTokens(client, progress);

  const [giver, taker] = nodesInOrder(client);
  const [own] = /\b\d+(?=-\d+$)/m.exec(String(await giver!.call('CLUSTER', 'NODES')).split('\n').find((line) => line.includes('myself'))!)!; // prettier-ignore
  await taker!.call('CLUSTER', 'SETSLOT', own, 'IMPORTING', String(await giver!.cluster('MYID')));
  await expect(countTokens(client, progress)).rejects.toThrow(MOVING);
  await taker!.call('CLUSTER', 'SETSLOT', own, 'STABLE');
  await countTokens(client, progress);
}, 60_000);

test('a backup during which slots moved is none', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-moved-'));
  const path = join(directory.path, 'a.backup');
  const sift = movingBefore(async <Piece>(piece: Piece) => piece);
  await expect(takeBackup(client, { path, resume: false, progress, sift })).rejects.toThrow(MOVED);
  await expect(takeBackup(client, { path, resume: true, progress })).rejects.toThrow();
}, 60_000);

test('a pass of resealing during which slots moved ends, and proves nothing', async () => {
  const identity = { domain: 'test', storeId: () => 'x', operators: () => [] };
  const manager = new ManagerStore(writesOf(client), clock, identity);
  await manager.startPass(2, { pass: 1, shards: 1, startedAt: 1 });
  const shard = (await new RedisParts(client, 'test').open({ generation: 2, pass: 1, shard: 0, shards: 1 }))!;
  expect(await shard.next({ resealed: 0, remaining: 0 })).not.toEqual([]);
  await moveSlots();
  expect(await shard.next({ resealed: 0, remaining: 0 })).toBeUndefined();
  expect((await manager.findReseal(2))?.reports.get(0)).toMatchObject({ remaining: 1, standing: 'done' });
}, 60_000);
