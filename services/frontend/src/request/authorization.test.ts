import { CreateAlias, UpdateAlias } from '@keyfleet/shared/api/aliases';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey, DisableKey } from '@keyfleet/shared/api/keys';
import { GetKeyPolicy, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { TagResource } from '@keyfleet/shared/api/tags';
import { accountId, FakeFrontend, policyOf, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend<LocalHsm>;
beforeEach(() => {
  frontend = new FakeFrontend(new LocalHsm());
});

const Plaintext = Buffer.from('attack at dawn');

/** A user whose identity policy has these statements. */
const bob = (...statements: object[]) => ({ caller: user('bob', { policies: [policyOf(...statements)] }) });

async function newKey(input: object = {}): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, input);
  return KeyMetadata!.KeyId!;
}

const inContext = (pairs: Record<string, string>) => ({ EncryptionContext: pairs });

test('an alias moves only with the permission on both keys', async () => {
  const [from, to] = [await newKey({ Tags: [{ TagKey: 'mine', TagValue: 'yes' }] }), await newKey()];
  await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: from });
  const as = bob(
    { Resource: 'arn:aws:kms:*:*:alias/*' },
    { Resource: 'arn:aws:kms:*:*:key/*', Condition: { StringEquals: { 'aws:ResourceTag/mine': 'yes' } } },
  );
  expect(await frontend.may(UpdateAlias, { AliasName: 'alias/a', TargetKeyId: to }, as)).toBe(false);
  await frontend.call(TagResource, { KeyId: to, Tags: [{ TagKey: 'mine', TagValue: 'yes' }] });
  expect(await frontend.may(UpdateAlias, { AliasName: 'alias/a', TargetKeyId: to }, as)).toBe(true);
});

test('a policy that lets its author back in only elsewhere, or later, is refused', async () => {
  const KeyId = await newKey();
  const only = (Condition: object) => policyOf({ Principal: { AWS: user('alice').arn }, Condition });
  const put = (Policy: string, more: object = {}) => frontend.refusal(PutKeyPolicy, { KeyId, Policy, ...more });
  const lockout =
    'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.';
  expect(await put(only({ IpAddress: { 'aws:SourceIp': '198.51.100.0/24' } }))).toBe(lockout);
  expect(await put(only({ DateGreaterThan: { 'aws:CurrentTime': '2027-01-01T00:00:00Z' } }))).toBe(lockout);
  expect(await frontend.refusal(CreateKey, { Policy: only({ StringEquals: { 'kms:KeySpec': 'RSA_2048' } }) })).toBe(
    lockout,
  );
  await frontend.call(CreateKey, { Policy: only({ StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT' } }) });
  await frontend.call(PutKeyPolicy, { KeyId, Policy: only({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } }) });
  expect(await frontend.may(GetKeyPolicy, { KeyId })).toBe(true);
});

test('a caller who may not bypass the lockout check is told so', async () => {
  const KeyId = await newKey();
  const as = bob({}, { Effect: 'Deny', Condition: { Bool: { 'kms:BypassPolicyLockoutSafetyCheck': 'true' } } });
  const Policy = policyOf({ Principal: { AWS: `arn:aws:iam::${accountId}:root` } });
  expect(await frontend.may(PutKeyPolicy, { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }, as)).toBe(false);
  expect(await frontend.may(PutKeyPolicy, { KeyId, Policy }, as)).toBe(true);
});

test('another account uses a key where both sides say so, and finds out nothing where they do not', async () => {
  const KeyId = await newKey();
  const arn = `arn:aws:kms:us-east-1:${accountId}:key/${KeyId}`;
  const root = (account: string) => ({ AWS: `arn:aws:iam::${account}:root` });
  const eve = (policies: string[]) => ({ caller: user('eve', { accountId: '999999999999', policies }) });
  const everything = policyOf({});
  const hidden =
    'AccessDeniedException: User: arn:aws:iam::999999999999:user/eve is not authorized to perform: kms:Encrypt on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';
  const missing = arn.replace(KeyId, '00000000-0000-4000-8000-000000000000');
  for (const policies of [[everything], [policyOf({ Effect: 'Deny' })], []]) {
    expect(await frontend.refusal(Encrypt, { KeyId: arn, Plaintext }, eve(policies))).toBe(hidden);
    expect(await frontend.refusal(Encrypt, { KeyId: missing, Plaintext }, eve(policies))).toBe(hidden);
  }
  const shared = policyOf(
    { Principal: root(accountId) },
    {
      Principal: root('999999999999'),
      Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DisableKey'],
      Condition: { StringEquals: { 'kms:EncryptionContext:for': 'eve', 'kms:CallerAccount': '999999999999' } },
    },
  );
  await frontend.call(PutKeyPolicy, { KeyId, Policy: shared });
  const forEve = { KeyId: arn, Plaintext, ...inContext({ for: 'eve' }) };
  expect(await frontend.may(Encrypt, forEve, eve([everything]))).toBe(true);
  expect(await frontend.refusal(Encrypt, { KeyId: arn, Plaintext }, eve([everything]))).toBe(hidden);
  expect(await frontend.refusal(Encrypt, forEve, eve([]))).toBe(
    `AccessDeniedException: User: arn:aws:iam::999999999999:user/eve is not authorized to perform: kms:Encrypt on resource: ${arn} because no identity-based policy allows the kms:Encrypt action`,
  );
  const { CiphertextBlob } = await frontend.call(Encrypt, forEve, eve([everything]));
  expect(await frontend.may(Decrypt, { CiphertextBlob, ...inContext({ for: 'eve' }) }, eve([everything]))).toBe(true);
  expect(await frontend.may(Decrypt, { CiphertextBlob }, eve([everything]))).toBe(false);
  // Only the account itself may manage a key, whatever its policy says.
  expect(await frontend.may(DisableKey, { KeyId: arn }, eve([everything]))).toBe(false);
});

test('a permissions boundary bounds, and the refusal says so', async () => {
  const KeyId = await newKey();
  const caller = user('bob', { boundary: policyOf({ Action: 'kms:Describe*' }) });
  expect(await frontend.may(DescribeKey, { KeyId }, { caller })).toBe(true);
  expect(await frontend.refusal(Encrypt, { KeyId, Plaintext }, { caller })).toMatch(
    /because no permissions boundary allows the kms:Encrypt action$/,
  );
});
