import { DUE_SHARDS, type DueItem } from '@keyfleet/shared/due-queue';
import { expect, test } from 'vitest';
import { DueWork } from './due-work.ts';

function newDueWork() {
  const published: { items: readonly DueItem[]; period: number }[] = [];
  const state = { now: 0, works: true };
  const dueWork = new DueWork({
    clock: { now: () => state.now },
    everyMs: 60_000,
    publish: async (items, period) => state.works && published.push({ items, period }) > 0,
  });
  return { dueWork, published, state };
}

test('every shard is queued once a period, however many rounds there are', async () => {
  const { dueWork, published, state } = newDueWork();
  for (const now of [0, 1_000, 59_999, 60_000, 61_000]) {
    state.now = now;
    await dueWork.ask();
  }
  expect(published.map(({ period }) => period)).toEqual([0, 1]);
  expect(published[0]?.items.map(({ shard }) => shard)).toEqual(Array.from({ length: DUE_SHARDS }, (_, i) => i));
});

test('a shard that could not be published is queued in the next round', async () => {
  const { dueWork, published, state } = newDueWork();
  state.works = false;
  await dueWork.ask();
  state.works = true;
  await dueWork.ask();
  expect(published).toHaveLength(1);
});
