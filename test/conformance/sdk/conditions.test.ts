import { createKmsClient } from '@keyfleet/client';
import { kms, newKms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { afterAll, expect, inject, test } from 'vitest';

const { credentials, grpcAddress } = inject('cluster');
const other = inject('otherAccount');
const stranger = newKms({ endpoint: other.endpoint, credentials: other.credentials });
const overGrpc = createKmsClient({ address: grpcAddress, region: 'us-east-1', credentials });

afterAll(() => overGrpc[Symbol.dispose]());

const Plaintext = Buffer.from('attack at dawn');
const administrators = { Principal: { AWS: 'arn:aws:iam::000000000000:root' } };

/** A key whose administrators may do everything but what the statements deny. */
async function newKey(...statements: object[]): Promise<{ KeyId: string; Arn: string }> {
  const whole = [administrators, ...statements].map((statement) => ({
    Effect: 'Allow',
    Principal: '*',
    Action: 'kms:*',
    Resource: '*',
    ...statement,
  }));
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: whole });
  const { KeyMetadata } = await kms.createKey({ Policy });
  return { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
}

/** Denies using the key unless the condition holds. */
const unless = (Condition: object) => ({
  Effect: 'Deny',
  Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'],
  Condition,
});

const denied = /^AccessDeniedException: .* with an explicit deny in a resource-based policy$/;

test('a key policy asks for an encryption context, over HTTP and gRPC', async () => {
  const { KeyId } = await newKey(unless({ StringNotEquals: { 'kms:EncryptionContext:App': 'payroll' } }));
  const EncryptionContext = { app: 'payroll' };
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
  expect(await refusalOf(kms.encrypt({ KeyId, Plaintext, EncryptionContext: { app: 'other' } }))).toMatch(denied);
  expect(await refusalOf(kms.encrypt({ KeyId, Plaintext }))).toMatch(denied);
  expect((await overGrpc.Decrypt({ CiphertextBlob: CiphertextBlob!, EncryptionContext })).Plaintext).toEqual(Plaintext);
  await expect(overGrpc.Decrypt({ CiphertextBlob: CiphertextBlob! })).rejects.toThrow(
    /is not authorized to perform: kms:Decrypt/,
  );
});

test('a key policy asks for the alias by which the key is named', async () => {
  const { KeyId } = await newKey(unless({ StringNotLike: { 'kms:RequestAlias': 'alias/conditions/*' } }));
  await kms.createAlias({ AliasName: 'alias/conditions/one', TargetKeyId: KeyId });
  await kms.createAlias({ AliasName: 'alias/otherwise', TargetKeyId: KeyId });
  expect((await kms.describeKey({ KeyId: 'alias/conditions/one' })).KeyMetadata!.KeyId).toBe(KeyId);
  expect(await refusalOf(kms.describeKey({ KeyId: 'alias/otherwise' }))).toMatch(denied);
  expect(await refusalOf(kms.describeKey({ KeyId }))).toMatch(denied);
});

test('a key policy asks for an address and a date, over HTTP and gRPC', async () => {
  const here = await newKey(unless({ NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }));
  const elsewhere = await newKey(unless({ NotIpAddress: { 'aws:SourceIp': ['192.0.2.0/24', '2001:db8::/32'] } }));
  const now = await newKey(unless({ DateGreaterThan: { 'aws:CurrentTime': '2126-01-01T00:00:00Z' } }));
  const past = await newKey(unless({ DateGreaterThan: { 'aws:CurrentTime': '2026-01-01T00:00:00Z' } }));
  for (const { KeyId } of [here, now]) {
    await kms.encrypt({ KeyId, Plaintext });
    await overGrpc.Encrypt({ KeyId, Plaintext });
  }
  for (const { KeyId } of [elsewhere, past]) {
    expect(await refusalOf(kms.encrypt({ KeyId, Plaintext }))).toMatch(denied);
    await expect(overGrpc.Encrypt({ KeyId, Plaintext })).rejects.toThrow(
      /with an explicit deny in a resource-based policy/,
    );
  }
});

test('a policy asks for the tags that a request gives', async () => {
  const { KeyId } = await newKey({
    Effect: 'Deny',
    Action: 'kms:TagResource',
    Condition: { 'ForAnyValue:StringNotEquals': { 'aws:TagKeys': ['team', 'cost'] } },
  });
  await kms.tagResource({ KeyId, Tags: [{ TagKey: 'team', TagValue: 'payments' }] });
  expect(await refusalOf(kms.tagResource({ KeyId, Tags: [{ TagKey: 'free', TagValue: 'x' }] }))).toMatch(denied);
});

test('another account uses a key that its policy shares, under the condition that it makes', async () => {
  const { Arn } = await newKey({
    Principal: { AWS: `arn:aws:iam::${other.accountId}:root` },
    Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'],
    Condition: { StringEqualsIfExists: { 'kms:EncryptionContext:for': '${aws:username}' } },
  });
  expect((await stranger.describeKey({ KeyId: Arn })).KeyMetadata!.Arn).toBe(Arn);
  const EncryptionContext = { for: 'other' };
  const { CiphertextBlob, KeyId } = await stranger.encrypt({ KeyId: Arn, Plaintext, EncryptionContext });
  expect(KeyId).toBe(Arn);
  const { Plaintext: opened } = await kms.decrypt({ CiphertextBlob, EncryptionContext });
  expect(Buffer.from(opened!)).toEqual(Plaintext);
  expect(await refusalOf(stranger.encrypt({ KeyId: Arn, Plaintext, EncryptionContext: { for: 'me' } }))).toMatch(
    /on this resource because the resource does not exist in this Region, no resource-based policies allow access/,
  );
  expect(await refusalOf(stranger.getPublicKey({ KeyId: Arn }))).toMatch(
    /on this resource because the resource does not exist/,
  );
  expect(await refusalOf(stranger.disableKey({ KeyId: Arn }))).toMatch(
    /on this resource because the resource does not exist/,
  );
});

test('a condition that could never hold is refused when it is put', async () => {
  const refusal = (Condition: object) => refusalOf(newKey({ ...administrators, Condition }));
  expect(await refusal({ StringEquals: { 'aws:ResourceTag/team': 'x' } })).toBe(
    'MalformedPolicyDocumentException: These condition keys are not permitted in a key policy: aws:ResourceTag',
  );
  expect(await refusal({ StringEquals: { 'kms:Typo': 'x' } })).toBe(
    'MalformedPolicyDocumentException: Policy contains a statement with one or more invalid condition keys: kms:Typo.',
  );
  expect(await refusal({ IpAddress: { 'aws:SourceIp': '127.0.0.1/99' } })).toBe(
    'MalformedPolicyDocumentException: The condition operator IpAddress does not take the value "127.0.0.1/99".',
  );
});
