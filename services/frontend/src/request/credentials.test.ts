import { expect, test } from 'vitest';
import type { Identity } from '../identities/identity.ts';
import type { UserRecord } from '../identities/iam-records.ts';
import type { SessionContent } from '../identities/sts-session-token.ts';
import { newUser } from '../identities/iam-store.contract.ts';
import { Credentials } from './credentials.ts';
import { type AccessKeyRecord, DamagedRecordError } from '../store/store.ts';

const record: AccessKeyRecord = {
  accessKeyId: 'AKIAAAAAAAAAAAAAAAAA',
  accountId: '000000000000',
  principal: 'arn:aws:iam::000000000000:user/alice',
  userId: 'AIDAEXAMPLE',
  token: new Uint8Array([1]),
  policies: [],
};

const alice: Identity<UserRecord> = {
  record: newUser('alice', { accountId: '000000000000', path: '/team/' }),
  policies: [{ id: 'user_alice_own', document: '{}' }],
  boundary: undefined,
  tags: new Map([['team', 'red']]),
};

const session: SessionContent = {
  accessKeyId: 'ASIAAAAAAAAAAAAAAAAA',
  secretAccessKey: 'secret',
  accountId: '000000000000',
  kind: 'role',
  name: 'app',
  id: 'AROA',
  sessionName: 'one',
  issuedAt: 1,
  expiresAt: 2,
  policies: [],
  tags: [],
  transitiveTagKeys: [],
};

function fixture() {
  const stored = new Map([[record.accessKeyId, record]]);
  const state = {
    now: 0,
    extraMs: 0,
    lookups: 0,
    openings: 0,
    opened: Buffer.from('secret'),
    stored,
    owner: alice as Identity<UserRecord> | undefined,
    acceptsSessions: true,
  };
  const credentials = new Credentials({
    accessKeys: {
      findAccessKey: (accessKeyId) => {
        state.lookups += 1;
        return Promise.resolve(stored.get(accessKeyId));
      },
    },
    identities: { ownerOf: () => state.owner, find: (() => undefined) as never },
    sessionTokens: {
      open: (token) => {
        const isGood = state.acceptsSessions && token === 'token';
        return Promise.resolve(isGood ? { content: session, isAccepted: () => state.acceptsSessions } : undefined);
      },
    },
    partition: 'aws',
    openCredential: () => {
      state.openings += 1;
      return Promise.resolve({ secretAccessKey: state.opened });
    },
    events: { contradicted() {} },
    extraMs: () => state.extraMs,
    clock: { now: () => state.now },
  });
  const find = (deadline: number) =>
    credentials.find({ accessKeyId: record.accessKeyId, sessionToken: undefined }, deadline);
  return { credentials, state, find };
}

test('an access key is looked up once for all who wait for it, and then known', async () => {
  const { find, state } = fixture();
  const [first, second] = await Promise.all([find(1000), find(1000)]);
  expect(first).toBe(second);
  expect(find(1000)).toBe(first);
  expect(state).toMatchObject({ lookups: 1, openings: 0 });
});

const today = { date: '20261127', region: 'us-east-1', service: 'kms' };

test('a secret is opened once for each day, Region and service, however many wait and however often it is looked up', async () => {
  const { find, state } = fixture();
  const credential = await find(1000);
  expect(credential!.signingKey(today)).toBeUndefined();
  const opening = credential!.openSigningKey(today, 1000);
  const [first, second] = await Promise.all([opening, credential!.signingKey(today)]);
  expect(first).toBe(second);
  state.now += 60_001;
  expect((await find(1000))!.signingKey(today)).toBe(first);
  expect(state).toMatchObject({ lookups: 2, openings: 1 });
  for (const other of [{ date: '20261128' }, { region: 'eu-west-1' }, { service: 'sts' }])
    await credential!.openSigningKey({ ...today, ...other }, 1000);
  expect(state.openings).toBe(4);
  // Overwritten: the secret itself is kept nowhere.
  expect(state.opened).toEqual(Buffer.alloc('secret'.length));
});

test('the secret of a resealed record is opened again', async () => {
  const { find, state } = fixture();
  await (await find(1000))!.openSigningKey(today, 1000);
  state.stored.set(record.accessKeyId, { ...record, token: new Uint8Array([2]) });
  state.now += 60_001;
  await (await find(1000))!.openSigningKey(today, 1000);
  expect(state.openings).toBe(2);
});

test('after a removal a secret is opened again, also one that was being opened then', async () => {
  const { credentials, find, state } = fixture();
  const credential = (await find(1000))!;
  const before = credential.openSigningKey(today, 1000);
  credentials.forgetSigningKeys();
  expect(credential.signingKey(today)).toBeUndefined();
  await before;
  expect(credential.signingKey(today)).toBeUndefined();
  state.opened = Buffer.from('what the others say');
  const after = credential.openSigningKey(today, 1000);
  expect((await before).equals(await after)).toBe(false);
  expect(credential.signingKey(today)).toBe(await after);
  credentials.forgetSigningKeys();
  expect(await find(1000)).toBe(credential);
  expect(credential.signingKey(today)).toBeUndefined();
});

test('after a removal a record is read again, which may be resealed, unless the store is away', async () => {
  const { credentials, find, state } = fixture();
  const credential = await find(1000);
  credentials.forgetSigningKeys();
  state.extraMs = 30_000;
  expect(await find(1000)).toBe(credential);
  state.extraMs = 0;
  state.stored.set(record.accessKeyId, { ...record, token: new Uint8Array([2]) });
  const resealed = await find(1000);
  expect(resealed).not.toBe(credential);
  expect([await find(1000), state.lookups]).toEqual([resealed, 2]);
});

test('a secret that cannot be opened now is tried again', async () => {
  const { find, state } = fixture();
  const credential = await find(1000);
  const opened = state.opened;
  Object.defineProperty(state, 'opened', {
    configurable: true,
    get: () => {
      throw new Error('no worker');
    },
  });
  await expect(Promise.resolve().then(() => credential!.openSigningKey(today, 1000))).rejects.toThrow('no worker');
  Object.defineProperty(state, 'opened', { configurable: true, value: opened });
  expect(await credential!.openSigningKey(today, 1000)).toBeDefined();
});

test('a removed access key stops working, and a new one starts to, within a bounded time', async () => {
  const { find, state } = fixture();
  await find(1000);
  state.stored.clear();
  state.now += 60_001;
  expect(await find(1000)).toBeUndefined();
  state.stored.set(record.accessKeyId, record);
  state.now += 2_001;
  expect(await find(1000)).toBeDefined();
});

test('an access key that is known works for a while longer when the store is away, and one that is not known does not', async () => {
  const { find, state } = fixture();
  const known = await find(1000);
  state.stored.clear();
  state.extraMs = 30_000;
  state.now += 60_001;
  expect(await find(1000)).toBe(known);
  state.now += 30_000;
  expect(await find(1000)).toBeUndefined();
  state.stored.set(record.accessKeyId, record);
  state.now += 2_001;
  expect(await find(1000)).toBeDefined();
});

test('text that cannot be an access key id is not looked up', async () => {
  const { credentials, state } = fixture();
  for (const accessKeyId of ['', 'short', 'x'.repeat(129), '*'.repeat(20), 'ASIAAAAAAAAAAAAAAAAA'])
    expect(await credentials.find({ accessKeyId, sessionToken: undefined }, 1000)).toBeUndefined();
  expect(state.lookups).toBe(0);
});

test('a failure to look up is not remembered', async () => {
  const { find, state } = fixture();
  state.stored.get = () => {
    throw new Error('the store is away');
  };
  await expect(find(1000)).rejects.toThrow('away');
  delete (state.stored as Partial<typeof state.stored>).get;
  expect(await find(1000)).toBeDefined();
});

test("an access key whose record names another account than its principal's is refused", async () => {
  const { find, state } = fixture();
  for (const change of [{ accountId: '222222222222' }, { accountId: '', principal: 'keyfleet:frontends' }]) {
    state.stored.set(record.accessKeyId, { ...record, ...change });
    await expect(find(1000)).rejects.toThrow(DamagedRecordError);
  }
});

test('whom an access key proves is asked each time, and is the same object while nothing has changed', async () => {
  const { find, state } = fixture();
  const credential = (await find(1000))!;
  const caller = await credential.caller(undefined);
  expect(caller).toMatchObject({
    arn: 'arn:aws:iam::000000000000:user/team/alice',
    userName: 'alice',
    policies: ['{}'],
  });
  expect(credential.caller(undefined)).toBe(caller);
  state.owner = { ...alice, policies: [] };
  expect(credential.caller(undefined)).toMatchObject({ policies: [] });
  state.owner = undefined;
  expect(credential.caller(undefined)).toBeUndefined();
});

test('temporary credentials are what their token says, under its own access key id and no other', async () => {
  const { credentials } = fixture();
  const find = (accessKeyId: string, sessionToken: string) => credentials.find({ accessKeyId, sessionToken }, 1000);
  expect(await find(session.accessKeyId, 'token')).toMatchObject({ expiresAt: 2 });
  expect(find(session.accessKeyId, 'token')).toBe(find(session.accessKeyId, 'token'));
  for (const [id, token] of [
    [session.accessKeyId, 'other'],
    [record.accessKeyId, 'token'],
    [record.accessKeyId, ''],
    ['ASIAAAAAAAAAAAAAAAAB', 'token'],
  ] as const) {
    expect(await find(id, token)).toBeUndefined();
  }
});

test('temporary credentials that are known are refused as soon as their key is not accepted any more', async () => {
  const { credentials, state } = fixture();
  const find = () => credentials.find({ accessKeyId: session.accessKeyId, sessionToken: 'token' }, 1000);
  const known = await find();
  expect(find()).toBe(known);
  state.acceptsSessions = false;
  expect(await find()).toBeUndefined();
});
