import { expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

/** Work is named like `a1x`: the first piece (x) for key 1 of account a. */
const laneOf = (work: string): [string, string] => [work[0]!, work.slice(0, 2)];
const newQueue = (maxWaiting = [100, 100]) => new FairQueue<string>(maxWaiting);

function addAll(queue: FairQueue<string>, works: readonly string[]): boolean[] {
  return works.map((work) => queue.add(laneOf(work), work));
}

function taken(queue: FairQueue<string>): string[] {
  const all: string[] = [];
  for (let work = queue.take(); work !== undefined; work = queue.take()) all.push(work);
  return all;
}

test('accounts take turns, and the keys of an account take those of the account', () => {
  const queue = newQueue();
  addAll(queue, ['a1x', 'a1y', 'a1z', 'a2x', 'b1x', 'b1y']);
  expect(taken(queue)).toEqual(['a1x', 'b1x', 'a2x', 'b1y', 'a1y', 'a1z']);
  expect(queue.take()).toBeUndefined();
});

test('a late account waits for one piece of work of each other account, however many keys that has', () => {
  const queue = newQueue();
  addAll(queue, ['a0x', 'a1x', 'a2x', 'a3x', 'a4x', 'a5x', 'a6x', 'a7x', 'a8x', 'a9x']);
  expect(queue.take()).toBe('a0x');
  addAll(queue, ['b1x']);
  expect(taken(queue).indexOf('b1x')).toBe(1);
});

test('a key is bounded and an account is, and others are not touched by that', () => {
  const queue = newQueue([3, 2]);
  expect(addAll(queue, ['a1x', 'a1y', 'a1z', 'a2x', 'a3x'])).toEqual([true, true, false, true, false]);
  expect(addAll(queue, ['b1x'])).toEqual([true]);
  expect(queue.drain().toSorted()).toEqual(['a1x', 'a1y', 'a2x', 'b1x']);
  expect(addAll(queue, ['a1z', 'a1w', 'a2w'])).toEqual([true, true, true]);
});
