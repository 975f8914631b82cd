import { expect, test } from 'vitest';
import { Schedule } from './schedule.ts';

function allUntil(schedule: Schedule, now: number): number[] {
  const due: number[] = [];
  for (let next = schedule.takeDue(now); next !== undefined; next = schedule.takeDue(now)) due.push(next);
  return due;
}

test('requests are intended at an even distance, whenever they are asked for', () => {
  const schedule = new Schedule(1000, 500, { first: 0, step: 1 });
  expect(schedule.takeDue(999)).toBeUndefined();
  expect(allUntil(schedule, 1005)).toEqual([1000, 1002, 1004]);
  // After a stall everything that was intended meanwhile is due, each with its own time.
  expect(allUntil(schedule, 1014)).toEqual([1006, 1008, 1010, 1012, 1014]);
});

test('several processes share the arrivals, and none has another one', () => {
  const shares = [0, 1, 2].map((first) => allUntil(new Schedule(0, 1000, { first, step: 3 }), 8));
  expect(shares).toEqual([
    [0, 3, 6],
    [1, 4, 7],
    [2, 5, 8],
  ]);
});
