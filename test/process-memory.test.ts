import { searchFor } from '@keyfleet/test-support/process-memory';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';

test('a needle is found wherever it stands, whole only, and beside others', () => {
  const needles = new Map([
    ['short', randomBytes(16)],
    ['long', randomBytes(64)],
  ]);
  const search = searchFor(needles);
  for (const [name, needle] of needles) {
    for (let at = 0; at <= 100; at++) {
      const hay = Buffer.concat([Buffer.alloc(at), needle, Buffer.alloc(100 - at)]);
      expect(new Set(search(hay)), `${name} at ${at}`).toEqual(new Set([name]));
      hay[at]! ^= 1;
      expect(search(hay)).toEqual([]);
    }
  }
  expect(new Set(search(Buffer.concat([...needles.values()])))).toEqual(new Set(needles.keys()));
  expect(search(needles.get('long')!.subarray(1))).toEqual([]);
});
