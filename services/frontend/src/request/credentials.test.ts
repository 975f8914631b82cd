import { expect, test } from 'vitest';
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

function fixture() {
  const stored = new Map([[record.accessKeyId, record]]);
  const state = { now: 0, extraMs: 0, lookups: 0, openings: 0, stored };
  const credentials = new Credentials({
    identities: {
      findAccessKey: (accessKeyId) => {
        state.lookups += 1;
        return Promise.resolve(stored.get(accessKeyId));
      },
    },
    openCredential: () => {
      state.openings += 1;
      return Promise.resolve({ secretAccessKey: Buffer.from('secret') });
    },
    extraMs: () => state.extraMs,
    clock: { now: () => state.now },
  });
  return { credentials, state };
}

test('an access key is opened once for all who wait for it, and then known', async () => {
  const { credentials, state } = fixture();
  const [first, second] = await Promise.all([
    credentials.find(record.accessKeyId, 1000),
    credentials.find(record.accessKeyId, 1000),
  ]);
  expect(first).toBe(second);
  expect(credentials.find(record.accessKeyId, 1000)).toBe(first);
  expect(state).toMatchObject({ lookups: 1, openings: 1 });
});

test('a removed access key stops working, and a new one starts to, within a bounded time', async () => {
  const { credentials, state } = fixture();
  await credentials.find(record.accessKeyId, 1000);
  state.stored.clear();
  state.now += 60_001;
  expect(await credentials.find(record.accessKeyId, 1000)).toBeUndefined();
  state.stored.set(record.accessKeyId, record);
  state.now += 2_001;
  expect(await credentials.find(record.accessKeyId, 1000)).toBeDefined();
});

test('an access key that is known works for a while longer when the store is away, and one that is not known does not', async () => {
  const { credentials, state } = fixture();
  const known = await credentials.find(record.accessKeyId, 1000);
  state.stored.clear();
  state.extraMs = 30_000;
  state.now += 60_001;
  expect(await credentials.find(record.accessKeyId, 1000)).toBe(known);
  state.now += 30_000;
  expect(await credentials.find(record.accessKeyId, 1000)).toBeUndefined();
  state.stored.set(record.accessKeyId, record);
  state.now += 2_001;
  expect(await credentials.find(record.accessKeyId, 1000)).toBeDefined();
});

test('what cannot be an access key id is not asked for', async () => {
  const { credentials, state } = fixture();
  for (const id of ['', 'short', 'x'.repeat(129), '*'.repeat(20)])
    expect(await credentials.find(id, 1000)).toBeUndefined();
  expect(state.lookups).toBe(0);
});

test('a failure to look up is not remembered', async () => {
  const { credentials, state } = fixture();
  state.stored.get = () => {
    throw new Error('the store is away');
  };
  await expect(credentials.find(record.accessKeyId, 1000)).rejects.toThrow('away');
  delete (state.stored as Partial<typeof state.stored>).get;
  expect(await credentials.find(record.accessKeyId, 1000)).toBeDefined();
});

test("an access key whose record names another account than its principal's is refused", async () => {
  const { credentials, state } = fixture();
  for (const change of [{ accountId: '222222222222' }, { accountId: '', principal: 'keyfleet:frontends' }]) {
    state.stored.set(record.accessKeyId, { ...record, ...change });
    await expect(credentials.find(record.accessKeyId, 1000)).rejects.toThrow(DamagedRecordError);
  }
});
