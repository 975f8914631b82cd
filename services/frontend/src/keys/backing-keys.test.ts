import { expect, test } from 'vitest';
import { evictBackingKeys } from './backing-keys.ts';

const held = { materialId: 'ab'.repeat(32), token: Buffer.of(1), createdAt: 0 };
const without = { materialId: 'cd'.repeat(32), createdAt: 0 };

test.each([
  ['a second, however long its request may take', 1_000_000 + 5_000, 1_000_000 + 1_000],
  ['as long as its request may take', 1_000_000 + 300, 1_000_000 + 300],
])('whoever changed a key waits for workers to forget it for %s', async (_, deadline, expected) => {
  const told: unknown[] = [];
  const hsm = { executeEverywhere: async (...command: unknown[]) => void told.push(command) };
  await evictBackingKeys({ backingKeys: [held, without] }, { hsm, clock: { now: () => 1_000_000 }, deadline });
  expect(told).toEqual([['EvictBackingKey', { materialId: Buffer.alloc(32, 0xab) }, expected]]);
});
