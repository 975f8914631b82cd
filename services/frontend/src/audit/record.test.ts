import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { accountId, FakeFrontend, region } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, expect, test } from 'vitest';
import type { AuditRecord } from './record.ts';

const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;

let frontend: FakeFrontend;
let arn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  arn = KeyMetadata?.Arn ?? '';
});

/** What all records of the caller have. */
const always = {
  eventVersion: '1.11',
  userIdentity: {
    type: 'IAMUser',
    principalId: 'AIDAALICE',
    arn: `arn:aws:iam::${accountId}:user/alice`,
    accountId,
    accessKeyId: 'AKIAALICE',
  },
  eventTime: '2026-11-23T12:00:00.000Z',
  eventSource: 'kms.amazonaws.com',
  awsRegion: region,
  sourceIPAddress: '192.0.2.1',
  userAgent: 'test',
  requestID: 'request-1',
  eventID: uuid,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: accountId,
  eventCategory: 'Management',
} as const;

test('a record of what was done has these members and no others', async () => {
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId: arn, Plaintext: Buffer.from('secret') });
  await frontend.call(Decrypt, { CiphertextBlob });
  const expected: AuditRecord = {
    ...always,
    eventName: 'Decrypt',
    requestParameters: { encryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
    responseElements: null,
    additionalEventData: { keyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    readOnly: true,
    resources: [{ accountId, type: 'AWS::KMS::Key', ARN: arn }],
  };
  expect(frontend.lastAudit).toEqual(expected);
});

test('a record of what was refused has these members and no others', async () => {
  const missing = arn.replace(/.{12}$/, '000000000000');
  await frontend.refusal(Encrypt, { KeyId: missing, Plaintext: Buffer.from('secret') });
  const expected: AuditRecord = {
    ...always,
    eventName: 'Encrypt',
    errorCode: 'NotFoundException',
    errorMessage: `Key '${missing}' does not exist`,
    requestParameters: { keyId: missing, encryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
    responseElements: null,
    readOnly: true,
  };
  expect(frontend.lastAudit).toEqual(expected);
});
