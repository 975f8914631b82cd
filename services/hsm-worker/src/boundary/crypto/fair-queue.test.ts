import { expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

function taken(queue: FairQueue<string, string>): string[] {
  const all: string[] = [];
  for (let work = queue.take(); work !== undefined; work = queue.take()) all.push(work);
  return all;
}

test('lanes take turns, each in its own order', () => {
  const queue = new FairQueue<string, string>(10);
  for (const work of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) expect(queue.add(work[0]!, work)).toBe(true);
  expect(taken(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  expect(queue.take()).toBeUndefined();
});

test('who comes later waits for one piece of work of each that was there', () => {
  const queue = new FairQueue<string, string>(100);
  for (let i = 0; i < 100; i++) queue.add('a', `a${i}`);
  expect(queue.take()).toBe('a0');
  queue.add('b', 'b0');
  expect(taken(queue).indexOf('b0')).toBe(1);
});

test('a lane is bounded, and the others are not touched by that', () => {
  const queue = new FairQueue<string, string>(2);
  expect(['a1', 'a2', 'a3'].map((work) => queue.add('a', work))).toEqual([true, true, false]);
  expect(queue.add('b', 'b1')).toBe(true);
  expect(queue.drain()).toEqual(['a1', 'a2', 'b1']);
  expect(queue.add('a', 'a3')).toBe(true);
});
