import { beforeEach, describe, expect, test } from 'vitest';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey } from '@keyfleet/shared/api/keys';
import type { Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type Shape, structureOf, text } from '@keyfleet/shared/api/shape';
import { accountId, FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { z } from 'zod';
import { ShownOnce } from '../identities/shown-once.ts';
import { Audit, type AuditRecord, newDisclosure } from './record.ts';

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

test('a record calls a user a user, whatever its path looks like', async () => {
  const path = `arn:aws:iam::${accountId}:user/x:sts:/bob`;
  await frontend.call(Encrypt, { KeyId: arn, Plaintext: Buffer.from('a') }, { caller: user('bob', { arn: path }) });
  expect(frontend.lastAudit?.userIdentity).toMatchObject({ type: 'IAMUser', arn: path });
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

describe('a record of IAM or STS', () => {
  const recorded = (attempt: object): AuditRecord => {
    const lines: string[] = [];
    const audit = new Audit({ isFull: false, write: (line) => void lines.push(line) }, { now: () => 0 });
    const request = { requestId: 'r', sourceIpAddress: '192.0.2.1' };
    audit.record({ name: 'X', service: 'iam', request, userAgent: 'test', input: {}, keys: [], ...attempt } as never);
    expect(lines.join()).not.toContain('SECRET');
    return JSON.parse(lines[0]!) as AuditRecord;
  };
  const input = z.object({});
  const AccessKey = {
    UserName: 'bob',
    AccessKeyId: 'AKIABOB',
    SecretAccessKey: new ShownOnce('SECRET'),
    CreateDate: new Date(Date.UTC(2026, 10, 27, 9, 5, 7)),
  };

  test("has the answer to a change in CloudTrail's form, without what is shown once", () => {
    const Tags = [{ Key: 'Team', Value: 'Red' }];
    const query = { readOnly: false, input };
    expect(recorded({ query, output: { AccessKey, Tags, PackedPolicySize: 3 } }).responseElements).toEqual({
      accessKey: { userName: 'bob', accessKeyId: 'AKIABOB', createDate: 'Nov 27, 2026, 9:05:07 AM' },
      tags: [{ key: 'Team', value: 'Red' }],
      packedPolicySize: 3,
    });
  });

  test('has no half of a character where a message was cut', () => {
    const exception = new KmsException('ValidationException', `${'a'.repeat(1_023)}😀`);
    expect(recorded({ exception }).errorMessage).toBe(`${'a'.repeat(1_023)}\uFFFD`);
  });

  test('has of a caller that proved nothing, or is beyond its rate, its parameters only if they are short', () => {
    const query = { readOnly: false, input: z.object({ Policy: text() }) };
    const of = (length: number, arn: string, exception?: KmsException) => {
      const caller = { arn, accountId: '', userId: '', accessKeyId: '', policies: [] };
      const call = { caller, region: '' };
      return recorded({ query, input: { Policy: '"'.repeat(length) }, call, exception }).requestParameters;
    };
    const bob = `arn:aws:iam::${accountId}:user/bob`;
    const throttled = new KmsException('ThrottlingException', 'Rate exceeded');
    expect(of(9, '')).toEqual({ policy: '"'.repeat(9) });
    expect(of(1_000, '')).toBeNull();
    expect(of(1_000, bob)).toEqual({ policy: '"'.repeat(1_000) });
    expect(of(9, bob, throttled)).toEqual({ policy: '"'.repeat(9) });
    expect(of(1_000, bob, throttled)).toBeNull();
    expect(of(1_000, bob, new KmsException('LimitExceededException'))).toEqual({ policy: '"'.repeat(1_000) });
    expect(of(51_000, bob)).toEqual({ policy: '"'.repeat(51_000) });
    expect(of(52_000, bob)).toBeNull();
  });

  test.each([
    ['that only reads', { query: { readOnly: true, input }, output: { AccessKey } }],
    ['that answers nothing', { query: { readOnly: false, input }, output: undefined }],
    ['that answers nothing in a result', { query: { readOnly: false, input }, output: {} }],
    ['that is refused', { query: { readOnly: false, input }, exception: new KmsException('ValidationException', '') }],
    ['that there is not', { query: undefined }],
  ])('has none of one %s', (_, attempt) => {
    expect(recorded(attempt).responseElements).toBeNull();
  });
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
