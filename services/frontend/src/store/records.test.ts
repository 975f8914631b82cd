import { dueDateOf } from '@keyfleet/shared/stored/due-entries';
import { expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { decodeKey, encodeKey, sealedPartOfKey } from './records.ts';

const region = 'us-east-1';
const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';
const [first, second] = ['ab'.repeat(32), 'cd'.repeat(32)];
const token = Buffer.from('token');

const key: KmsKey = {
  schemaVersion: 1,
  revision: 1,
  keyId,
  arn: `arn:aws:kms:${region}:111122223333:key/${keyId}`,
  accountId: '111122223333',
  region,
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
  origin: 'EXTERNAL',
  multiRegion: false,
  description: '',
  state: 'PendingImport',
  createdAt: 1000,
  policy: '{}',
  tags: [],
  backingKeys: [],
};

/** A record as written when a key took only one material. */
function oldRecord(imported: object | undefined, backingKeys: readonly object[]): string {
  return JSON.stringify({ ...key, imported, backingKeys });
}

const decoded = (text: string) => decodeKey(text, { region, keyId }).backingKeys;

test('a record from when keys took one imported material says the same in the form of today', () => {
  const held = { materialId: first, token: token.toString('base64'), createdAt: 2000 };
  const imported = { materialId: first, description: 'safe A', validTo: 5000 };
  expect(decoded(oldRecord(imported, [held]))).toEqual([
    { materialId: first, token, createdAt: 2000, description: 'safe A', validTo: 5000 },
  ]);
  expect(decoded(oldRecord({ materialId: first }, []))).toEqual([{ materialId: first, createdAt: 1000 }]);
  expect(decoded(oldRecord(undefined, []))).toEqual([]);
  const record = JSON.parse(oldRecord(imported, [held])) as KmsKey;
  expect([dueDateOf(record), dueDateOf(decodeKey(oldRecord(imported, [held]), { region, keyId }))]).toEqual([
    5000, 5000,
  ]);
});

test('a record of several materials is read as it was written, also of those that are not there', () => {
  const backingKeys = [
    { materialId: first, createdAt: 1, description: 'safe A' },
    { materialId: second, token, createdAt: 2, pending: true as const, validTo: 9000 },
  ];
  expect(decoded(encodeKey({ ...key, backingKeys }))).toEqual(backingKeys);
  expect(dueDateOf({ ...key, backingKeys })).toBe(9000);
});

test('only tokens that are there are sealed again, each in its place', () => {
  const backingKeys = [
    { materialId: first, createdAt: 1 },
    { materialId: second, token, createdAt: 2 },
  ];
  const part = sealedPartOfKey(encodeKey({ ...key, backingKeys }), `${region}/${keyId}`);
  expect(part.tokens).toEqual([token]);
  const resealed = decodeKey(part.encodeWith([Buffer.from('again')]), { region, keyId });
  expect(resealed).toMatchObject({ revision: 2, backingKeys: [backingKeys[0]!, { token: Buffer.from('again') }] });
  expect(resealed.backingKeys[0]).not.toHaveProperty('token');
});
