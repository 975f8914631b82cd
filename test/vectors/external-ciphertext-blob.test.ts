import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { expect, test } from 'vitest';
import {
  associatedDataOf,
  joinExternalBlob,
  parseExternalBlob,
} from '../../services/frontend/src/xks/external-blob.ts';
import { integrityValueOf } from '../../services/frontend/src/xks/wire.ts';

interface Vector {
  readonly comment: string;
  readonly inner: string;
  readonly iv: string;
  readonly metadata: string;
  readonly ciphertext: string;
  readonly tag: string;
  readonly blob: string;
  readonly expect: 'success' | 'cannot-open';
}

const file = join(import.meta.dirname, 'kms/external-ciphertext-blob.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

test.each(vectors)('blob of an external key store: $comment', (vector) => {
  const blob = hex(vector.blob);
  if (vector.expect !== 'success') {
    expect(() => parseExternalBlob(blob)).toThrow(FormatError);
    return;
  }
  const parts = {
    associatedData: associatedDataOf(hex(vector.inner)),
    iv: hex(vector.iv),
    metadata: hex(vector.metadata),
    ciphertext: hex(vector.ciphertext),
    tag: hex(vector.tag),
  };
  expect(joinExternalBlob(parts).toString('hex')).toBe(vector.blob);
  expect(parseExternalBlob(blob)).toEqual(parts);
});

test("the specification's own example has its integrity value", () => {
  const parts = {
    ciphertext: Buffer.from('ghxkK1txeDNn3q8Y', 'base64'),
    metadata: Buffer.from('a2V5X3ZlcnNpb249MQ==', 'base64'),
    iv: Buffer.from('HMrlRw85cAJUd5Ax', 'base64'),
    tag: Buffer.from('vBxN2ncH1oEkR8WVXpmyYQ==', 'base64'),
  };
  const value = integrityValueOf(Buffer.from('project=nile,department=marketing'), parts).toString('base64');
  expect(value).toBe('qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=');
});
