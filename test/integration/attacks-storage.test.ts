import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  DisableKeyCommand,
  GetKeyPolicyCommand,
  type KMSClient,
  ListGrantsCommand,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { type OtherAccount, startOtherAccount } from '@keyfleet/test-support/sdk-other-account';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { CreateUserCommand, GetUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { pagesOfRecords } from '@keyfleet/cli/records';
import type { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import type { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import type { Redis } from 'ioredis';
import { connect } from 'nats';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openClusterRecords } from '@keyfleet/test-support/cluster-records';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';

// The attacker writes into Redis and NATS what it likes. What it writes is refused. Who has the record key as well, as
// a frontend has, still cannot change what is sealed or signed to its use.
let cluster: TestCluster;
let kms: KMSClient;
let redis: Redis;
let macs: RecordMacs;
let calls: RedisCalls;
/** Of the attacker, who has an account here as well. */
let thief: KMSClient;
let iam: IAMClient;
let other: OtherAccount;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = await startTestCluster();
  other = await startOtherAccount(cluster, resources);
  thief = kmsClient({ ...other, endpoint: cluster.endpoint });
  kms = kmsClient(cluster);
  const { endpoint, credentials } = cluster;
  iam = new IAMClient({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
  redis = redisOf(cluster);
  ({ macs, calls } = await openClusterRecords(cluster, redis, resources));
});
afterAll(async () => {
  kms?.destroy();
  thief?.destroy();
  iam?.destroy();
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

/** What a record says, without its MAC. */
function parseStored<T>(stored: string): T {
  const { mac: _, ...record } = JSON.parse(stored) as T & { mac: string };
  return record as T;
}

/** Changes a record as who has the record key would, and waits until the frontend has it. */
async function changeKey(keyId: string, change: (record: StoredKey) => object, owner = kms): Promise<void> {
  const record = await storedKey(keyId);
  const description = randomUUID();
  const place = { name: keyAt(keyId), field: 'record' };
  const changed = JSON.stringify({ ...record, ...change(record), description });
  await redis.hset(place.name, place.field, (await macs.withMac(place, changed)).text);
  await redis.publish('kf:changes', `key us-east-1/${keyId}`);
  await eventually('the frontend sees the change', async () => {
    const { KeyMetadata } = await owner.send(new DescribeKeyCommand({ KeyId: keyId }));
    return KeyMetadata?.Description === description;
  });
}

async function storedKey(keyId: string): Promise<StoredKey> {
  return parseStored<StoredKey>((await redis.hget(keyAt(keyId), 'record'))!);
}

const encrypt = (KeyId: string) => kms.send(new EncryptCommand({ KeyId, Plaintext }));
const decrypt = ({ CiphertextBlob }: Key) => kms.send(new DecryptCommand({ CiphertextBlob }));

async function expectStillServes(): Promise<void> {
  const key = await newKey();
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
}

test('records of a release that made no MACs are used once an operator has said that they are as they shall be', async () => {
  const key = await newKey();
  await cluster.kill('frontend');
  let stripped = 0;
  for await (const page of pagesOfRecords(redis, calls)) {
    for (const record of page.records) {
      await record.replace({ text: JSON.stringify(parseStored(record.stored)), keyNumber: 1 });
      stripped++;
    }
  }
  expect(stripped).toBeGreaterThan(3);
  const { exitCode, out, notes } = await runKeyfleet('store', 'authenticate', ...everything());
  expect([exitCode, out, notes]).toEqual([0, `${stripped} records were given a MAC, 0 had theirs.`, '']);
  await cluster.restart('frontend');
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
  expect((await runKeyfleet('doctor', '--deep', ...everything())).out).toMatch(/well +records: all \d+ are authentic/);
});

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
  const { accountId } = parseStored<{ accountId: string }>(honest);
  await changeKey(key.KeyId, () => parseStored<object>(honest.replaceAll(accountId, other.accountId)), thief);
  const encrypting = thief.send(new EncryptCommand({ KeyId: key.KeyId, Plaintext }));
  await expect(encrypting).rejects.toMatchObject({ name: 'KMSInternalException' });
  await expect(thief.send(new DecryptCommand(key))).rejects.toThrow();
  await expect(encrypt(key.KeyId)).rejects.toThrow();
  expect(said()).toContain('damaged-token');
  await changeKey(key.KeyId, () => parseStored<object>(honest));
  expect(Buffer.from((await decrypt(key)).Plaintext!)).toEqual(Plaintext);
});

test('a token with one bit changed opens nothing: our fault in the answer, the key in the log, and a repair is seen at once', async () => {
  const key = await newKey();
  const honest = (await redis.hget(keyAt(key.KeyId), 'record'))!;
  const { token: stored } = parseStored<StoredKey>(honest).backingKeys[0]!;
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
  const record = parseStored<StoredAccessKey>(honest);
  const changed = await macs.withMac({ name: at }, JSON.stringify({ ...record, ...change(record) }));
  await redis.set(at, changed.text);
  await forgetCredentials();
  await expect(newKey()).rejects.toThrow();
  expect(said()).toContain(complaint);
  await redis.set(at, honest);
  await forgetCredentials();
  await eventually('the honest record signs in again', async () => (await newKey()).KeyId !== '');
});

/** A frontend that has found the record of an access key knows it for a minute: one that starts now looks. */
async function forgetCredentials(): Promise<void> {
  await cluster.kill('frontend');
  logBefore = logOf('frontend').length;
  await cluster.restart('frontend');
}

interface Forged {
  /** The value in Redis, and its field in a hash. */
  readonly at: readonly [name: string, field: string];
  /** What the attacker writes. */
  readonly to: (honest: string) => string;
  /** What is announced, so that no cache hides it. */
  readonly change: string;
  /** A request that would believe it. */
  readonly ask: () => Promise<unknown>;
  /** Default: it is a fault. */
  readonly isRefused?: () => Promise<boolean>;
}

const forgeries: Readonly<Record<string, () => Promise<Forged>>> = {
  async 'a key policy that is wider'() {
    const { KeyId } = await newKey();
    const Statement = [{ Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' }];
    const wider = JSON.stringify({ Version: '2012-10-17', Statement });
    return {
      // Without a policy in its record a key has the default one.
      ...keyForgery(KeyId, (honest) =>
        honest.replace('"backingKeys"', `"policy":${JSON.stringify(wider)},"backingKeys"`),
      ),
      ask: () => kms.send(new GetKeyPolicyCommand({ KeyId })),
    };
  },
  async 'a disabled key that is enabled'() {
    const { KeyId } = await newKey();
    await kms.send(new DisableKeyCommand({ KeyId }));
    const enabled = (honest: string) => honest.replace('"Disabled"', '"Enabled"');
    return { ...keyForgery(KeyId, enabled), ask: () => encrypt(KeyId) };
  },
  async 'a record without its MAC'() {
    const { KeyId } = await newKey();
    return { ...keyForgery(KeyId, (honest) => JSON.stringify(parseStored(honest))), ask: () => encrypt(KeyId) };
  },
  async 'the record of one key under the name of another'() {
    const [{ KeyId }, { KeyId: from }] = [await newKey(), await newKey()];
    const stolen = (await redis.hget(keyAt(from), 'record'))!;
    return { ...keyForgery(KeyId, () => stolen), ask: () => encrypt(KeyId) };
  },
  async 'an alias that names another key'() {
    const [{ KeyId }, { KeyId: from }] = [await newKey(), await newKey()];
    const AliasName = `alias/${randomUUID()}`;
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: from }));
    const scope = `${cluster.home.facts.accountId}/us-east-1`;
    return {
      at: [`kf:aliases:{${scope}}`, AliasName],
      to: (honest) => honest.replace(from, KeyId),
      change: `alias ${scope}/${AliasName}`,
      ask: () => encrypt(AliasName),
    };
  },
  async 'a grant of more operations'() {
    const { KeyId } = await newKey();
    const [accountId, UserName] = [cluster.home.facts.accountId, `grantee-${randomUUID()}`];
    await iam.send(new CreateUserCommand({ UserName }));
    const GranteePrincipal = `arn:aws:iam::${accountId}:user/${UserName}`;
    const { GrantId } = await kms.send(new CreateGrantCommand({ KeyId, GranteePrincipal, Operations: ['Encrypt'] }));
    return {
      at: [`kf:grants:{us-east-1/${KeyId}}`, GrantId!],
      to: (honest) => honest.replace('["Encrypt"]', '["Encrypt","Decrypt"]'),
      change: `grants us-east-1/${KeyId} ${GranteePrincipal}`,
      // It hides no other grant of the key.
      ask: () => kms.send(new ListGrantsCommand({ KeyId })),
      isRefused: async () => (await kms.send(new ListGrantsCommand({ KeyId }))).Grants!.length === 0,
    };
  },
  async 'a policy that is attached to a user'() {
    const UserName = `user-${randomUUID()}`;
    await iam.send(new CreateUserCommand({ UserName }));
    const { accountId } = cluster.home.facts;
    return {
      at: [`kf:iam:{${accountId}}`, `user/${UserName}`],
      to: (honest) => honest.replace('"attached":[]', '"attached":["arn:aws:iam::aws:policy/AdministratorAccess"]'),
      change: `iam ${accountId}`,
      ask: () => iam.send(new GetUserCommand({ UserName })),
    };
  },
};

function keyForgery(keyId: string, to: Forged['to']): Omit<Forged, 'ask'> {
  return { at: [keyAt(keyId), 'record'], to, change: `key us-east-1/${keyId}` };
}

test.each(Object.entries(forgeries))(
  '%s is refused, named in the log and by the doctor, and in no backup',
  async (_, forge) => {
    const { at, to, change, ask, isRefused = () => isOurFault(ask()) } = await forge();
    const honest = (await redis.hget(...at))!;
    expect(to(honest)).not.toBe(honest);
    await redis.hset(...at, to(honest));
    await redis.publish('kf:changes', change);
    await eventually('the forged record is refused', isRefused);
    const named = `the record ${at.join(' ')} is not authentic`;
    expect(said()).toContain(named);
    const { out } = await runKeyfleet('doctor', '--deep', ...everything());
    expect(out).toContain(`NOT WELL  records: ${named}`);
    const newest = ['--newest', '1', '--made-in', '1'];
    const file = cluster.home.in(`backup-${randomUUID()}`);
    const backup = await runKeyfleet('backup', ...everything(), ...newest, '--out', file);
    expect(backup).toMatchObject({ exitCode: 1, out: expect.stringContaining(named) });
    const pieces = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes(JSON.stringify(at[0])));
    expect(pieces.join()).not.toContain(`${JSON.stringify(at[1])}:`);
    // What has a wrong MAC is not made authentic by who asks for MACs of all that has none.
    if (_ !== 'a record without its MAC') {
      expect(await runKeyfleet('store', 'authenticate', ...everything())).toMatchObject({ exitCode: 1 });
    }
    await redis.hset(...at, honest);
    await redis.publish('kf:changes', change);
    await eventually('the honest record is believed again', async () => !(await isRefused()));
  },
);

async function isOurFault(answer: Promise<unknown>): Promise<boolean> {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason as { $fault?: string; name: string },
  );
  return error?.$fault === 'server' || /Internal|ServiceFailure/.test(error?.name ?? '');
}

/** Where all is, for the command line. */
function everything(): string[] {
  const { host, domain, redis } = cliOptionsOf(cluster);
  return [...host, ...domain, ...redis];
}

test('forged and flooded notices change nothing', async () => {
  const { home, ports } = cluster;
  // Of all users the one who may say the most.
  const pass = readFileSync(home.natsPasswordFile('domain-manager'), 'utf8').trim();
  const nats = await connect({ servers: `127.0.0.1:${ports.nats}`, user: 'domain-manager', pass });
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
