import { dueDateOf } from '@keyfleet/shared/stored/due-entries';
import { expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { defaultKeyPolicy } from '../policy/default-key-policy.ts';
import { decodeKey, encodeKey } from './key-record.ts';
import { parseRecord } from './records.ts';
import { sealedPartOfKey } from './sealed-part.ts';

const region = 'us-east-1';
const accountId = '111122223333';
const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';
const [first, second] = ['ab'.repeat(32), 'cd'.repeat(32)];
const token = Buffer.from('token');

const key: KmsKey = {
  revision: 1,
  keyId,
  arn: `arn:aws:kms:${region}:${accountId}:key/${keyId}`,
  accountId,
  region,
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
  origin: 'EXTERNAL',
  multiRegion: false,
  description: '',
  state: 'PendingImport',
  createdAt: 1000,
  policy: defaultKeyPolicy('aws', accountId),
  tags: [],
  backingKeys: [],
};

/** A record of version 1. */
function formerRecord(changes: object): string {
  return JSON.stringify({ schemaVersion: 1, ...key, ...changes });
}

const decoded = (text: string) => decodeKey(text, { region, keyId });

test('a record from when keys took one imported material says the same in the form of today', () => {
  const held = { materialId: first, token: token.toString('base64'), createdAt: 2000 };
  const imported = { materialId: first, description: 'safe A', validTo: 5000 };
  const record = formerRecord({ imported, backingKeys: [held] });
  expect(decoded(record).backingKeys).toEqual([
    { materialId: first, token, createdAt: 2000, description: 'safe A', validTo: 5000 },
  ]);
  const notHere = formerRecord({ imported: { materialId: first } });
  expect(decoded(notHere).backingKeys).toEqual([{ materialId: first, createdAt: 1000 }]);
  expect(decoded(formerRecord({})).backingKeys).toEqual([]);
  expect([dueDateOf(JSON.parse(record) as KmsKey), dueDateOf(decoded(record))]).toEqual([5000, 5000]);
});

test('the bytes of a record keep no block of the pool from which Node takes small buffers', () => {
  const text = encodeKey({ ...key, backingKeys: [{ materialId: first, token, createdAt: 1 }] });
  const read = decoded(text).backingKeys[0]!.token!;
  expect(Buffer.from(read)).toEqual(token);
  expect(read.buffer.byteLength).toBe(token.length);
});

test('a record of several materials is read as it was written, also of those that are not there', () => {
  const backingKeys = [
    { materialId: first, createdAt: 1, description: 'safe A' },
    { materialId: second, token, createdAt: 2, pending: true as const, validTo: 9000 },
  ];
  expect(decoded(encodeKey({ ...key, backingKeys })).backingKeys).toEqual(backingKeys);
  expect(dueDateOf({ ...key, backingKeys })).toBe(9000);
});

test('usual values are not in the record, and are read as they were', () => {
  expect(JSON.parse(encodeKey(key))).toEqual({
    schemaVersion: 2,
    revision: 1,
    keyId,
    accountId,
    region,
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    origin: 'EXTERNAL',
    state: 'PendingImport',
    createdAt: 1000,
    backingKeys: [],
  });
  expect(decoded(encodeKey(key))).toEqual(key);
});

test.each<Partial<KmsKey>>([
  { policy: '{}' },
  { policy: defaultKeyPolicy('aws', '444455556666') },
  { policy: defaultKeyPolicy('aws', accountId).replaceAll(' ', '') },
  { policy: defaultKeyPolicy('aws', accountId), arn: key.arn.replace('arn:aws:', 'arn:aws-cn:') },
  { policy: defaultKeyPolicy('aws-cn', accountId), arn: key.arn.replace('arn:aws:', 'arn:aws-cn:') },
  { multiRegion: true, description: 'mine', tags: [{ TagKey: 'team', TagValue: '' }] },
])('%j is read as it was written, and the same again from version 1', (changes) => {
  const unusual = { ...key, ...changes };
  expect(decoded(encodeKey(unusual))).toEqual(unusual);
  expect(decoded(formerRecord(changes))).toEqual(unusual);
});

test('an ARN that is not the key’s is not stored', () => {
  expect(() => encodeKey({ ...key, arn: `${key.arn}0` })).toThrow('is not the ARN of key');
});

test.each([
  [
    'a later version',
    encodeKey(key).replace('"schemaVersion":2', '"schemaVersion":3'),
    'version is 3 and this release knows 1 to 2',
  ],
  ['no version', encodeKey(key).replace('"schemaVersion":2,', ''), 'version is undefined'],
  ['version 1 without a policy', formerRecord({ policy: undefined }), 'does not have the form of its schema version'],
  ['version 2 with an ARN', formerRecord({ schemaVersion: 2 }), 'does not have the form of its schema version'],
])('%s is refused', (_, text, why) => {
  expect(() => decoded(text)).toThrow(why);
});

test('a release that knows version 1 only refuses what is written now', () => {
  expect(() => parseRecord(encodeKey(key), 'key', 1)).toThrow('its schema version is 2 and this release knows 1');
});

test.each([encodeKey, ({ backingKeys }: KmsKey) => formerRecord({ backingKeys: encoded(backingKeys) })])(
  'only tokens that are there are sealed again, each in its place, and the record keeps its version (%#)',
  (encode) => {
    const backingKeys = [
      { materialId: first, createdAt: 1 },
      { materialId: second, token, createdAt: 2 },
    ];
    const text = encode({ ...key, backingKeys });
    const part = sealedPartOfKey(text, `${region}/${keyId}`);
    expect(part.tokens).toEqual([token]);
    const again = part.encodeWith([Buffer.from('again')]);
    expect(again.slice(0, 18)).toBe(text.slice(0, 18));
    const resealed = decoded(again);
    expect(resealed).toEqual({
      ...key,
      revision: 2,
      backingKeys: [backingKeys[0], { ...backingKeys[1], token: Buffer.from('again') }],
    });
    expect(resealed.backingKeys[0]).not.toHaveProperty('token');
  },
);

function encoded(backingKeys: KmsKey['backingKeys']): object[] {
  return backingKeys.map((one) => ({ ...one, ...(one.token && { token: Buffer.from(one.token).toString('base64') }) }));
}
