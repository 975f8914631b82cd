import { openClusterKeys } from '@keyfleet/test-support/cluster-records';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GetKeyRotationStatusCommand,
  type KMSClient,
  ListAliasesCommand,
  ListKeyRotationsCommand,
  NotFoundException,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import type { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { DUE_SHARDS, dueQueue } from '@keyfleet/shared/due-queue';
import { startNotices } from '@keyfleet/shared/notices';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { keyAt } from '@keyfleet/shared/stored/names';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { RECORDED_WITHIN_MS, recordedEvents } from '@keyfleet/test-support/recorded-events';
import { startSecondFrontend } from '@keyfleet/test-support/second-frontend';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

// A date is brought forward by writing the key's record through the store, as a frontend whose clock is ahead would.
const region = 'us-east-1';
const PAST = 1_000;

let cluster: TestCluster;
let kms: KMSClient;
let redis: RedisClient;
let store: RedisStore;
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  cluster = await startTestCluster({ dueWorkEvery: '1s' });
  kms = kmsClient(cluster);
  ({ redis, store } = await openClusterKeys(cluster, resources));
});

afterAll(async () => {
  kms?.destroy();
  await resources.disposeAsync();
  await cluster?.[Symbol.asyncDispose]();
});

async function createKey(): Promise<string> {
  return (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
}

async function encrypt(KeyId: string): Promise<Uint8Array> {
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from(KeyId) }));
  return CiphertextBlob ?? new Uint8Array();
}

async function decrypt(CiphertextBlob: Uint8Array): Promise<string> {
  const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob }));
  return Buffer.from(Plaintext ?? []).toString();
}

async function stateOf(KeyId: string): Promise<string | undefined> {
  try {
    return (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState;
  } catch (error) {
    if (error instanceof NotFoundException) return 'gone';
    throw error;
  }
}

async function aliasNames(): Promise<string[]> {
  const { Aliases = [] } = await kms.send(new ListAliasesCommand({}));
  return Aliases.map(({ AliasName }) => AliasName ?? '');
}

async function rotationsOf(KeyId: string) {
  return (await kms.send(new ListKeyRotationsCommand({ KeyId }))).Rotations ?? [];
}

async function bringForward(keyId: string, change: (key: KmsKey) => Partial<KmsKey>): Promise<void> {
  const key = await store.findKey(region, keyId);
  if (key === undefined) throw new Error(`no key ${keyId}`);
  await store.updateKey({ ...key, ...change(key) });
}

const deletionIsDue = (keyId: string) => bringForward(keyId, () => ({ deletionDate: PAST }));
const rotationIsDue = (keyId: string) =>
  bringForward(keyId, () => ({ automaticRotation: { periodInDays: 365, nextDate: PAST } }));

/** Names in Redis that have to do with a key, whatever they hold. */
async function tracesOf(keyId: string): Promise<string[]> {
  const traces: string[] = [];
  for (const name of await redis.keys('*')) {
    const isSet = (await redis.type(name)) === 'zset';
    const members = isSet ? await redis.zrange(name, 0, '-1') : [];
    if (name.includes(keyId) || members.some((member) => member.includes(keyId))) traces.push(name);
  }
  return traces;
}

/** The keys that an event of this kind is recorded of, one for each event. */
function serviceEvents(eventName: string, files?: readonly string[]): string[] {
  return recordedEvents(cluster, files).flatMap((event) => (event.eventName === eventName ? [event.keyId] : []));
}

test('a deletion that is cancelled leaves the key disabled, and then as it was', async () => {
  const KeyId = await createKey();
  const ciphertext = await encrypt(KeyId);
  const scheduled = await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  expect(scheduled).toMatchObject({ KeyState: 'PendingDeletion', PendingWindowInDays: 7 });
  await expect(decrypt(ciphertext)).rejects.toThrow('is pending deletion.');
  await kms.send(new CancelKeyDeletionCommand({ KeyId }));
  expect(await stateOf(KeyId)).toBe('Disabled');
  await kms.send(new EnableKeyCommand({ KeyId }));
  expect(await decrypt(ciphertext)).toBe(KeyId);
});

test('a key whose date has come is gone, with its aliases and every trace of it', async () => {
  const KeyId = await createKey();
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/doomed', TargetKeyId: KeyId }));
  const ciphertext = await encrypt(KeyId);
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  expect(await tracesOf(KeyId)).not.toEqual([]);
  await deletionIsDue(KeyId);
  await eventually('the key is deleted', async () => (await stateOf(KeyId)) === 'gone');
  await expect(decrypt(ciphertext)).rejects.toThrow('does not exist');
  expect(await aliasNames()).not.toContain('alias/doomed');
  const onlyEntriesAreLeft = async () => {
    const traces = await tracesOf(KeyId);
    // The entry of the date that was brought forward stays till that day, and means nothing.
    return traces.every((name) => name.startsWith('kf:due:'));
  };
  await eventually('its entries are removed', onlyEntriesAreLeft, RECORDED_WITHIN_MS);
  await eventually('it is recorded', () => serviceEvents('DeleteKey').includes(KeyId));
});

test('deletions that the frontend, the domain-manager and NATS were killed in are finished after their restart', async () => {
  const ids = await Promise.all(Array.from({ length: 300 }, createKey));
  const named = ids.slice(0, 30);
  await Promise.all(
    named.map((TargetKeyId) => kms.send(new CreateAliasCommand({ AliasName: `alias/${TargetKeyId}`, TargetKeyId }))),
  );
  await Promise.all(ids.map((KeyId) => kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }))));
  await Promise.all(ids.map(deletionIsDue));
  const remaining = async () => (await Promise.all(ids.map((id) => store.findKey(region, id)))).filter(Boolean).length;
  // In one command: while each of them is looked for, many are deleted.
  const present = () => redis.exists(ids.map((id) => keyAt(region, id)));
  while ((await present()) === ids.length) await delay(5);
  const killed = ['frontend', 'domain-manager', 'nats'];
  await cluster.kill(...killed);
  expect(await remaining()).toBeGreaterThan(0);
  await cluster.restart(...killed);
  await eventually('all are deleted', async () => (await remaining()) === 0, 60_000);
  await eventually('no alias is left', async () => {
    const names = await aliasNames();
    return named.every((id) => !names.includes(`alias/${id}`));
  });
});

test('keys rotate on their date, once, whoever comes to them, and every older ciphertext opens', async () => {
  await using _frontend = await startSecondFrontend(cluster, cluster.home.in('log', 'audit-2.log'));
  const ids = await Promise.all(Array.from({ length: 60 }, createKey));
  await Promise.all(ids.map((KeyId) => kms.send(new EnableKeyRotationCommand({ KeyId }))));
  const ciphertexts = await Promise.all(ids.map(encrypt));
  await Promise.all(ids.map(rotationIsDue));

  await using notices = startNotices({
    nats: {
      servers: [`127.0.0.1:${cluster.ports.nats}`],
      username: 'domain-manager',
      passwordFile: cluster.home.natsPasswordFile('domain-manager'),
    },
    name: 'test',
  });
  const items = Array.from({ length: DUE_SHARDS }, (_, shard) => ({ shard }));
  // Items without end, many at once for the same shard: both frontends come to the same keys at the same time.
  const asking = new AbortController();
  const asked = (async () => {
    for (let i = 0; !asking.signal.aborted; i++) {
      await dueQueue.publish(notices, items, { idOf: ({ shard }) => `test/${i}/${shard}`, onProblem: () => {} });
      await delay(5);
    }
  })();
  const rotated = async () => (await Promise.all(ids.map(rotationsOf))).filter(({ length }) => length > 0).length;
  await eventually('all keys have rotated', async () => (await rotated()) === ids.length, 60_000);
  asking.abort();
  await asked;

  for (const [i, KeyId] of ids.entries()) {
    const rotations = await rotationsOf(KeyId);
    expect(rotations).toMatchObject([{ RotationType: 'AUTOMATIC', KeyMaterialState: 'CURRENT' }]);
    expect(await decrypt(ciphertexts[i]!)).toBe(KeyId);
    expect(await decrypt(await encrypt(KeyId))).toBe(KeyId);
    const { NextRotationDate } = await kms.send(new GetKeyRotationStatusCommand({ KeyId }));
    expect(NextRotationDate?.getTime()).toBeGreaterThan(Date.now());
  }
  const areRecorded = () => {
    const recorded = serviceEvents('RotateKey', ['audit.log', 'audit-2.log']);
    return ids.every((id) => recorded.filter((one) => one === id).length === 1);
  };
  await eventually('each rotation is recorded', areRecorded, RECORDED_WITHIN_MS);
  // Both took part, or the test shows nothing.
  expect(serviceEvents('RotateKey', ['audit-2.log'])).not.toEqual([]);
});

test('a rotation on demand takes effect at once, through a restart of everything', async () => {
  const KeyId = await createKey();
  const ciphertexts = [await encrypt(KeyId)];
  for (let i = 0; i < 2; i++) {
    await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    ciphertexts.push(await encrypt(KeyId));
  }
  await cluster.kill(...cluster.names);
  await cluster.restart(...cluster.names);
  await eventually('the frontend serves', () => encrypt(KeyId).then(Boolean, () => false));
  for (const ciphertext of ciphertexts) expect(await decrypt(ciphertext)).toBe(KeyId);
  expect(await rotationsOf(KeyId)).toHaveLength(2);
});

test('a backup that is restored deletes no key for a week, also where the deletion was cancelled since', async () => {
  const [KeyId, uncancelled] = [await createKey(), await createKey()];
  const ciphertext = await encrypt(KeyId);
  for (const id of [KeyId, uncancelled]) {
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays: 7 }));
    await store.updateKey({ ...(await store.findKey(region, id))!, deletionDate: Date.now() + 4_000 });
  }
  const { redis: at, signer } = cliOptionsOf(cluster);
  const file = cluster.home.in('pending.backup');
  expect(await runKeyfleet('backup', ...at, '--out', file)).toMatchObject({ exitCode: 0 });
  await kms.send(new CancelKeyDeletionCommand({ KeyId }));
  await kms.send(new EnableKeyCommand({ KeyId }));
  await eventually('the other key is deleted', async () => (await stateOf(uncancelled)) === 'gone', 20_000);
  await cluster.kill('frontend');
  await redis.flushall();
  const { exitCode, out } = await runKeyfleet('restore', file, ...at);
  expect(exitCode).toBe(0);
  expect(out).toMatch(/^2 keys are pending deletion, with these dates\. Frontends delete no key before 20\d\d-/m);
  for (const id of [KeyId, uncancelled]) expect(out).toContain(`${region}/${id} of account `);
  const anchor = ['--trust-anchor', cluster.home.trustAnchorFile];
  expect(await runKeyfleet('store', 'accept', ...signer, ...anchor, ...at)).toMatchObject({ exitCode: 0 });
  await cluster.restart('frontend');
  await eventually('its deletion has another date', async () => {
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: uncancelled }));
    return KeyMetadata!.DeletionDate!.getTime() > Date.now() + 6 * 86_400_000;
  });
  await kms.send(new CancelKeyDeletionCommand({ KeyId }));
  await kms.send(new EnableKeyCommand({ KeyId }));
  expect(await decrypt(ciphertext)).toBe(KeyId);
});
