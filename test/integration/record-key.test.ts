import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EnableKeyCommand,
  type KMSClient,
  DisableKeyCommand,
} from '@aws-sdk/client-kms';
import { pagesOfRecords, type Records } from '@keyfleet/cli/records';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { StoreUnavailableError } from '@keyfleet/frontend/store/store';
import { newAccessKey } from '@keyfleet/frontend/store/store.contract';
import { splitMac } from '@keyfleet/frontend/store/record-mac';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { openClusterRecords } from '@keyfleet/test-support/cluster-records';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';

let cluster: TestCluster;
let kms: KMSClient;
let redis: Redis;
let records: Records;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = resources.use(await startTestCluster());
  kms = resources.adopt(kmsClient(cluster), (client) => client.destroy());
  redis = resources.adopt(redisOf(cluster), (client) => client.disconnect());
  records = await openClusterRecords(cluster, redis, resources);
});
afterAll(() => resources.disposeAsync());

/** How many records are under which record key. */
async function census(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const page of pagesOfRecords(redis, records.calls)) {
    for (const { stored } of page.records) {
      const number = String(splitMac(stored)?.keyNumber);
      counts[number] = (counts[number] ?? 0) + 1;
    }
  }
  return counts;
}

const newKey = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
const stateOf = async (KeyId: string) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState;
const storedKeys = async () =>
  (await redis.keys('kf:secret:{record-key-*')).map((name) => Number(/\d+/.exec(name)?.[0])).toSorted((a, b) => a - b);
/** The domain has had no other domain key, unless a test says otherwise. */
const rotateFrom = (newest: number, ...options: readonly string[]) =>
  runKeyfleet('store', 'rotate-record-key', '--newest', `${newest}`, '--made-in', '1', ...everything(), ...options);
const rotate = async (...options: readonly string[]) => rotateFrom((await storedKeys()).at(-1)!, ...options);

test('records get a new key while customers write, and nothing under the old one is believed afterwards', async () => {
  const KeyId = await newKey();
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/mine', TargetKeyId: KeyId }));
  const place = [`kf:key:{us-east-1/${KeyId}}`, 'record'] as const;
  const enabled = (await redis.hget(...place))!;
  const sealed = (await redis.getBuffer('kf:secret:{record-key-1}'))!;
  await kms.send(new DisableKeyCommand({ KeyId }));
  expect(Object.keys(await census())).toEqual(['1']);

  const rotating = rotate();
  const made: string[] = [];
  let isOver = false;
  const over = rotating.finally(() => (isOver = true));
  while (!isOver) made.push(await newKey());
  const { exitCode, out } = await over;
  expect(out).toMatch(/^\d+ records were put under record key 2, made in generation 1; there is no other.$/);
  expect(exitCode).toBe(0);

  expect(Object.keys(await census())).toEqual(['2']);
  expect(await redis.exists('kf:secret:{record-key-1}')).toBe(0);
  await cluster.kill('frontend');
  await cluster.restart('frontend');
  expect(await stateOf(made.at(-1)!)).toBe('Enabled');
  expect(await stateOf('alias/mine')).toBe('Disabled');

  // Somebody who writes Redis puts back what was dropped, and spoils a record.
  await redis.set('kf:secret:{record-key-1}', sealed);
  await redis.set('kf:record-keys', 1);
  await redis.hset(place[0], place[1], enabled);
  const spoilt = `kf:key:{us-east-1/${made.at(-1)}}`;
  await redis.hset(spoilt, 'record', (await redis.hget(spoilt, 'record'))!.replace('"Enabled"', '"Disabled"'));
  const early = `kf:key:{us-east-1/${made[0]}}`;
  await redis.hset(early, 'record', (await redis.hget(early, 'record'))!.replace('"mac":"2.', '"mac":"3.'));
  await redis.publish('kf:changes', `key us-east-1/${KeyId}`);
  // Once the notice has arrived.
  await expect.poll(() => stateOf(KeyId).catch(() => 'refused')).toBe('refused');
  const named = `1 under record key 1, such as ${place[0]} record, and the newest was 2`;
  const { out: unwell } = await runKeyfleet('doctor', '--deep', ...everything());
  expect(unwell).toContain(named);
  expect(unwell).toContain(`${spoilt} record is not`);
  const stopped = await rotate();
  expect(stopped.exitCode).toBe(1);
  expect(stopped.out).toMatch(
    /^\d+ records were put under record key 3, made in generation 1, but 3 were refused, so no older record key was/,
  );
  for (const one of [spoilt, early]) expect(stopped.out).toContain(`${one} record is not authentic`);
  expect(stopped.out).toContain(named);
  expect(await redis.exists('kf:secret:{record-key-2}')).toBe(1);
  for (const one of [place[0], spoilt, early]) await redis.del(one);
  expect((await rotate()).out).toMatch(
    /^\d+ records were put under record key 4, made in generation 1; there is no other.$/,
  );
  expect(await redis.keys('kf:secret:{record-key-*')).toEqual(['kf:secret:{record-key-4}']);
});

test('a write that was held up on its way until its record key was dropped is refused, and the record stays whole', async () => {
  const KeyId = await newKey();
  const sending = Promise.withResolvers<void>();
  const guard = { assertOurs: () => sending.promise, wrote: () => {} };
  const slow = new RedisStore({
    calls: new RedisCalls({ client: redis, writes: writesOf(redis), guard }),
    macs: (await openClusterRecords(cluster, redis, resources)).macs,
    clock: { now: Date.now },
  });
  const store = new RedisStore({ ...records, clock: { now: Date.now } });
  const found = (await store.findKey('us-east-1', KeyId))!;
  const [late, lateNew] = [
    slow.updateKey({ ...found, description: 'late' }),
    slow.insertAccessKey(newAccessKey('AKIALATE', '111122223333')),
  ];
  expect((await rotate()).exitCode).toBe(0);
  sending.resolve();
  await Promise.all([late, lateNew].map((one) => expect(one).rejects.toThrow(StoreUnavailableError)));
  expect(await store.findKey('us-east-1', KeyId)).toEqual(found);
  expect(Object.keys(await census())).toHaveLength(1);
  await slow.updateKey({ ...found, description: 'again' });
  expect((await store.findKey('us-east-1', KeyId))?.description).toBe('again');
});

test('a rotation that was cut off is finished under a further key when the operator says so', async () => {
  const KeyId = await newKey();
  await kms.send(new DisableKeyCommand({ KeyId }));
  const before = Number(Object.keys(await census())[0]);
  const { number: cutOff } = await records.keys.makeNext();
  await kms.send(new EnableKeyCommand({ KeyId }));
  const done = await rotate('--interrupted', String(cutOff));
  expect(done.out).toContain(`under record key ${before + 2}, made in generation 1; there is no other.`);
  expect(Object.keys(await census())).toEqual([String(before + 2)]);
  expect(await stateOf(KeyId)).toBe('Enabled');
});

test('whoever hides in Redis where record keys begin misleads no command line', async () => {
  const oldest = (await redis.get('kf:record-keys'))!;
  await redis.del('kf:record-keys');
  const { out } = await runKeyfleet('doctor', ...everything());
  expect(out).toContain('record key 1 should be the oldest and is missing');
  expect((await rotate()).out).toContain(
    `under record key ${Number(oldest) + 1}, made in generation 1; there is no other`,
  );
  expect(await redis.get('kf:record-keys')).toBe(`${Number(oldest) + 1}`);
});

test('a record key that somebody puts in the place of the newest is not taken for it', async () => {
  const [newest] = await storedKeys();
  const place = (number: number) => `kf:secret:{record-key-${number}}`;
  const token = (await redis.getBuffer(place(newest!)))!;
  // One that was dropped, in place of the newest; and one that was made in advance.
  for (const other of [newest! - 1, newest! + 1]) {
    await redis.rename(place(newest!), place(other));
    await redis.set('kf:record-keys', other);
    const { exitCode, notes } = await rotateFrom(newest!);
    expect(exitCode).toBe(1);
    expect(notes).toContain(`in Redis there is no record key ${newest} that was made in generation 1`);
    expect(await storedKeys()).toEqual([other]);
    await redis.rename(place(other), place(newest!));
  }
  await redis.set('kf:record-keys', newest!);
  expect(await redis.getBuffer(place(newest!))).toEqual(token);
  // One of the same number that was made at another time.
  const other = await rotateFrom(newest!, '--made-in', '2');
  expect(other.exitCode).toBe(1);
  expect(other.notes).toContain(`in Redis there is no record key ${newest} that was made in generation 2`);
  const unknown = await rotateFrom(newest!, '--made-in', '0');
  expect(unknown.exitCode).toBe(2);
  expect(unknown.notes).toContain('--made-in: 0 is for a record key of the first releases alone');
  expect(await storedKeys()).toEqual([newest]);
  expect((await rotate()).exitCode).toBe(0);
});

test('a value of another type or too long ends no verb that reads all records, and is named', async () => {
  await newKey();
  const [noHash, long] = ['kf:aliases:{999999999999/nowhere}', 'kf:access-key:{AKIALONG}'];
  await redis.set(noHash, 'x');
  await redis.set(long, 'x'.repeat(2 ** 21));
  const before = (await storedKeys()).at(-1)!;
  const first = await rotate();
  expect(first.exitCode).toBe(1);
  for (const part of [`${noHash} is a string, and should be a hash`, `${long} has 2097152 bytes`])
    expect(first.out).toContain(part);
  expect(Object.keys(await census())).toEqual([`${before + 1}`]);
  const deep = (await runKeyfleet('doctor', '--deep', '--census', ...everything())).out;
  expect(deep).toMatch(/NOT WELL +records: .*kf:aliases:\{999999999999\/nowhere\} is a string/);
  expect(deep).toMatch(/NOT WELL +domain keys: 1 values are damaged \(kf:access-key:\{AKIALONG\}\)/);
  expect(deep).toMatch(/NOT WELL +stored material: .*kf:access-key:\{AKIALONG\} has 2097152 bytes/);
  await redis.unlink(noHash, long);
  expect((await rotate()).exitCode).toBe(0);
  expect(await storedKeys()).toEqual([before + 2]);
});

test.each(['999999999', 'rubbish', ['a list']])(
  'a fence that somebody put up, %j, keeps no record key from being replaced',
  async (fence) => {
    const place = 'kf:record-fence:{0}';
    await redis.del(place);
    await (typeof fence === 'string' ? redis.set(place, fence) : redis.rpush(place, ...fence));
    const once = kmsClient(cluster, { maxAttempts: 1 });
    const made = await once.send(new CreateKeyCommand({})).then(
      () => 'made',
      (error: Error) => error.name,
    );
    once.destroy();
    expect(made).toBe(fence === '999999999' ? 'DependencyTimeoutException' : 'made');
    const { out } = await runKeyfleet('doctor', ...everything());
    expect(out).toMatch(
      /NOT WELL +record key: kf:record-fence:\{0\} is .* no frontend can write a record. Somebody put that there/,
    );
    expect((await rotate()).exitCode).toBe(0);
    expect(await redis.get(place)).toBe(`${(await storedKeys()).at(-1)}`);
    expect(await newKey()).toBeDefined();
  },
);

/** Where all is, for the command line. */
function everything(): string[] {
  const { host, domain, redis } = cliOptionsOf(cluster);
  return [...host, ...domain, ...redis];
}
