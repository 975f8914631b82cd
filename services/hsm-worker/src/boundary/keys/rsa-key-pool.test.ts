import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { KeyPair, RsaBits } from './key-pair.ts';
import { RsaKeyPool } from './rsa-key-pool.ts';

/** Yields a pair when the test says so. The pairs are small and all alike; only their identity counts. */
function manualGenerator() {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
  const pending: { bits: RsaBits; finish: () => void }[] = [];
  const generate = (bits: RsaBits) =>
    new Promise<KeyPair>((resolve) => {
      const privateKey = createPrivateKey(pem);
      pending.push({ bits, finish: () => resolve({ privateKey, publicKey: privateKey }) });
    });
  return { pending, generate };
}

/** Lets everything that is already settled run. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a full pool gives a pair at once, each pair once, and makes another', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 2, 3072: 0, 4096: 0 }, generate);
  const filled = pool.fill();
  for (let made = 0; made < 2; made++) {
    await turn();
    expect(pending).toHaveLength(made + 1);
    pending[made]!.finish();
  }
  await filled;
  const [one, two] = [await pool.take(2048), await pool.take(2048)];
  expect(one).not.toBe(two);
  expect(pending).toHaveLength(3);
});

test('an empty pool makes a pair for who asks, and none ahead while somebody waits', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 1, 3072: 1, 4096: 0 }, generate);
  const first = pool.take(2048);
  const second = pool.take(2048);
  await turn();
  expect(pending).toHaveLength(2);
  pending[0]!.finish();
  await first;
  await turn();
  expect(pending).toHaveLength(2);
  pending[1]!.finish();
  await second;
  await turn();
  expect(pending).toHaveLength(3);
});

/** An account's caller of `host` that waits until it is told to stop. */
function newAsker(host: string, account = host) {
  const caller = { host, waits: true, isWaiting: () => caller.waits };
  return { account, caller };
}

test('only two pairs are made at a time, and hosts take turns', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }, generate);
  const order: string[] = [];
  const take = (host: string) => pool.take(2048, newAsker(host)).then(() => order.push(host));
  const greedy = Array.from({ length: 6 }, () => take('greedy'));
  const modest = Array.from({ length: 2 }, () => take('modest'));
  for (let made = 0; made < 8; made++) {
    await turn();
    expect(pending.length - made).toBeLessThanOrEqual(2);
    pending[made]!.finish();
  }
  await Promise.all([...greedy, ...modest]);
  // The first two had begun when the modest host came.
  expect(order.slice(2, 6).filter((host) => host === 'modest')).toHaveLength(2);
});

test('the accounts of a host take turns, and none may have more than sixteen wait', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }, generate);
  const refusals: unknown[] = [];
  for (let n = 0; n < 40; n++)
    pool.take(4096, newAsker('frontend', 'greedy')).catch(({ refusal }) => refusals.push(refusal));
  const modest = pool.take(2048, newAsker('frontend', 'modest'));
  await turn();
  // Two of them have their pair made already.
  expect(refusals).toEqual(Array(40 - 16 - 2).fill('overloaded'));
  for (let made = 0; made < 2; made++) {
    pending[made]!.finish();
    await turn();
  }
  expect(pending.map(({ bits }) => bits)).toEqual([4096, 4096, 4096, 2048]);
  pending[3]!.finish();
  await modest;
});

test('other work waits for the turn of a pair, and is refused as that would be', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }, generate);
  const gates: (() => void)[] = [];
  const work = () => new Promise<number>((resolve) => gates.push(() => resolve(gates.length)));
  const refusals: unknown[] = [];
  const greedy = newAsker('frontend', 'greedy');
  for (let n = 0; n < 2 + 16 + 1; n++) pool.inTurn(greedy, work).catch(({ refusal }) => refusals.push(refusal));
  const modest = pool.take(2048, newAsker('frontend', 'modest'));
  await turn();
  expect([gates.length, pending.length, refusals]).toEqual([2, 0, ['overloaded']]);
  greedy.caller.waits = false;
  gates[0]!();
  await turn();
  pending[0]!.finish();
  await modest;
  expect(refusals).toEqual(['overloaded', ...Array(16).fill('expired')]);
  gates[1]!();
  await turn();
  const next = pool.inTurn(newAsker('other'), work);
  gates[2]!();
  expect(await next).toBe(3);
  await expect(pool.inTurn(newAsker('other'), () => Promise.reject(new Error('it failed')))).rejects.toThrow(
    'it failed',
  );
});

test('no pair is made for a caller that stopped waiting', async () => {
  const { pending, generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }, generate);
  const askers = Array.from({ length: 30 }, (_, i) => newAsker('removed', `account ${i % 3}`));
  const taken = Promise.allSettled(askers.map((asker) => pool.take(4096, asker)));
  const other = pool.take(2048, newAsker('other'));
  for (const { caller } of askers) caller.waits = false;
  pending[0]!.finish();
  pending[1]!.finish();
  await turn();
  expect(pending.map(({ bits }) => bits)).toEqual([4096, 4096, 2048]);
  pending[2]!.finish();
  await other;
  const refused = (await taken).filter(({ status }) => status === 'rejected');
  expect(refused.map((result) => (result as PromiseRejectedResult).reason.refusal)).toEqual(Array(28).fill('expired'));
});

test('a host that has too many callers waiting is refused at once, and others are not', async () => {
  const { generate } = manualGenerator();
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }, generate);
  const refusals: unknown[] = [];
  for (let n = 0; n < 67; n++)
    pool.take(2048, newAsker('greedy', `account ${n % 8}`)).catch(({ refusal }) => refusals.push(refusal));
  void pool.take(2048, newAsker('modest'));
  await turn();
  // Two of them have their pair made already.
  expect(refusals).toEqual(['overloaded']);
});

test('a pool that was disposed of makes nothing ahead', async () => {
  const { pending, generate } = manualGenerator();
  const pool = new RsaKeyPool({ 2048: 5, 3072: 0, 4096: 0 }, generate);
  const filling = pool.fill();
  pool[Symbol.dispose]();
  pending[0]!.finish();
  await filling;
  expect(pending).toHaveLength(1);
});

test('a pair is an RSA key pair of the size asked for, with exponent 65537', async () => {
  using pool = new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 });
  const { privateKey, publicKey } = await pool.take(2048);
  expect(privateKey.asymmetricKeyDetails).toEqual({ modulusLength: 2048, publicExponent: 65_537n });
  expect(publicKey.asymmetricKeyDetails).toEqual(privateKey.asymmetricKeyDetails);
});
