import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { DeriveSharedSecret } from '@keyfleet/shared/api/agree';
import { GenerateDataKey, GenerateDataKeyPair } from '@keyfleet/shared/api/data-keys';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { GenerateRandom } from '@keyfleet/shared/api/random';
import { pcrOf, TestEnclave, TestNitro } from '@keyfleet/test-support/attestation';
import { FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { Attestations } from '../attestation/attestations.ts';

const enclave = new TestEnclave();
const nitro = await TestNitro.make(new FakeFrontend(new LocalHsm()).now);
const document = await nitro.document(enclave.publicKey);
const Recipient = { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: document } as const;
const ofInstance = { ...Recipient, AttestationDocument: await nitro.instanceDocument(enclave.publicKey) } as const;
const Plaintext = Buffer.from('attack at dawn');

let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;

beforeEach(async () => {
  frontend = new FakeFrontend(new LocalHsm());
  frontend.attestations = new Attestations([nitro.root]);
  KeyId = (await frontend.call(CreateKey, {})).KeyMetadata!.KeyId!;
});

async function encrypted(): Promise<Uint8Array> {
  return (await frontend.call(Encrypt, { KeyId, Plaintext })).CiphertextBlob!;
}

test('Decrypt answers an enclave with what only it can open', async () => {
  const answer = await frontend.call(Decrypt, { CiphertextBlob: await encrypted(), Recipient });
  expect(Object.keys(answer).toSorted()).toEqual(['CiphertextForRecipient', 'EncryptionAlgorithm', 'KeyId']);
  expect(enclave.open(answer.CiphertextForRecipient!)).toEqual(Plaintext);
  expect(frontend.hsm.executed).toContain('DecryptForRecipient');
  expect(frontend.hsm.executed).not.toContain('Decrypt');
});

test('GenerateDataKey gives the enclave the key, and everyone its ciphertext', async () => {
  const answer = await frontend.call(GenerateDataKey, { KeyId, KeySpec: 'AES_256', Recipient });
  expect(answer).not.toHaveProperty('Plaintext');
  expect(answer).not.toHaveProperty('KeyMaterialId');
  const dataKey = enclave.open(answer.CiphertextForRecipient!);
  expect(dataKey).toHaveLength(32);
  const { Plaintext: opened } = await frontend.call(Decrypt, { CiphertextBlob: answer.CiphertextBlob! });
  expect(Buffer.from(opened!)).toEqual(dataKey);
});

test('GenerateDataKeyPair gives the enclave the private key', async () => {
  const answer = await frontend.call(GenerateDataKeyPair, { KeyId, KeyPairSpec: 'RSA_2048', Recipient });
  expect(answer).not.toHaveProperty('PrivateKeyPlaintext');
  const key = enclave.open(answer.CiphertextForRecipient!);
  const publicKey = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
  expect(publicKey.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(answer.PublicKey!));
});

test('GenerateRandom gives the enclave its bytes', async () => {
  const answer = await frontend.call(GenerateRandom, { NumberOfBytes: 1024, Recipient });
  expect(Object.keys(answer)).toEqual(['CiphertextForRecipient']);
  expect(enclave.open(answer.CiphertextForRecipient!)).toHaveLength(1024);
});

test('DeriveSharedSecret gives the enclave the secret', async () => {
  const spec = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' } as const;
  const { KeyMetadata } = await frontend.call(CreateKey, spec);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const PublicKey = publicKey.export({ format: 'der', type: 'spki' });
  const wanted = { KeyId: KeyMetadata!.KeyId!, KeyAgreementAlgorithm: 'ECDH', PublicKey } as const;
  const answer = await frontend.call(DeriveSharedSecret, { ...wanted, Recipient });
  expect(answer).not.toHaveProperty('SharedSecret');
  const { SharedSecret } = await frontend.call(DeriveSharedSecret, wanted);
  expect(enclave.open(answer.CiphertextForRecipient!)).toEqual(Buffer.from(SharedSecret!));
  const bad = { ...wanted, PublicKey: Buffer.of(1), Recipient };
  expect(await frontend.refusal(DeriveSharedSecret, bad)).toBe('ValidationException');
});

test('a document that proves nothing is refused, and nothing runs for it', async () => {
  const CiphertextBlob = await encrypted();
  const before = frontend.hsm.executed.length;
  const ofOthers = await (await TestNitro.make(frontend.now)).document(enclave.publicKey);
  const refused = (changed: object) => ({ CiphertextBlob, Recipient: { ...Recipient, ...changed } });
  expect(await frontend.refusal(Decrypt, refused({ AttestationDocument: ofOthers }))).toBe(
    'ValidationException: The attestation document is not signed under a trusted root.',
  );
  expect(await frontend.refusal(Decrypt, refused({ AttestationDocument: undefined }))).toBe(
    "ValidationException: 1 validation error detected: Value null at 'recipient.attestationDocument' failed to satisfy constraint: Member must not be null",
  );
  expect(await frontend.refusal(Decrypt, refused({ KeyEncryptionAlgorithm: undefined }))).toMatch(
    /'recipient.keyEncryptionAlgorithm'/,
  );
  frontend.now += 300_001;
  expect(await frontend.refusal(Decrypt, refused({}))).toMatch(/is not of the last five minutes/);
  expect(frontend.hsm.executed).toHaveLength(before);
});

test('a dry run says what the call would', async () => {
  const expected = /^DryRunOperationException/;
  const CiphertextBlob = await encrypted();
  expect(await frontend.refusal(Decrypt, { CiphertextBlob, Recipient, DryRun: true })).toMatch(expected);
  const dataKey = { KeyId, KeySpec: 'AES_256', DryRun: true } as const;
  expect(await frontend.refusal(GenerateDataKey, { ...dataKey, Recipient })).toMatch(expected);
  const broken = { ...Recipient, AttestationDocument: Buffer.of(1) };
  expect(await frontend.refusal(GenerateDataKey, { ...dataKey, Recipient: broken })).toMatch(/^ValidationException/);
});

const allow = (condition: object): string =>
  JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition: condition } });
const [pcr0, pcr8] = [pcrOf(0).toString('hex'), pcrOf(8).toString('hex')];

test.each([
  ['the image', { StringEqualsIgnoreCase: { 'kms:RecipientAttestation:ImageSha384': pcr0 } }, true],
  [
    'a register',
    { StringEquals: { 'kms:RecipientAttestation:PCR8': pcr8, 'kms:recipientattestation:pcr0': pcr0 } },
    true,
  ],
  ['another image', { StringEquals: { 'kms:RecipientAttestation:ImageSha384': pcr8 } }, false],
  ['another register', { StringEquals: { 'kms:RecipientAttestation:PCR3': pcr8 } }, false],
  ['a register that it has not', { StringEquals: { 'kms:RecipientAttestation:PCR16': pcr0 } }, false],
  ['no attestation', { Null: { 'kms:RecipientAttestation:PCR0': 'true' } }, false],
])('an enclave gets what a policy that asks for %s allows', async (_what, condition, isAllowed) => {
  const caller = user('enclave', { policies: [allow(condition)] });
  expect(await frontend.may(GenerateRandom, { NumberOfBytes: 1, Recipient }, { caller })).toBe(isAllowed);
});

test.each([
  ["NitroTPM's register", { StringEquals: { 'kms:RecipientAttestation:NitroTPMPCR8': pcr8 } }, true],
  ['another register of it', { StringEquals: { 'kms:RecipientAttestation:NitroTPMPCR7': pcr8 } }, false],
  ["an enclave's register", { StringEquals: { 'kms:RecipientAttestation:PCR8': pcr8 } }, false],
  ["an enclave's image", { StringEquals: { 'kms:RecipientAttestation:ImageSha384': pcr0 } }, false],
])('an instance with NitroTPM gets what a policy that asks for %s allows', async (_what, condition, isAllowed) => {
  const caller = user('instance', { policies: [allow(condition)] });
  expect(await frontend.may(GenerateRandom, { NumberOfBytes: 1, Recipient: ofInstance }, { caller })).toBe(isAllowed);
});

test('an enclave has no register of NitroTPM in the eyes of a policy', async () => {
  const caller = user('enclave', {
    policies: [allow({ StringEquals: { 'kms:RecipientAttestation:NitroTPMPCR8': pcr8 } })],
  });
  expect(await frontend.may(GenerateRandom, { NumberOfBytes: 1, Recipient }, { caller })).toBe(false);
});

test('without a document, or with one that proves nothing, no policy sees an attestation', async () => {
  const condition = { StringEquals: { 'kms:RecipientAttestation:ImageSha384': pcr0 } };
  const caller = user('enclave', { policies: [allow(condition)] });
  const AttestationDocument = Buffer.from(document);
  AttestationDocument[document.length - 1]! ^= 1;
  expect(await frontend.may(GenerateRandom, { NumberOfBytes: 1 }, { caller })).toBe(false);
  const broken = { ...Recipient, AttestationDocument };
  expect(await frontend.may(GenerateRandom, { NumberOfBytes: 1, Recipient: broken }, { caller })).toBe(false);
});

test('the audit record says which enclave had the answer, as CloudTrail does', async () => {
  await frontend.call(GenerateRandom, { NumberOfBytes: 1, Recipient });
  const base64 = (index: number) => pcrOf(index).toString('base64');
  expect(frontend.lastAudit).toMatchObject({
    requestParameters: { numberOfBytes: 1, recipient: { keyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } },
    additionalEventData: {
      recipient: {
        attestationDocumentModuleId: 'i-0123456789abcdef0-enc0123456789abcdef',
        attestationDocumentEnclaveImageDigest: base64(0),
        attestationDocumentEnclavePCR1: base64(1),
        attestationDocumentEnclavePCR2: base64(2),
        attestationDocumentEnclavePCR3: base64(3),
        attestationDocumentEnclavePCR4: base64(4),
        attestationDocumentEnclavePCR8: base64(8),
      },
    },
  });
  expect(JSON.stringify(frontend.lastAudit)).not.toContain(document.toString('base64').slice(0, 100));
});

test('the audit record says which instance had the answer, as CloudTrail does', async () => {
  const { CiphertextForRecipient, Plaintext } = await frontend.call(GenerateRandom, {
    NumberOfBytes: 32,
    Recipient: ofInstance,
  });
  expect(enclave.open(CiphertextForRecipient!)).toHaveLength(32);
  expect(Plaintext).toBeUndefined();
  const registers = [4, 7, 8, 9, 16, 23].map((index) => [
    `attestationDocumentNitroTPMPCR${index}`,
    pcrOf(index).toString('base64'),
  ]);
  expect(frontend.lastAudit.additionalEventData).toEqual({
    recipient: {
      attestationDocumentModuleId: 'i-0123456789abcdef0-tpm0000000000000000',
      ...(Object.fromEntries(registers) as object),
    },
  });
});
