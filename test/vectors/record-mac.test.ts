import { createSecretKey } from 'node:crypto';
import { fingerprintOf } from '@keyfleet/frontend/store/record-key';
import { isMacOf, joinMac, recordMac, splitMac } from '@keyfleet/frontend/store/record-mac';
import { expect, test } from 'vitest';
import fingerprints from './kms/record-key-fingerprint.json' with { type: 'json' };
import vectors from './kms/record-mac.json' with { type: 'json' };

test.each(vectors)('the record of $place.name is stored as it was, and is authentic', (vector) => {
  const { key, keyNumber, place, record, stored } = vector;
  const secret = createSecretKey(Buffer.from(key, 'hex'));
  expect(joinMac({ record, keyNumber, mac: recordMac(secret, place, record) })).toBe(stored);
  const found = splitMac(stored)!;
  expect(found.record).toBe(record);
  expect(isMacOf(secret, place, found)).toBe(true);
});

test.each(fingerprints)('the fingerprint of record key $key', ({ key, fingerprint }) => {
  expect(fingerprintOf(createSecretKey(Buffer.from(key, 'hex')))).toBe(fingerprint);
});
