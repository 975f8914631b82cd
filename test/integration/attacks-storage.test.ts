import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { type OtherAccount, startOtherAccount } from '@keyfleet/test-support/sdk-other-account';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import type { Redis } from 'ioredis';
import { connect } from 'nats';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

// The attacker writes into Redis and NATS what it likes. What is sealed or signed it cannot change to its use; the rest (policies, key
// states, aliases) is not protected from it, as SECURITY.md says.
let cluster: TestCluster;
let kms: KMSClient;
let redis: Redis;
/** Of the attacker, who has an account here as well. */
let thief: KMSClient;
let other: OtherAccount;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = await startTestCluster();
  other = await startOtherAccount(cluster, resources);
  thief = kmsClient({ ...other, endpoint: cluster.endpoint });
  kms = kmsClient(cluster);
  redis = redisOf(cluster);
});
afterAll(async () => {
  kms?.destroy();
  thief?.destroy();
  redis?.disconnect();
  await resources.disposeAsync();
  await cluster?.[Symbol.asyncDispose]();
});

const Plaintext = Buffer.from('the secret of another');
let logBefore: number;
beforeEach(() => {
  logBefore = logOf('frontend').length;
});

function logOf(name: string): string {
  return readFileSync(cluster.home.in('log', `${name}.log`), 'utf8');
}

/** What the frontend said in this test. */
function said(): string {
  return logOf('frontend').slice(logBefore);
}

const keyAt = (keyId: string): string => `kf:key:{us-east-1/${keyId}}`;

interface Key {
  readonly KeyId: string;
  readonly CiphertextBlob: Uint8Array;
}

async function newKey(): Promise<Key> {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata!.KeyId!;
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));
  return { KeyId, CiphertextBlob: CiphertextBlob! };
}

interface StoredKey {
  readonly backingKeys: readonly { readonly materialId: string; readonly token: string }[];
}

interface StoredAccessKey {
  readonly accountId: string;
  readonly principal: string;
}

/** Changes a record past every check, as its owner would, and waits until the frontend has it. */
async function changeKey(keyId: string, change: (record: StoredKey) => object, owner = kms): Promise<void> {
  const record = JSON.parse((await redis.hget(keyAt(keyId), 'record'))!) as StoredKey;
  const description = randomUUID();
  await redis.hset(keyAt(keyId), 'record', JSON.stringify({ ...record, ...change(record), description }));
  await redis.publish('kf:changes', `key us-east-1/${keyId}`);
  await eventually('the frontend sees the change', async () => {
    const { KeyMetadata } = await owner.send(new DescribeKeyCommand({ KeyId: keyId }));
    return KeyMetadata?.Description === description;
  });
}

async function storedKey(keyId: string): Promise<StoredKey> {
  return JSON.parse((await redis.hget(keyAt(keyId), 'record'))!) as StoredKey;
}

const encrypt = (KeyId: string) => kms.send(new EncryptCommand({ KeyId, Plaintext }));
const decrypt = ({ CiphertextBlob }: Key) => kms.send(new DecryptCommand({ CiphertextBlob }));

async function expectStillServes(): Promise<void> {
  const key = await newKey();
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
}

test("another key's token in a key's record opens nothing, and the log says which command was refused", async () => {
  const [victim, mine] = [await newKey(), await newKey()];
  const stolen = (await storedKey(victim.KeyId)).backingKeys;
  // With and without what the record says of the material.
  for (const change of [
    (): object => ({ backingKeys: stolen }),
    (record: StoredKey): object => ({ backingKeys: [{ ...record.backingKeys[0], token: stolen[0]!.token }] }),
  ]) {
    await changeKey(mine.KeyId, change);
    await expect(encrypt(mine.KeyId)).rejects.toThrow();
    await expect(decrypt(mine)).rejects.toThrow();
  }
  expect(said()).toContain('damaged-token');
  await expectStillServes();
});

test("a key's record made another account's is used by neither account", async () => {
  const key = await newKey();
  const honest = (await redis.hget(keyAt(key.KeyId), 'record'))!;
  const { accountId } = JSON.parse(honest) as { accountId: string };
  await changeKey(key.KeyId, () => JSON.parse(honest.replaceAll(accountId, other.accountId)) as object, thief);
  const encrypting = thief.send(new EncryptCommand({ KeyId: key.KeyId, Plaintext }));
  await expect(encrypting).rejects.toMatchObject({ name: 'KMSInternalException' });
  await expect(thief.send(new DecryptCommand(key))).rejects.toThrow();
  await expect(encrypt(key.KeyId)).rejects.toThrow();
  expect(said()).toContain('damaged-token');
  await changeKey(key.KeyId, () => JSON.parse(honest) as object);
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
});

test('a token with one bit changed opens nothing: our fault in the answer, the key in the log, and a repair is seen at once', async () => {
  const key = await newKey();
  const honest = (await redis.hget(keyAt(key.KeyId), 'record'))!;
  const { token: stored } = (JSON.parse(honest) as StoredKey).backingKeys[0]!;
  // Also in the middle of the id of the domain key, which workers would wait for.
  const ofDomainKey = Buffer.from(stored, 'base64').indexOf(domainKeyIdOf(Buffer.from(stored, 'base64')));
  for (const at of [10, ofDomainKey + 5, 80, -1]) {
    const token = Buffer.from(stored, 'base64');
    token[at < 0 ? token.length + at : at]! ^= 1;
    await changeKey(key.KeyId, ({ backingKeys }) => ({
      backingKeys: [{ ...backingKeys[0], token: token.toString('base64') }],
    }));
    for (const asking of [() => encrypt(key.KeyId), () => decrypt(key)]) {
      const startedAt = performance.now();
      await expect(asking()).rejects.toMatchObject({ name: 'KMSInternalException', $fault: 'server' });
      expect(performance.now() - startedAt).toBeLessThan(2_500);
    }
    expect(said()).toMatch(new RegExp(`the stored material of [^ ]*${key.KeyId} does not open`));
    // By hand, and nobody is told.
    await redis.hset(keyAt(key.KeyId), 'record', honest);
    expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
  }
});

test('an old revision of a record gives the same key or none', async () => {
  const key = await newKey();
  const old = await redis.hgetall(keyAt(key.KeyId));
  await changeKey(key.KeyId, () => ({}));
  await redis.hset(keyAt(key.KeyId), old);
  await redis.publish('kf:changes', `key us-east-1/${key.KeyId}`);
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
});

test.each([
  [
    'principal',
    'cannot-open',
    ({ principal }: StoredAccessKey) => ({ principal: principal.replace('user/', 'user/root-') }),
  ],
  ['account', 'but its principal is', () => ({ accountId: other.accountId })],
] as const)("an access key made another %s's signs nobody in", async (_what, complaint, change) => {
  const at = `kf:access-key:{${cluster.credentials.accessKeyId}}`;
  const honest = (await redis.get(at))!;
  const record = JSON.parse(honest) as StoredAccessKey;
  await redis.set(at, JSON.stringify({ ...record, ...change(record) }));
  // A frontend that has opened the credential before knows it for a while: one that starts now looks.
  await cluster.kill('frontend');
  logBefore = logOf('frontend').length;
  await cluster.restart('frontend');
  await expect(newKey()).rejects.toThrow();
  expect(said()).toContain(complaint);
  await redis.set(at, honest);
  await eventually('the honest record signs in again', async () => (await newKey()).KeyId !== '');
});

test('forged and flooded notices change nothing', async () => {
  const { home, ports } = cluster;
  const nats = await connect({ servers: `127.0.0.1:${ports.nats}`, token: home.secret('nats-token') });
  const forged = [{ generation: 999 }, { generation: -1 }, 'noise', {}];
  for (let i = 0; i < 20_000; i++) {
    nats.publish('keyfleet.domain.token', JSON.stringify(forged[i % forged.length]));
    nats.publish('keyfleet.domain.proposal', 'noise');
    nats.publish('keyfleet.reseal.shard.0', JSON.stringify({ generation: 999, pass: 1, shard: i, shards: 1 }));
    if (i % 2_000 === 0) await expectStillServes();
  }
  await nats.drain();
  await expectStillServes();
});
