import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fewAtOnce } from './few-at-once.ts';

test('results are in the order of the items, and few are under way at once, which none of them waits for', async () => {
  let [underWay, most] = [0, 0];
  const ended: number[] = [];
  const results = await fewAtOnce([9, 1, 1, 1, 2, 0], 2, async (turns) => {
    most = Math.max(most, ++underWay);
    for (let i = 0; i < turns; i++) await turn();
    underWay--;
    ended.push(turns);
    return turns * 10;
  });
  expect(results).toEqual([90, 10, 10, 10, 20, 0]);
  expect(most).toBe(2);
  expect(ended.at(-1)).toBe(9);
});

test('once one has failed none begins', async () => {
  const begun: number[] = [];
  const work = async (item: number): Promise<void> => {
    begun.push(item);
    await turn();
    if (item === 1) throw new Error('one');
  };
  await expect(fewAtOnce([0, 1, 2, 3, 4, 5], 2, work)).rejects.toThrow('one');
  for (let i = 0; i < 10; i++) await turn();
  expect(begun.length).toBeLessThan(5);
});
