import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoftHsm } from '@keyfleet/test-support/soft-hsm';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { EncryptedInToken } from './token-session.ts';

/** Against SoftHSM2, in processes of its own. */
const password = 'password-of-kmsuser';
const right = { id: 'right', password: Buffer.from(password) };
const resources = new AsyncDisposableStack();
let token: SoftHsm;
beforeAll(async () => {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-token-'))).path;
  token = await SoftHsm.make(directory, { label: 'test', pin: password });
});
afterAll(() => resources.disposeAsync());

function newCluster(overrides: Partial<ClusterOptions> = {}): Cluster {
  const { environment, label } = token;
  return new Cluster({
    accountId: '111122223333',
    region: 'us-east-1',
    trustAnchor: Buffer.of(),
    module: SoftHsm.module,
    token: { label },
    environment,
    sessions: 2,
    timeoutMs: 20_000,
    ...overrides,
  });
}

const refusalOf = (call: Promise<unknown>): Promise<unknown> => call.then(() => 'it succeeded', (error: { refusal?: string }) => error.refusal); // prettier-ignore
const random = { name: 'generateRandom', length: 16 } as const;

test('a wrong password is refused by the token once, and then by the cluster until it is connected again', async () => {
  using cluster = newCluster();
  const wrong = { id: 'wrong', password: Buffer.from('not-the-password') };
  expect(await refusalOf(cluster.use(wrong, random))).toBe('cluster-password');
  expect(await refusalOf(cluster.use(wrong, random))).toBe('cluster-password');
  expect(await refusalOf(cluster.connect(right))).toBe('it succeeded');
  expect(await cluster.use(right, random)).toHaveLength(16);
});

/**
 * SoftHSM writes the token's files at each login, and a process that looks for the token meanwhile does not find it:
 * each session is opened while no other logs in.
 */
async function openSessions(cluster: Cluster): Promise<void> {
  for (let open = 1; open <= cluster.options.sessions; open++)
    await Promise.all(Array.from({ length: open }, () => cluster.use(right, random)));
}

test('however many sessions want to log in at once, a wrong password is tried once', async () => {
  using cluster = newCluster({ sessions: 3 });
  await openSessions(cluster);
  const wrong = { id: 'wrong', password: Buffer.from('changed-meanwhile') };
  const calls = Array.from({ length: 4 }, () => cluster.use(wrong, random).catch((error: unknown) => error));
  const refused = await Promise.all(calls);
  expect(refused).toEqual(calls.map(() => expect.objectContaining({ refusal: 'cluster-password' })));
  // What the token says is the cause of the error; what the cluster remembers has none.
  expect(refused.filter((error) => (error as Error).cause !== undefined)).toHaveLength(1);

  cluster.disconnect();
  await openSessions(cluster);
  const given = { ...right, id: 'right, and given again' };
  const again = Array.from({ length: 4 }, () => refusalOf(cluster.use(given, random)));
  expect(await Promise.all(again)).toEqual(again.map(() => 'it succeeded'));
});

test('a password that was refused is tried again once the store was disconnected', async () => {
  const { path } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-token-')));
  const other = await SoftHsm.make(path, { label: 'test', pin: 'before' });
  using cluster = newCluster({ environment: other.environment, sessions: 1 });
  expect(await refusalOf(cluster.use(right, random))).toBe('cluster-password');
  await other.changePin('before', password);
  expect(await refusalOf(cluster.use(right, random))).toBe('cluster-password');
  cluster.disconnect();
  expect(await refusalOf(cluster.use(right, random))).toBe('it succeeded');
});

test('a token or a module that is not there is away', async () => {
  using noToken = newCluster({ token: { label: 'another' } });
  expect(await refusalOf(noToken.connect(right))).toBe('cluster-away');
  using noModule = newCluster({ module: '/nowhere.so' });
  expect(await refusalOf(noModule.connect(right))).toBe('cluster-away');
});

test('more calls than sessions wait for one, and more than may wait are refused', async () => {
  using cluster = newCluster({ sessions: 1 });
  await cluster.connect(right);
  const calls = Array.from({ length: 1 + 256 }, () => cluster.use(right, random));
  expect(await refusalOf(cluster.use(right, random))).toBe('cluster-sessions');
  for (const bytes of await Promise.all(calls)) expect(bytes).toHaveLength(16);
});

test('what nobody waits for any more when a session is free is not begun, as of a frontend that was removed', async () => {
  using cluster = newCluster({ sessions: 1 });
  await cluster.connect(right);
  const caller = { waits: true, isWaiting: () => caller.waits };
  const made = ['key-3', 'key-4'].map((label) => refusalOf(cluster.use(right, { name: 'generateKey', label }, caller)));
  const begun = refusalOf(cluster.use(right, random));
  caller.waits = false;
  expect(await Promise.all([...made, begun])).toEqual(['expired', 'expired', 'it succeeded']);
  const [associatedData, plaintext, iv] = [Buffer.of(), Buffer.from('hello'), Buffer.alloc(12, 1)];
  for (const label of ['key-3', 'key-4']) {
    const work = { name: 'encrypt', label, associatedData, plaintext, iv } as const;
    expect(await refusalOf(cluster.use(right, work))).toBe('no-cluster-key');
  }
});

test('a call waits for a session as long as sessions start, not only as long as the token may take', async () => {
  // Less than a session may take to start.
  using cluster = newCluster({ sessions: 1, timeoutMs: 9_000 });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const calls = [cluster.use(right, random), cluster.use(right, random)];
  // The module has been looking for its token for so long.
  vi.advanceTimersByTime(cluster.options.timeoutMs + 1);
  vi.useRealTimers();
  for (const bytes of await Promise.all(calls)) expect(bytes).toHaveLength(16);
});

test('a key that the token lost is missing, and nothing else is lost with it', async () => {
  using cluster = newCluster();
  await cluster.use(right, { name: 'generateKey', label: 'key-1' });
  const [associatedData, plaintext, iv] = [Buffer.of(), Buffer.from('hello'), Buffer.alloc(12, 1)];
  const work = { name: 'encrypt', label: 'key-1', associatedData, plaintext, iv } as const;
  expect(await refusalOf(cluster.use(right, work))).toBe('it succeeded');
  await cluster.use(right, { name: 'destroyKey', label: 'key-1' });
  expect(await refusalOf(cluster.use(right, work))).toBe('no-cluster-key');
  expect(await refusalOf(cluster.use(right, random))).toBe('it succeeded');
});

test('of several keys with one label each decrypts what was encrypted under it, and all are destroyed', async () => {
  const label = 'key-2';
  const texts = [1, 2].map((n) => ({ key: Buffer.alloc(32, n), plaintext: Buffer.from(`text ${n}`) }));
  const associatedData = Buffer.from('of a ciphertext');
  const encrypted: EncryptedInToken[] = [];
  for (const { key, plaintext } of texts) {
    await token.writeKey(password, label, key);
    using cluster = newCluster();
    const work = { name: 'encrypt', label, associatedData, plaintext, iv: Buffer.alloc(12, 1) } as const;
    encrypted.push((await cluster.use(right, work)) as EncryptedInToken);
    await token.loseKey(password, label);
  }
  for (const { key } of texts) await token.writeKey(password, label, key);

  // One session, which finds one of them first.
  using cluster = newCluster({ sessions: 1 });
  const decrypt = (one: EncryptedInToken) => cluster.use(right, { name: 'decrypt', label, associatedData, ...one });
  const decrypted = await Promise.all(encrypted.map(decrypt));
  expect(decrypted.map((text) => Buffer.from(text as Uint8Array).toString())).toEqual(['text 1', 'text 2']);
  expect(await refusalOf(decrypt({ ...encrypted[0]!, tag: Buffer.alloc(16) }))).toBe('cannot-open');
  await cluster.use(right, { name: 'destroyKey', label });
  expect(await refusalOf(decrypt(encrypted[0]!))).toBe('no-cluster-key');
});

test('disconnected, it has no session, and refuses who used one or waited for it; the next use logs in again', async () => {
  using cluster = newCluster({ sessions: 1 });
  await cluster.connect(right);
  const calls = Array.from({ length: 3 }, () => refusalOf(cluster.use(right, random)));
  cluster.disconnect();
  expect(await Promise.all(calls)).toEqual(calls.map(() => 'cluster-away'));
  expect(await cluster.use(right, random)).toHaveLength(16);
});
