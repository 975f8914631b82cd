import { createSecretKey } from 'node:crypto';
import { isMacOf, joinMac, recordMac, splitMac } from '@keyfleet/frontend/store/record-mac';
import { expect, test } from 'vitest';
import vectors from './kms/record-mac.json' with { type: 'json' };

test.each(vectors)('the record of $place.name is stored as it was, and is authentic', (vector) => {
  const { key, keyNumber, place, record, stored } = vector;
  const secret = createSecretKey(Buffer.from(key, 'hex'));
  expect(joinMac({ record, keyNumber, mac: recordMac(secret, place, record) })).toBe(stored);
  const found = splitMac(stored)!;
  expect(found.record).toBe(record);
  expect(isMacOf(secret, place, found)).toBe(true);
});
