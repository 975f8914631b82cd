import { expect, test } from 'vitest';
import { aliasArn, keyArn, parseKmsArn } from './arn.ts';

const scope = { partition: 'aws', region: 'us-east-1', accountId: '000000000000' };
const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';

test('key and alias ARNs are read as they are written', () => {
  expect(parseKmsArn(keyArn(scope, keyId))).toEqual({ ...scope, kind: 'key', keyId });
  expect(parseKmsArn(aliasArn(scope, 'alias/a:b/c'))).toEqual({ ...scope, kind: 'alias', aliasName: 'alias/a:b/c' });
  expect(keyArn(scope, keyId)).toBe(`arn:aws:kms:us-east-1:000000000000:key/${keyId}`);
});

test.each([
  'arn:aws:s3:us-east-1:000000000000:key/x',
  'arn:aws:kms::000000000000:key/x',
  'arn:aws:kms:us-east-1:42:key/x',
  'arn:aws:kms:us-east-1:000000000000:key/',
  'arn:aws:kms:us-east-1:000000000000:alias/',
  'arn:aws:kms:us-east-1:000000000000:grant/x',
  'arn:aws:kms:us-east-1',
  keyId,
  '',
])('%j is not a KMS ARN', (text) => {
  expect(parseKmsArn(text)).toBeUndefined();
});
