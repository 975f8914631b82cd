import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { KMS } from '@aws-sdk/client-kms';
import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { dueAt, eventsAt } from '@keyfleet/shared/stored/names';
import { openClusterRecords } from '@keyfleet/test-support/cluster-records';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { RECORDED_WITHIN_MS, recordedEvents } from '@keyfleet/test-support/recorded-events';
import { type SecondFrontend, startSecondFrontend } from '@keyfleet/test-support/second-frontend';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { wrapped } from '@keyfleet/test-support/wrapped';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';

// Each frontend here is killed between a change that it made and the event in its audit log: the log is a FIFO that is
// full, so that the event never gets there.
const region = 'us-east-1';
const PAST = 1_000;

let cluster: TestCluster;
let redis: Redis;
let store: RedisStore;
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ dueWorkEvery: '1s' }));
  redis = resources.adopt(redisOf(cluster), (client) => client.disconnect());
  store = new RedisStore({ ...(await openClusterRecords(cluster, redis, resources)), clock: { now: Date.now } });
});
afterAll(() => resources.disposeAsync());

/** Takes no byte more, while its reader has it open. */
function openFullFifo(path: string): Disposable {
  execFileSync('mkfifo', ['-m', '600', path]);
  const fifo = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(fifo, Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return { [Symbol.dispose]: () => closeSync(fifo) };
}

async function stored(keyId: string): Promise<KmsKey | undefined> {
  return store.findKey(region, keyId);
}

/** As a frontend whose clock is ahead would. */
async function bringForward(keyId: string, change: (key: KmsKey) => Partial<KmsKey>): Promise<void> {
  const key = (await stored(keyId))!;
  await store.updateKey({ ...key, ...change(key) });
}

interface Change {
  readonly eventName: string;
  /** A key that the change may be made to. */
  readonly prepare: (kms: KMS) => Promise<string>;
  /** Has it made by the frontend of `kms`, which is the only one. */
  readonly make: (kms: KMS, keyId: string) => Promise<unknown>;
  readonly isMade: (key: KmsKey | undefined) => boolean;
}

const changes: readonly Change[] = [
  {
    eventName: 'RotateKey',
    prepare: async (kms) => (await kms.createKey({})).KeyMetadata!.KeyId!,
    make: (kms, KeyId) => kms.rotateKeyOnDemand({ KeyId }),
    isMade: (key) => key?.backingKeys.length === 2,
  },
  {
    eventName: 'DeleteExpiredKeyMaterial',
    prepare: async (kms) => {
      const KeyId = (await kms.createKey({ Origin: 'EXTERNAL' })).KeyMetadata!.KeyId!;
      const ValidTo = new Date(Date.now() + 3_600_000);
      await kms.importKeyMaterial({ KeyId, ValidTo, ...(await wrapped(kms, KeyId, randomBytes(32))) });
      return KeyId;
    },
    make: (_kms, keyId) =>
      bringForward(keyId, ({ backingKeys }) => ({
        backingKeys: backingKeys.map((material) => ({ ...material, validTo: PAST })),
      })),
    isMade: (key) => key?.state === 'PendingImport',
  },
  {
    eventName: 'DeleteKey',
    prepare: async (kms) => {
      const KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!;
      await kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
      return KeyId;
    },
    make: (_kms, keyId) => bringForward(keyId, () => ({ deletionDate: PAST })),
    isMade: (key) => key === undefined,
  },
];

const clientOf = ({ endpoint }: { readonly endpoint: string }) =>
  new KMS({ endpoint, credentials: cluster.credentials, region, maxAttempts: 1 });

/** Makes the change through a frontend that is killed before it could record it. */
async function makeAndDie({ eventName, make, isMade }: Change, keyId: string): Promise<void> {
  const auditFile = cluster.home.in('log', `${eventName}.fifo`);
  using _fifo = openFullFifo(auditFile);
  await using frontend: SecondFrontend = await startSecondFrontend(cluster, auditFile);
  const kms = clientOf(frontend);
  await make(kms, keyId);
  await eventually(`${eventName} is made`, async () => isMade(await stored(keyId)));
  await frontend.kill();
  kms.destroy();
  // Or the test shows nothing.
  expect(await redis.hlen(eventsAt(region, keyId))).toBeGreaterThan(0);
}

/** As if the minute had passed for which whoever was killed has its event claimed. */
async function endClaim(keyId: string): Promise<void> {
  await redis.hset(eventsAt(region, keyId), 'claimedUntil', PAST);
  for (const { list, entry } of await dueEntriesOf(keyId)) {
    const [, ...rest] = entry.split('/');
    await redis.zadd(list, 0, [PAST.toString(16).padStart(12, '0'), ...rest].join('/'));
    await redis.zrem(list, entry);
  }
}

/** What frontends have to do with the key at once, or had, but for an entry of a date that is to come. */
async function dueEntriesOf(keyId: string): Promise<{ list: string; entry: string }[]> {
  const lists = await Promise.all(
    Array.from({ length: DUE_SHARDS }, async (_, shard) => {
      const list = dueAt(shard);
      return (await redis.zrange(list, 0, '-1')).map((entry) => ({ list, entry }));
    }),
  );
  const later = (Date.now() + 1_800_000).toString(16).padStart(12, '0');
  return lists.flat().filter(({ entry }) => entry.includes(keyId) && entry < later);
}

/** In the log of the frontend that lives. */
function recordedOf(keyId: string): string[] {
  return recordedEvents(cluster).flatMap((event) => (event.keyId === keyId ? [event.eventName] : []));
}

test('what a frontend did before it was killed, and did not record, another one records, once', async () => {
  const kms = clientOf(cluster);
  const keyIds = await Promise.all(changes.map(({ prepare }) => prepare(kms)));
  kms.destroy();
  await cluster.kill('frontend');
  for (const [index, change] of changes.entries()) await makeAndDie(change, keyIds[index]!);
  for (const keyId of keyIds) await endClaim(keyId);
  await cluster.restart('frontend');
  for (const [index, { eventName }] of changes.entries()) {
    const keyId = keyIds[index]!;
    await eventually(
      `nothing is left to do of ${eventName}`,
      async () =>
        (await redis.exists(eventsAt(region, keyId))) === 0 &&
        (await dueEntriesOf(keyId)).length === 0 &&
        recordedOf(keyId).length > 0,
      RECORDED_WITHIN_MS,
    );
    expect(recordedOf(keyId)).toEqual([eventName]);
  }
}, 400_000);
