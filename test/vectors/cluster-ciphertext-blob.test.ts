import { createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { expect, test } from 'vitest';
import {
  associatedDataOf,
  joinClusterBlob,
  parseClusterBlob,
} from '../../services/frontend/src/cloudhsm/cluster-blob.ts';

interface Vector {
  readonly comment: string;
  readonly inner: string;
  /** In a token nobody has it. */
  readonly tokenKey: string;
  readonly iv: string;
  readonly blob: string;
  readonly expect: 'success' | 'cannot-open';
}

const file = join(import.meta.dirname, 'kms/cluster-ciphertext-blob.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

test.each(vectors)('blob of a CloudHSM key store: $comment', (vector) => {
  const blob = hex(vector.blob);
  if (vector.expect !== 'success') {
    expect(() => parseClusterBlob(blob)).toThrow(FormatError);
    return;
  }
  const parts = parseClusterBlob(blob);
  expect(parts).toMatchObject({ associatedData: associatedDataOf(hex(vector.inner)), iv: hex(vector.iv) });
  const opening = createDecipheriv('aes-256-gcm', hex(vector.tokenKey), parts.iv, { authTagLength: 16 });
  opening.setAAD(parts.associatedData).setAuthTag(parts.tag);
  expect(Buffer.concat([opening.update(parts.ciphertext), opening.final()]).toString('hex')).toBe(vector.inner);
  expect(joinClusterBlob(parts).toString('hex')).toBe(vector.blob);
});
