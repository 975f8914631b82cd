import { createPublicKey, createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { KMS } from '@aws-sdk/client-kms';
import { pcrOf, TestEnclave, TestNitro } from '@keyfleet/test-support/attestation';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { startSecondFrontend } from '@keyfleet/test-support/second-frontend';
import { afterAll, beforeAll, expect, test } from 'vitest';

const resources = new AsyncDisposableStack();
const enclave = new TestEnclave();
let nitro: TestNitro;
let kms: KMS;
/** Of the cluster's own frontend, which trusts AWS Nitro's root alone. */
let strict: KMS;
let auditFile: string;

beforeAll(async () => {
  const cluster = resources.use(await startTestCluster({ workers: 1 }));
  nitro = await TestNitro.make(Date.now());
  const rootFile = cluster.home.in('test-nitro-root.pem');
  writeFileSync(rootFile, nitro.rootPem);
  auditFile = cluster.home.in('audit-2.jsonl');
  const second = await startSecondFrontend(cluster, auditFile, { attestationRootFiles: [rootFile] });
  resources.use(second);
  kms = newKms(cluster, second.endpoint);
  strict = newKms(cluster, cluster.endpoint);
});

afterAll(() => resources.disposeAsync());

function newKms({ credentials }: TestCluster, endpoint: string): KMS {
  return new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
}

async function recipient() {
  const AttestationDocument = await nitro.document(enclave.publicKey, { timestamp: Date.now() });
  return { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument } as const;
}

test('through the AWS SDK, an enclave alone opens what the five operations answer', async () => {
  const { KeyMetadata } = await kms.createKey({});
  const KeyId = KeyMetadata!.KeyId!;
  const Recipient = await recipient();
  const plaintext = Buffer.from('attack at dawn');

  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: plaintext });
  const decrypted = await kms.decrypt({ CiphertextBlob, Recipient });
  expect(decrypted.Plaintext).toBeUndefined();
  expect(enclave.open(decrypted.CiphertextForRecipient!)).toEqual(plaintext);

  const dataKey = await kms.generateDataKey({ KeyId, KeySpec: 'AES_256', Recipient });
  expect(dataKey.Plaintext).toBeUndefined();
  const { Plaintext } = await kms.decrypt({ CiphertextBlob: dataKey.CiphertextBlob });
  expect(enclave.open(dataKey.CiphertextForRecipient!)).toEqual(Buffer.from(Plaintext!));

  const pair = await kms.generateDataKeyPair({ KeyId, KeyPairSpec: 'ECC_NIST_P256', Recipient });
  expect(pair.PrivateKeyPlaintext).toBeUndefined();
  const key = createPrivateKey({ key: enclave.open(pair.CiphertextForRecipient!), format: 'der', type: 'pkcs8' });
  const PublicKey = createPublicKey(key).export({ format: 'der', type: 'spki' });
  expect(PublicKey).toEqual(Buffer.from(pair.PublicKey!));

  const random = await kms.generateRandom({ NumberOfBytes: 32, Recipient });
  expect(random.Plaintext).toBeUndefined();
  expect(enclave.open(random.CiphertextForRecipient!)).toHaveLength(32);

  const agreeing = await kms.createKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' });
  const agreement = { KeyId: agreeing.KeyMetadata!.KeyId!, KeyAgreementAlgorithm: 'ECDH', PublicKey } as const;
  const agreed = await kms.deriveSharedSecret({ ...agreement, Recipient });
  expect(agreed.SharedSecret).toBeUndefined();
  const { SharedSecret } = await kms.deriveSharedSecret(agreement);
  expect(enclave.open(agreed.CiphertextForRecipient!)).toEqual(Buffer.from(SharedSecret!));
});

test('a key policy lets one image in and no other, and the record names the enclave', async () => {
  const policyFor = (image: Buffer): string => {
    const all = { Effect: 'Allow', Principal: { AWS: '*' }, Resource: '*' };
    const condition = { StringNotEquals: { 'kms:RecipientAttestation:ImageSha384': image.toString('hex') } };
    const deny = { Effect: 'Deny', Principal: '*', Action: 'kms:Decrypt', Resource: '*', Condition: condition };
    return JSON.stringify({ Version: '2012-10-17', Statement: [{ ...all, Action: 'kms:*' }, deny] });
  };
  const { KeyMetadata } = await kms.createKey({ Policy: policyFor(pcrOf(0)) });
  const KeyId = KeyMetadata!.KeyId!;
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.of(1) });
  const Recipient = await recipient();
  expect(enclave.open((await kms.decrypt({ CiphertextBlob, Recipient })).CiphertextForRecipient!)).toEqual(
    Buffer.of(1),
  );
  await expect(kms.decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'AccessDeniedException' });

  const { KeyMetadata: other } = await kms.createKey({ Policy: policyFor(pcrOf(9)) });
  const { CiphertextBlob: foreign } = await kms.encrypt({ KeyId: other!.KeyId!, Plaintext: Buffer.of(1) });
  await expect(kms.decrypt({ CiphertextBlob: foreign, Recipient })).rejects.toMatchObject({
    name: 'AccessDeniedException',
  });
  await expect
    .poll(() => readFileSync(auditFile, 'utf8'))
    .toContain(`"attestationDocumentEnclaveImageDigest":"${pcrOf(0).toString('base64')}"`);
});

test("a frontend that was told of no other root trusts AWS Nitro's alone", async () => {
  await expect(strict.generateRandom({ NumberOfBytes: 1, Recipient: await recipient() })).rejects.toMatchObject({
    name: 'ValidationException',
    message: 'The attestation document is not signed under a trusted root.',
  });
});
