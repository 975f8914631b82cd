import { expect, test } from 'vitest';
import { AccountTurns } from './turns.ts';

let now = 0;
const clock = { now: () => now };
const of = (accountId: string, deadline = 1_000) => ({ accountId, deadline, clock });

test("an account's work goes one after the other, also after a failure, and no other account waits for it", async () => {
  const turns = new AccountTurns();
  const done: string[] = [];
  const held = Promise.withResolvers<void>();
  const first = turns.take(of('a'), async () => {
    await held.promise;
    throw new Error('first');
  });
  const second = turns.take(of('a'), async () => void done.push('a'));
  await turns.take(of('b'), async () => void done.push('b'));
  expect(done).toEqual(['b']);
  held.resolve();
  await expect(first).rejects.toThrow('first');
  await second;
  expect(done).toEqual(['b', 'a']);
});

test('work whose turn comes too late is not done', async () => {
  const turns = new AccountTurns();
  const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const first = turns.take(of('a'), () => {
    begun.resolve();
    return held.promise;
  });
  let did = 0;
  const waiting = Promise.allSettled(Array.from({ length: 15 }, () => turns.take(of('a'), async () => (did += 1))));
  await begun.promise;
  now = 1_000;
  held.resolve();
  await first;
  const ended = await waiting;
  expect(ended.every(({ status }) => status === 'rejected')).toBe(true);
  expect(did).toBe(0);
  now = 0;
  expect(await turns.take(of('a'), async () => 'again')).toBe('again');
});
