import { beforeEach, expect, test } from 'vitest';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey } from '@keyfleet/shared/api/keys';
import type { Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { type Shape, structureOf } from '@keyfleet/shared/api/shape';
import { accountId, FakeFrontend, region } from '@keyfleet/test-support/fakes/frontend';
import { type AuditRecord, newDisclosure } from './record.ts';

const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;

let frontend: FakeFrontend;
let arn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  arn = KeyMetadata?.Arn ?? '';
});

/** Members common to all of the caller's records. */
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

const secretText = 'SECRET';

/** A value of the shape with a secret in every place that may hold one. */
function valueOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'blob':
      return Buffer.from(secretText);
    case 'text':
      return shape.secret ? secretText : 'open';
    case 'list':
      return [valueOf(shape.item)];
    case 'structure':
      return Object.fromEntries(shape.members.map(({ name, shape: member }) => [name, valueOf(member)]));
    case 'map':
      return { key: 'open' };
    case 'choice':
      return shape.values[0];
    case 'integer':
      return shape.min;
    case 'flag':
      return true;
    case 'timestamp':
      return 0;
  }
}

test.each(Object.values<Operation>(operations))('$name shows no bytes and no secret', (operation) => {
  const disclosure = newDisclosure();
  const input = valueOf(structureOf(operation.input.shape)) as Record<string, unknown>;
  const output = operation.output ? valueOf(structureOf(operation.output.shape)) : undefined;
  const shown = [disclosure.input(operation, input), disclosure.output(operation, output, 'arn')];
  const text = shown.join();
  expect(text).not.toContain(secretText);
  expect(text).not.toContain('"type":"Buffer"');
  expect(text).not.toContain(Buffer.from(secretText).toString('base64'));
  const [request, response] = shown.map((json) => JSON.parse(json) as unknown);
  if ('KeyId' in operation.input.shape) expect(request).toMatchObject({ keyId: 'open' });
  expect(response).toMatchObject({ keyId: 'arn' });
});
