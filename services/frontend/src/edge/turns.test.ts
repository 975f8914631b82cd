import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('no more than allowed are in at once, and who came first is next', () => {
  const turns = new Turns(2);
  const started: number[] = [];
  for (const name of [1, 2, 3, 4]) turns.enter(() => started.push(name));
  expect([started, turns.waiting]).toEqual([[1, 2], 2]);
  turns.leave();
  expect([started, turns.waiting]).toEqual([[1, 2, 3], 1]);
  turns.leave();
  turns.leave();
  turns.leave();
  turns.enter(() => started.push(5));
  turns.enter(() => started.push(6));
  turns.enter(() => started.push(7));
  expect(started).toEqual([1, 2, 3, 4, 5, 6]);
});

test('any number may leave as soon as they are started, and nobody comes before those that wait', () => {
  const turns = new Turns(1);
  const started: number[] = [];
  turns.enter(() => {});
  for (let name = 0; name < 20_000; name++) {
    turns.enter(() => {
      if (name === 1) turns.enter(() => started.push(20_000));
      started.push(name);
      turns.leave();
    });
  }
  turns.leave();
  expect(started).toEqual(Array.from({ length: 20_001 }, (_, name) => name));
});
