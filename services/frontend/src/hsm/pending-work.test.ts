import { commands } from '@keyfleet/shared/hsm/commands';
import { expect, test } from 'vitest';
import { PendingWork } from './pending-work.ts';
import { Work } from './work.ts';

function newWork(): Work {
  return new Work(commands.GenerateRandom, Buffer.alloc(0), 0);
}

test('a command is found by its id, once', () => {
  const pending = new PendingWork();
  const [first, second] = [newWork(), newWork()];
  expect([pending.add(first), pending.add(second)]).toEqual([0, 1]);
  expect(pending.take(1)).toBe(second);
  expect(pending.take(1)).toBeUndefined();
  expect([...pending]).toEqual([first]);
  expect(pending.size).toBe(1);
});

test('an id that was never given out finds nothing', () => {
  const pending = new PendingWork();
  pending.add(newWork());
  for (const id of [1, 7, 2 ** 32 - 1]) expect(pending.take(id)).toBeUndefined();
  expect(pending.size).toBe(1);
});

test('ids go on rising when everything before was answered', () => {
  const pending = new PendingWork();
  for (let id = 0; id < 5; id++) {
    const work = newWork();
    expect(pending.add(work)).toBe(id);
    expect(pending.take(id)).toBe(work);
  }
  expect(pending.take(0)).toBeUndefined();
});

test('one that is answered late is found behind thousands that came and went', () => {
  const pending = new PendingWork();
  const slow = newWork();
  const slowId = pending.add(slow);
  let kept: { id: number; work: Work }[] = [];
  for (let turn = 0; turn < 500; turn++) {
    for (let count = 0; count < 10; count++) {
      const work = newWork();
      kept.push({ id: pending.add(work), work });
    }
    // Out of order, and every third waits for another turn.
    for (const { id, work } of kept.filter((_, index) => index % 3 !== 0).toReversed()) {
      expect(pending.take(id)).toBe(work);
    }
    kept = kept.filter((_, index) => index % 3 === 0);
  }
  expect([...pending]).toEqual([slow, ...kept.map(({ work }) => work)]);
  expect(pending.take(slowId)).toBe(slow);
  expect(pending.size).toBe(kept.length);
  for (const { id, work } of kept) expect(pending.take(id)).toBe(work);
  expect(pending.size).toBe(0);
});

test('what is settled is forgotten', () => {
  const pending = new PendingWork();
  const all = Array.from({ length: 4 }, newWork);
  for (const work of all) pending.add(work);
  for (const index of [0, 2]) all[index]!.succeed({ output: Buffer.alloc(0), memberId: 'hsm-1' });
  pending.forgetSettled();
  expect([...pending]).toEqual([all[1], all[3]]);
  expect(pending.take(2)).toBeUndefined();
  expect(pending.take(3)).toBe(all[3]);
  expect(pending.add(newWork())).toBe(4);
});
