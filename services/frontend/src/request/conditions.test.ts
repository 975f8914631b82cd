import { CreateAlias, DeleteAlias } from '@keyfleet/shared/api/aliases';
import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import { CreateGrant } from '@keyfleet/shared/api/grants';
import { GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { CreateKey, DescribeKey, DisableKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { EnableKeyRotation } from '@keyfleet/shared/api/rotation';
import { Sign } from '@keyfleet/shared/api/sign';
import { TagResource, UntagResource } from '@keyfleet/shared/api/tags';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { accountId, FakeFrontend, policyOf, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend<LocalHsm>;
beforeEach(() => {
  frontend = new FakeFrontend(new LocalHsm());
});

const Plaintext = Buffer.from('attack at dawn');
const day = 86_400_000;

/** A user whose identity policy has these statements. */
const bob = (...statements: object[]) => ({ caller: user('bob', { policies: [policyOf(...statements)] }) });

async function newKey(input: object = {}): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, input);
  return KeyMetadata!.KeyId!;
}

const inContext = (pairs: Record<string, string>) => ({ EncryptionContext: pairs });

test('an encryption context is a condition of encrypting and of decrypting, whatever the case of its name in the policy', async () => {
  const KeyId = await newKey();
  const as = bob({ Condition: { StringEquals: { 'kms:encryptioncontext:tenant': 'acme' } } });
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, ...inContext({ Tenant: 'acme' }) }, as)).toBe(true);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, ...inContext({ Tenant: 'Acme' }) }, as)).toBe(false);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, as)).toBe(false);
  // Two names that differ only in case: it is undecidable which is meant.
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, ...inContext({ Tenant: 'acme', tenant: 'other' }) }, as)).toBe(
    false,
  );
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext, ...inContext({ tenant: 'acme' }) });
  expect(await frontend.may(Decrypt, { CiphertextBlob, ...inContext({ tenant: 'acme' }) }, as)).toBe(true);
  expect(await frontend.may(Decrypt, { CiphertextBlob }, as)).toBe(false);
});

test('two names that differ only in case get nobody past a Deny, or into an Allow, whose variable is one of them', async () => {
  const Condition = (operator: string) => ({
    [operator]: { 'aws:PrincipalTag/banned': '${kms:EncryptionContext:tenant}' },
  });
  const tags = new Map([['banned', 'acme']]);
  const KeyId = await newKey();
  const mayEncrypt = (policy: string, context: Record<string, string>) =>
    frontend.may(
      Encrypt,
      { KeyId, Plaintext, ...inContext(context) },
      { caller: user('bob', { tags, policies: [policy] }) },
    );
  const denied = policyOf({}, { Effect: 'Deny', Condition: Condition('StringEquals') });
  expect(await mayEncrypt(denied, { tenant: 'other' })).toBe(true);
  expect(await mayEncrypt(denied, { tenant: 'acme' })).toBe(false);
  expect(await mayEncrypt(denied, { tenant: 'acme', Tenant: 'other' })).toBe(false);
  const allowed = policyOf({ Condition: Condition('StringNotEquals') });
  expect(await mayEncrypt(allowed, { tenant: 'other' })).toBe(true);
  expect(await mayEncrypt(allowed, { tenant: 'acme' })).toBe(false);
  expect(await mayEncrypt(allowed, { tenant: 'acme', Tenant: 'other' })).toBe(false);
});

test.each<[constraints: object | undefined, type: 'Equals' | 'Subset' | 'none']>([
  [undefined, 'none'],
  [{}, 'none'],
  [{ EncryptionContextSubset: {} }, 'none'],
  [{ EncryptionContextSubset: { a: 'b' } }, 'Subset'],
  [{ EncryptionContextEquals: { a: 'b' } }, 'Equals'],
  // Without a context.
  [{ EncryptionContextEquals: {} }, 'Equals'],
])('of a grant with the constraints %j the type is %s: what constrains nothing is none', async (Constraints, type) => {
  const KeyId = await newKey();
  const input = { KeyId, GranteePrincipal: user('carol').arn, Operations: ['Encrypt' as const], Constraints };
  const may = (Condition: object) => frontend.may(CreateGrant, input, bob({ Condition }));
  const isOfType = (name: string) => may({ StringEquals: { 'kms:GrantConstraintType': `EncryptionContext${name}` } });
  expect(await isOfType('Equals')).toBe(type === 'Equals');
  expect(await isOfType('Subset')).toBe(type === 'Subset');
  expect(await may({ Null: { 'kms:GrantConstraintType': 'true' } })).toBe(type === 'none');
});

test('the names of an encryption context are a condition', async () => {
  const KeyId = await newKey();
  const as = bob({
    Condition: {
      'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['a', 'b'] },
      Null: { 'kms:EncryptionContextKeys': 'false' },
    },
  });
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, ...inContext({ a: '1', b: '2' }) }, as)).toBe(true);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, ...inContext({ a: '1', c: '2' }) }, as)).toBe(false);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, as)).toBe(false);
});

test('an algorithm is a condition also when the request left it out, and so is the kind of a message', async () => {
  const KeyId = await newKey();
  const symmetric = bob({ Condition: { StringEquals: { 'kms:EncryptionAlgorithm': 'SYMMETRIC_DEFAULT' } } });
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, symmetric)).toBe(true);
  expect(await frontend.may(GenerateDataKey, { KeyId, KeySpec: 'AES_256' }, symmetric)).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId }, symmetric)).toBe(false);

  const signing = await newKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  const raw = bob({
    Condition: { StringEquals: { 'kms:MessageType': 'RAW', 'kms:SigningAlgorithm': 'ECDSA_SHA_256' } },
  });
  const request = { KeyId: signing, Message: Buffer.alloc(32, 1), SigningAlgorithm: 'ECDSA_SHA_256' };
  expect(await frontend.may(Sign, request, raw)).toBe(true);
  expect(await frontend.may(Sign, { ...request, MessageType: 'DIGEST' }, raw)).toBe(false);
});

test('the alias by which a request names its key is a condition, and so are the aliases that the key has', async () => {
  const KeyId = await newKey();
  await frontend.call(CreateAlias, { AliasName: 'alias/app/1', TargetKeyId: KeyId });
  await frontend.call(CreateAlias, { AliasName: 'alias/else', TargetKeyId: KeyId });
  const arn = `arn:aws:kms:us-east-1:${accountId}:alias/app/1`;
  const byAlias = bob({ Condition: { StringLike: { 'kms:RequestAlias': 'alias/app/*' } } });
  expect(await frontend.may(DescribeKey, { KeyId: 'alias/app/1' }, byAlias)).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId: arn }, byAlias)).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId: 'alias/else' }, byAlias)).toBe(false);
  expect(await frontend.may(DescribeKey, { KeyId }, byAlias)).toBe(false);

  const withAlias = bob({ Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/app/1' } } });
  expect(await frontend.may(DescribeKey, { KeyId }, withAlias)).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId: await newKey() }, withAlias)).toBe(false);
  await frontend.call(DeleteAlias, { AliasName: 'alias/app/1' });
  expect(await frontend.may(DescribeKey, { KeyId }, withAlias)).toBe(false);

  // An alias is not a key.
  const onAlias = bob({ Resource: arn });
  expect(await frontend.may(DescribeKey, { KeyId: 'alias/else' }, onAlias)).toBe(false);
});

test('where nobody can tell which aliases a key has, an Allow that asks for them does not hold, and a Deny does', async () => {
  const KeyId = await newKey();
  await frontend.call(CreateAlias, { AliasName: 'alias/mine', TargetKeyId: KeyId });
  const of = (name: string) => ({ 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': name } });
  const allowed = bob({ Condition: of('alias/mine') });
  const denied = bob({}, { Effect: 'Deny', Condition: of('alias/else') });
  const may = () => Promise.all([allowed, denied].map((as) => frontend.may(DescribeKey, { KeyId }, as)));
  expect(await may()).toEqual([true, true]);
  const { items } = await frontend.store.listAliases({ accountId, region: 'us-east-1' }, 1);
  for (const lacking of [{ isLacking: true }, { next: 'alias/mine' }]) {
    frontend.store.listAliases = async () => ({ items, ...lacking });
    expect(await may()).toEqual([false, false]);
  }
});

test('tags of a key and of a request are conditions', async () => {
  const KeyId = await newKey({ Tags: [{ TagKey: 'Team', TagValue: 'payments' }] });
  const ofTeam = (team: string) => bob({ Condition: { StringEquals: { 'aws:ResourceTag/team': team } } });
  expect(await frontend.may(DescribeKey, { KeyId }, ofTeam('payments'))).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId }, ofTeam('other'))).toBe(false);
  const own = user('carol', {
    policies: [policyOf({ Condition: { StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } } })],
    tags: new Map([['team', 'payments']]),
  });
  expect(await frontend.may(DescribeKey, { KeyId }, { caller: own })).toBe(true);

  const tagged = (TagKey: string, TagValue: string) => ({ Tags: [{ TagKey, TagValue }] });
  const mustTag = bob({
    Condition: {
      StringEquals: { 'aws:RequestTag/team': 'payments' },
      'ForAllValues:StringEquals': { 'aws:TagKeys': ['team'] },
    },
  });
  expect(await frontend.may(CreateKey, tagged('team', 'payments'), mustTag)).toBe(true);
  expect(await frontend.may(CreateKey, tagged('team', 'other'), mustTag)).toBe(false);
  expect(await frontend.may(CreateKey, {}, mustTag)).toBe(false);
  expect(await frontend.may(TagResource, { KeyId, ...tagged('team', 'payments') }, mustTag)).toBe(true);
  const mayUntag = bob({ Condition: { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['temporary'] } } });
  expect(await frontend.may(UntagResource, { KeyId, TagKeys: ['temporary'] }, mayUntag)).toBe(true);
  expect(await frontend.may(UntagResource, { KeyId, TagKeys: ['team'] }, mayUntag)).toBe(false);
});

test('what a key is, and what it is to be, is a condition', async () => {
  const symmetric = bob({
    Condition: { StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT', 'kms:KeyOrigin': 'AWS_KMS' } },
  });
  expect(await frontend.may(CreateKey, {}, symmetric)).toBe(true);
  expect(await frontend.may(CreateKey, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }, symmetric)).toBe(false);
  expect(await frontend.may(DescribeKey, { KeyId: await newKey() }, symmetric)).toBe(true);
  const mac = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  expect(await frontend.may(DescribeKey, { KeyId: mac }, symmetric)).toBe(false);
  const single = bob({
    Condition: { Bool: { 'kms:MultiRegion': 'false' }, StringEquals: { 'kms:CallerAccount': accountId } },
  });
  expect(await frontend.may(DescribeKey, { KeyId: mac }, single)).toBe(true);
});

test('ReEncrypt is asked of each key with its own context, and whether they are one', async () => {
  const [KeyId, other] = [await newKey(), await newKey()];
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext, ...inContext({ app: 'old' }) });
  const as = bob(
    { Action: 'kms:ReEncryptFrom', Condition: { StringEquals: { 'kms:EncryptionContext:app': 'old' } } },
    { Action: 'kms:ReEncryptTo', Condition: { StringEquals: { 'kms:EncryptionContext:app': 'new' } } },
  );
  const move = { CiphertextBlob, SourceEncryptionContext: { app: 'old' }, DestinationKeyId: other };
  expect(await frontend.may(ReEncrypt, { ...move, DestinationEncryptionContext: { app: 'new' } }, as)).toBe(true);
  expect(await frontend.may(ReEncrypt, { ...move, DestinationEncryptionContext: { app: 'old' } }, as)).toBe(false);
  const same = bob({ Condition: { Bool: { 'kms:ReEncryptOnSameKey': 'true' } } });
  expect(await frontend.may(ReEncrypt, { ...move, DestinationKeyId: KeyId }, same)).toBe(true);
  expect(await frontend.may(ReEncrypt, move, same)).toBe(false);
});

test('a key that is in use cannot be switched off where a policy forbids it', async () => {
  const KeyId = await newKey();
  const as = bob(
    {},
    {
      Effect: 'Deny',
      Action: ['kms:DisableKey', 'kms:ScheduleKeyDeletion'],
      Condition: { NumericLessThan: { 'kms:TrailingDaysWithoutKeyUsage': '30' } },
    },
  );
  // An unused key counts as used when it was created.
  expect(await frontend.may(DisableKey, { KeyId }, as)).toBe(false);
  frontend.now += 20 * day;
  await frontend.call(Encrypt, { KeyId, Plaintext });
  frontend.now += 29 * day;
  expect(await frontend.may(DisableKey, { KeyId }, as)).toBe(false);
  frontend.now += day;
  expect(await frontend.may(DisableKey, { KeyId }, as)).toBe(true);
});

test('numbers of a request are conditions, with the default if it left them out', async () => {
  const KeyId = await newKey();
  const slowly = bob({
    Condition: { NumericGreaterThanEquals: { 'kms:ScheduleKeyDeletionPendingWindowInDays': '30' } },
  });
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, slowly)).toBe(false);
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, slowly)).toBe(true);
  const yearly = bob({ Condition: { NumericEquals: { 'kms:RotationPeriodInDays': '365' } } });
  const rotating = await newKey();
  expect(await frontend.may(EnableKeyRotation, { KeyId: rotating, RotationPeriodInDays: 90 }, yearly)).toBe(false);
  expect(await frontend.may(EnableKeyRotation, { KeyId: rotating }, yearly)).toBe(true);
});

test('the end of imported material is a condition, as a number of seconds (AWS) and as a date', async () => {
  const KeyId = await newKey({ Origin: 'EXTERNAL' });
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping });
  const EncryptedKeyMaterial = wrapMaterial(wrapping.WrappingAlgorithm, PublicKey!, Buffer.alloc(32, 1));
  /** For how many days, of 29 to 31, the material may be imported. */
  const allowed = async (...statements: object[]) => {
    const days: number[] = [];
    for (const count of [29, 30, 31]) {
      const input = { KeyId, ImportToken, EncryptedKeyMaterial, ValidTo: frontend.now + count * day };
      if (await frontend.may(ImportKeyMaterial, input, bob(...statements))) days.push(count);
    }
    return days;
  };
  const end = frontend.now + 30 * day;
  const number = { 'kms:ValidTo': String(end / 1_000) };
  const date = { 'kms:ValidTo': new Date(end).toJSON() };
  expect(await allowed({ Condition: { NumericLessThanEquals: number } })).toEqual([29, 30]);
  expect(await allowed({ Condition: { NumericGreaterThan: number } })).toEqual([31]);
  expect(await allowed({}, { Effect: 'Deny', Condition: { NumericLessThan: number } })).toEqual([30, 31]);
  expect(await allowed({}, { Effect: 'Deny', Condition: { DateLessThan: date } })).toEqual([30, 31]);
  expect(await allowed({ Condition: { DateEquals: number } })).toEqual([30]);
});
