import { type OperationName, operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { beforeEach, expect, test } from 'vitest';
import { accountId, FakeFrontend, region, user } from '../../../../test/support/fakes/frontend.ts';
import { tooMany } from '../grants/grant-store.ts';
import type { RateClass } from '../quotas/rates.ts';

const { CreateKey, Decrypt, DescribeKey, Encrypt, GenerateDataKeyPair, RetireGrant, Sign } = operations;

let frontend: FakeFrontend;
let charged: RateClass[];
beforeEach(() => {
  frontend = new FakeFrontend();
  charged = [];
  frontend.charge = (rateClass) => void charged.push(rateClass);
});

const newKey = async (input: object = {}) => (await frontend.call(CreateKey, input)).KeyMetadata!.KeyId!;

test('a request is charged once, as its operation or as its kind of cryptography', async () => {
  const symmetric = await newKey();
  const signing = await newKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  await frontend.call(Encrypt, { KeyId: symmetric, Plaintext: Buffer.of(1) });
  const sign = { KeyId: signing, Message: Buffer.of(1), SigningAlgorithm: 'ECDSA_SHA_256', DryRun: true };
  await frontend.refusal(Sign, sign);
  await frontend.refusal(GenerateDataKeyPair, { KeyId: symmetric, KeyPairSpec: 'RSA_2048', DryRun: true });
  expect(charged).toEqual([
    'CreateKey',
    'CreateKey',
    'SymmetricCryptography',
    'EccCryptography',
    'GenerateDataKeyPair/RSA_2048',
  ]);
});

test('a refused request is charged too', async () => {
  const KeyId = await newKey();
  const nobody = { caller: user('bob', { policies: [] }) };
  await frontend.refusal(Encrypt, { KeyId, Plaintext: Buffer.of(1) }, nobody);
  await frontend.refusal(DescribeKey, { KeyId }, nobody);
  await frontend.refusal(DescribeKey, { KeyId: 'no-such' });
  expect(charged).toEqual(['CreateKey', 'SymmetricCryptography', 'DescribeKey', 'DescribeKey']);
});

const token = Buffer.alloc(200, 1).toString('base64');
const CiphertextBlob = Buffer.alloc(100);

test.each<[what: string, operation: OperationName, input: object, charged: RateClass]>([
  ['a made-up grant token', 'Encrypt', { Plaintext: Buffer.of(1), GrantTokens: [token] }, 'SymmetricCryptography'],
  ['one with a ciphertext', 'Decrypt', { CiphertextBlob, GrantTokens: [token] }, 'SymmetricCryptography'],
  ['no ciphertext', 'Decrypt', {}, 'SymmetricCryptography'],
  [
    'one of a document that proves nothing',
    'Decrypt',
    { CiphertextBlob, Recipient: { AttestationDocument: Buffer.of(1) }, EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' },
    'RsaCryptography',
  ],
  [
    'one to sign with',
    'Sign',
    { Message: Buffer.of(1), SigningAlgorithm: 'RSASSA_PSS_SHA_256', GrantTokens: [token] },
    'RsaCryptography',
  ],
])('nothing is refused before it is charged, and nothing is done for it: %s, %s', async (_, name, input, rateClass) => {
  const KeyId = await newKey();
  const nobody = { caller: user('bob', { policies: [] }) };
  charged = [];
  const refusal = await frontend.refusal(operations[name], { KeyId, ...input }, nobody);
  expect(charged).toEqual([rateClass]);
  frontend.charge = () => {
    throw new KmsException('ThrottlingException', 'You have exceeded the rate.');
  };
  expect(refusal).not.toMatch('Throttling');
  expect(await frontend.refusal(operations[name], { KeyId, ...input }, nobody)).toMatch(/^ThrottlingException/);
});

test('what a decision reads of the grants beyond the usual is charged to the owner of the key, and ends with its rate', async () => {
  const KeyId = await newKey();
  let read = 0;
  frontend.grants.grantsOf = () => Promise.resolve(tooMany);
  frontend.grants.candidates = async function* () {
    for (; read < 1_000; read++) yield [];
  };
  const pages: string[] = [];
  frontend.charge = (rateClass, { accountId: of }) => {
    if (rateClass !== 'GrantPages') charged.push(rateClass);
    else if (pages.push(of) > 10) throw new KmsException('ThrottlingException', 'You have exceeded the rate.');
  };
  charged = [];
  const bob = { caller: user('bob', { accountId: '999999999999' }) };
  const foreign = `arn:aws:kms:us-east-1:${accountId}:key/${KeyId}`;
  const refusal = await frontend.refusal(Encrypt, { KeyId: foreign, Plaintext: Buffer.of(1) }, bob);
  expect(refusal).toMatch(/^ThrottlingException/);
  expect(new Set(pages)).toEqual(new Set([accountId]));
  expect(charged).toEqual(['SymmetricCryptography']);
  expect(read).toBeLessThan(20);
});

test.each([
  ['the owner', accountId, 'AccessDeniedException'],
  ['the caller', '999999999999', 'ThrottlingException'],
])('that no more policies of %s are compiled tells another account of no key', async (_, over, code) => {
  const KeyId = await newKey();
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.of(1) });
  const key = await frontend.store.findKey(region, KeyId);
  await frontend.store.updateKey({ ...key!, policy: `${key!.policy} ` });
  frontend.compiling = (of) => {
    if (of === over) throw new KmsException('ThrottlingException', 'You have exceeded the rate.');
  };
  const policies = ['{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'];
  const eve = { caller: user('eve', { accountId: '999999999999', policies }) };
  const answers = async (id: string, blob: Uint8Array) => {
    const arn = `arn:aws:kms:us-east-1:${accountId}:key/${id}`;
    return [
      await frontend.refusal(Encrypt, { KeyId: arn, Plaintext: Buffer.of(1) }, eve),
      await frontend.refusal(Decrypt, { CiphertextBlob: blob }, eve),
      await frontend.refusal(RetireGrant, { KeyId: arn, GrantId: 'a'.repeat(64) }, eve),
    ];
  };
  const there = await answers(KeyId, CiphertextBlob!);
  expect(there.map((answer) => answer.split(':')[0])).toEqual([code, code, code]);
  const missing = '00000000-0000-4000-8000-000000000000';
  const ofMissing = Buffer.from(CiphertextBlob!);
  ofMissing.set(Buffer.from(missing.replaceAll('-', ''), 'hex'), 2);
  expect(await answers(missing, ofMissing)).toEqual(there);
});

test('a caller whom the rate refuses learns nothing else', async () => {
  const KeyId = await newKey();
  frontend.charge = () => {
    throw new KmsException('ThrottlingException', 'You have exceeded the rate.');
  };
  const Plaintext = Buffer.of(1);
  expect(await frontend.refusal(Encrypt, { KeyId, Plaintext })).toBe(
    'ThrottlingException: You have exceeded the rate.',
  );
  expect(await frontend.refusal(CreateKey, {})).toBe('ThrottlingException: You have exceeded the rate.');
  expect(frontend.faults).toEqual([]);
});
