import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { slotOf, tagsOfSlots } from './slots.ts';

test('a name is in the slot in which Redis has it', () => {
  // CRC-16/XMODEM of "123456789" is 0x31c3 (Redis cluster specification, appendix A).
  expect(slotOf('123456789')).toBe(0x31c3 % 16_384);
  expect(slotOf('foo')).toBe(12_182);
  expect(slotOf('kf:key:{foo}')).toBe(slotOf('foo'));
});

test('each slot has a tag of its own', () => {
  const tags = tagsOfSlots();
  expect(tags.length).toBe(16_384);
  expect(tags.map((tag) => slotOf(`x{${tag}}`))).toEqual(Array.from(tags.keys()));
  // What is stored under them is looked for by later releases.
  expect(createHash('sha256').update(tags.join()).digest('hex')).toBe(
    '1502e2ec8c9525fca613a80c47af160c9cfca80030dc2a66ab1e0d34b76e6730',
  );
});
