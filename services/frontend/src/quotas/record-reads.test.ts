import { ratesAlone } from '@keyfleet/test-support/rates-alone';
import { beforeEach, afterEach, expect, test } from 'vitest';
import { RecordReads } from './record-reads.ts';
import { NO_REGION, type RequestRates } from './request-rates.ts';

const [accountId, other] = ['111122223333', '444455556666'];
const PIECE = 8 * 1024;

let rates: RequestRates;
let reads: RecordReads;
beforeEach(() => {
  rates = ratesAlone({ RecordReads: 100 });
  reads = new RecordReads(rates);
});
afterEach(() => rates[Symbol.dispose]());

/** Whether a reading of so many pieces was begun. */
async function readPieces(pieces: number, of = accountId): Promise<boolean> {
  try {
    await reads.within(of, async (onRead) => onRead(PIECE * (pieces - 1)));
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'ThrottlingException', message: 'Rate exceeded' });
    return false;
  }
}

test('what an account reads beyond its rate it owes, and until that is paid it reads nothing more', async () => {
  expect(await readPieces(1_000)).toBe(true);
  const begun: boolean[] = [];
  for (let second = 0; second < 12; second++) {
    begun.push(await readPieces(1));
    await rates.endWindow();
  }
  expect(begun.indexOf(true)).toBe(10);
});

test('small records cost as much as they are many', async () => {
  let begun = 0;
  while (begun < 100 && (await readPieces(1))) begun += 1;
  expect(begun).toBe(50);
});

test('another account reads on while one may not', async () => {
  await readPieces(1_000);
  expect(await readPieces(1)).toBe(false);
  expect(await readPieces(1, other)).toBe(true);
});

test('of what an account asks at once a few are read, and the others refused when these have spent its rate', async () => {
  let [under, most] = [0, 0];
  const read = () =>
    reads.within(accountId, async (onRead) => {
      most = Math.max(most, ++under);
      await new Promise(setImmediate);
      onRead(PIECE * 1_000);
      under -= 1;
    });
  const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, read));
  expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(most);
  expect(most).toBe(4);
});

test('all that an account asks at once is read, if its rate suffices', async () => {
  const outcomes = await Promise.all(Array.from({ length: 40 }, () => readPieces(1)));
  expect(outcomes).not.toContain(false);
});

test('so many wait, and no more', async () => {
  const held = Promise.withResolvers<void>();
  const reading = Array.from({ length: 1_004 }, () => reads.within(accountId, () => held.promise).catch(() => {}));
  expect(await readPieces(1)).toBe(false);
  expect(await readPieces(1, other)).toBe(true);
  held.resolve();
  await Promise.all(reading);
});

test('what fails leaves its place to others', async () => {
  for (let i = 0; i < 9; i++)
    await expect(reads.within(accountId, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await readPieces(1)).toBe(true);
});

test('readings of two kinds have one rate, and may begin within each other', async () => {
  const inner = new RecordReads(rates);
  const nested = () => reads.within(accountId, () => inner.within(accountId, async () => {}));
  await Promise.all(Array.from({ length: 20 }, nested));
  rates.count({ accountId, region: NO_REGION }, 'RecordReads', 100);
  await expect(inner.within(accountId, async () => {})).rejects.toThrow('Rate exceeded');
});
