import { kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey, sharedKey } from '@keyfleet/test-support/sdk-keys';
import {
  constants,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  verify,
} from 'node:crypto';
import type { CreateKeyCommandInput, DataKeyPairSpec, SigningAlgorithmSpec } from '@aws-sdk/client-kms';
import { expect, test } from 'vitest';

const message = Buffer.from('attack at dawn');
const { RSA_PKCS1_PSS_PADDING, RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING } = constants;

async function publicKeyOf(KeyId: string): Promise<KeyObject> {
  const { PublicKey } = await kms.getPublicKey({ KeyId });
  return createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' });
}

/** Spec -> algorithm -> how Node's OpenSSL checks such a signature of a raw message. */
type Verifier = (key: KeyObject, signature: Uint8Array) => boolean;
const hashed =
  (hash: string | null, options: object = {}): Verifier =>
  (key, signature) =>
    verify(hash, message, { key, ...options }, signature);
const pss = (bits: 256 | 384 | 512): Verifier =>
  hashed(`sha${bits}`, { padding: RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 });
const pkcs1 = (bits: number): Verifier => hashed(`sha${bits}`, { padding: RSA_PKCS1_PADDING });
const signatures: readonly (readonly [CreateKeyCommandInput['KeySpec'], SigningAlgorithmSpec, Verifier])[] = [
  ...(['RSA_2048', 'RSA_3072', 'RSA_4096'] as const).flatMap((spec) => [
    [spec, 'RSASSA_PSS_SHA_256', pss(256)] as const,
    [spec, 'RSASSA_PSS_SHA_384', pss(384)] as const,
    [spec, 'RSASSA_PSS_SHA_512', pss(512)] as const,
    [spec, 'RSASSA_PKCS1_V1_5_SHA_256', pkcs1(256)] as const,
    [spec, 'RSASSA_PKCS1_V1_5_SHA_384', pkcs1(384)] as const,
    [spec, 'RSASSA_PKCS1_V1_5_SHA_512', pkcs1(512)] as const,
  ]),
  ['ECC_NIST_P256', 'ECDSA_SHA_256', hashed('sha256')],
  ['ECC_NIST_P384', 'ECDSA_SHA_384', hashed('sha384')],
  ['ECC_NIST_P521', 'ECDSA_SHA_512', hashed('sha512')],
  ['ECC_SECG_P256K1', 'ECDSA_SHA_256', hashed('sha256')],
  ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', hashed(null)],
  ['ML_DSA_44', 'ML_DSA_SHAKE_256', hashed(null)],
  ['ML_DSA_65', 'ML_DSA_SHAKE_256', hashed(null)],
  ['ML_DSA_87', 'ML_DSA_SHAKE_256', hashed(null)],
];

test.each(signatures)(
  'a signature of %s with %s verifies outside, by Verify, and not for anything else',
  async (...row) => {
    const [KeySpec, SigningAlgorithm, isValid] = row;
    const { KeyId } = await newKey({ KeySpec, KeyUsage: 'SIGN_VERIFY' });
    const request = { KeyId, Message: message, SigningAlgorithm };
    const { Signature } = await kms.sign(request);
    expect(isValid(await publicKeyOf(KeyId), Signature!)).toBe(true);
    expect(await kms.verify({ ...request, Signature })).toMatchObject({ SignatureValid: true });
    const others = [{ Message: Buffer.from('attack at noon') }, { Signature: Signature!.subarray(1) }];
    for (const other of others) {
      expect(await refusalOf(kms.verify({ ...request, Signature, ...other }))).toBe('KMSInvalidSignatureException');
    }
  },
);

test('RAW and DIGEST are the same signature, where a digest can be', async () => {
  for (const [KeySpec, SigningAlgorithm] of [
    ['RSA_2048', 'RSASSA_PSS_SHA_384'],
    ['ECC_NIST_P384', 'ECDSA_SHA_384'],
  ] as const) {
    const { KeyId } = await newKey({ KeySpec, KeyUsage: 'SIGN_VERIFY' });
    const raw = { KeyId, SigningAlgorithm, Message: message };
    const digest = { ...raw, Message: createHash('sha384').update(message).digest(), MessageType: 'DIGEST' } as const;
    const { Signature } = await kms.sign(digest);
    expect(await kms.verify({ ...raw, Signature })).toMatchObject({ SignatureValid: true });
    const short = kms.sign({ ...digest, Message: digest.Message.subarray(1) });
    expect(await refusalOf(short)).toBe(
      `ValidationException: Digest is invalid length for algorithm ${SigningAlgorithm}.`,
    );
  }
});

test('an algorithm of another kind of key is named in the refusal', async () => {
  const { KeyId } = await sharedKey('signing');
  expect(await refusalOf(kms.sign({ KeyId, Message: message, SigningAlgorithm: 'ED25519_SHA_512' }))).toBe(
    'InvalidKeyUsageException: Algorithm ED25519_SHA_512 is incompatible with key spec ECC_NIST_P256.',
  );
  const mac = await sharedKey('mac');
  const refusal = refusalOf(kms.generateMac({ KeyId: mac.KeyId, Message: message, MacAlgorithm: 'HMAC_SHA_512' }));
  expect(await refusal).toBe(
    'InvalidKeyUsageException: Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.',
  );
});

test.each([
  [224, 28],
  [256, 32],
  [384, 48],
  [512, 64],
] as const)('HMAC_%i makes a MAC of %i bytes that VerifyMac takes whole', async (bits, length) => {
  const { KeyId } = await newKey({ KeySpec: `HMAC_${bits}`, KeyUsage: 'GENERATE_VERIFY_MAC' });
  const request = { KeyId, Message: message, MacAlgorithm: `HMAC_SHA_${bits}` } as const;
  const { Mac } = await kms.generateMac(request);
  expect(Mac).toHaveLength(length);
  expect(await kms.verifyMac({ ...request, Mac })).toMatchObject({ MacValid: true });
  expect(await refusalOf(kms.verifyMac({ ...request, Mac: Mac!.subarray(0, 16) }))).toBe('KMSInvalidMacException');
});

test('a ciphertext does not decrypt under an encryption context that differs in any way', async () => {
  const { KeyId, CurrentKeyMaterialId } = await sharedKey('symmetric');
  const EncryptionContext = { ab: 'c', second: 'two' };
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: message, EncryptionContext });
  expect(CiphertextBlob!.length).toBeLessThanOrEqual(message.length + 152);
  const reordered = await kms.decrypt({ CiphertextBlob, EncryptionContext: { second: 'two', ab: 'c' } });
  expect(Buffer.from(reordered.Plaintext!)).toEqual(message);
  expect(reordered.KeyMaterialId).toBe(CurrentKeyMaterialId);
  const others = [
    undefined,
    {},
    { a: 'bc', second: 'two' },
    { ab: 'C', second: 'two' },
    { ...EncryptionContext, x: '' },
  ];
  for (const other of others) {
    const refusal = refusalOf(kms.decrypt({ CiphertextBlob, EncryptionContext: other }));
    expect(await refusal).toBe('InvalidCiphertextException');
  }
});

test('a ciphertext of nobody’s key says nothing about whose it could be', async () => {
  expect(await refusalOf(kms.decrypt({ CiphertextBlob: randomBytes(200) }))).toBe('InvalidCiphertextException');
  const { CiphertextBlob } = await kms.encrypt({ KeyId: (await sharedKey('symmetric')).KeyId, Plaintext: message });
  for (const changed of [CiphertextBlob!.subarray(0, -1), Buffer.concat([CiphertextBlob!, Buffer.of(0)])]) {
    expect(await refusalOf(kms.decrypt({ CiphertextBlob: changed }))).toBe('InvalidCiphertextException');
  }
});

test.each([
  ['RSAES_OAEP_SHA_1', 'sha1', 214],
  ['RSAES_OAEP_SHA_256', 'sha256', 190],
] as const)(
  'RSA with %s decrypts what was encrypted outside, up to its limit',
  async (EncryptionAlgorithm, oaepHash, most) => {
    const { KeyId } = await sharedKey('rsaEncryption');
    const key = await publicKeyOf(KeyId);
    const plaintext = randomBytes(most);
    const CiphertextBlob = publicEncrypt({ key, padding: RSA_PKCS1_OAEP_PADDING, oaepHash }, plaintext);
    const { Plaintext } = await kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm });
    expect(Buffer.from(Plaintext!)).toEqual(plaintext);
    CiphertextBlob[9]! ^= 1;
    expect(await refusalOf(kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm }))).toBe(
      'InvalidCiphertextException',
    );
    const tooLong = kms.encrypt({ KeyId, Plaintext: randomBytes(most + 1), EncryptionAlgorithm });
    expect(await refusalOf(tooLong)).toBe(
      `ValidationException: Algorithm ${EncryptionAlgorithm} and key spec RSA_2048 cannot encrypt data larger than ${most} bytes.`,
    );
  },
);

test('ReEncrypt moves a ciphertext to another key and context, without showing it', async () => {
  const [from, to] = [await sharedKey('symmetric'), await newKey()];
  const { CiphertextBlob } = await kms.encrypt({
    KeyId: from.KeyId,
    Plaintext: message,
    EncryptionContext: { a: 'b' },
  });
  const moved = await kms.reEncrypt({
    CiphertextBlob,
    SourceEncryptionContext: { a: 'b' },
    DestinationKeyId: to.KeyId,
    DestinationEncryptionContext: { c: 'd' },
  });
  expect(moved).toMatchObject({
    KeyId: to.Arn,
    SourceKeyId: from.Arn,
    SourceKeyMaterialId: from.CurrentKeyMaterialId,
    DestinationKeyMaterialId: to.CurrentKeyMaterialId,
  });
  const opened = await kms.decrypt({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { c: 'd' } });
  expect(Buffer.from(opened.Plaintext!)).toEqual(message);
});

test.each(['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521'] as const)(
  '%s agrees with the other party',
  async (KeySpec) => {
    const { KeyId } = await newKey({ KeySpec, KeyUsage: 'KEY_AGREEMENT' });
    const publicKey = await publicKeyOf(KeyId);
    const { namedCurve = '' } = publicKey.asymmetricKeyDetails!;
    const other = generateKeyPairSync('ec', { namedCurve });
    const agree = { KeyId, KeyAgreementAlgorithm: 'ECDH' } as const;
    const PublicKey = other.publicKey.export({ type: 'spki', format: 'der' });
    const { SharedSecret } = await kms.deriveSharedSecret({ ...agree, PublicKey });
    expect(Buffer.from(SharedSecret!)).toEqual(diffieHellman({ publicKey, privateKey: other.privateKey }));
    expect(await refusalOf(kms.deriveSharedSecret({ ...agree, PublicKey: PublicKey.subarray(1) }))).toBe(
      'ValidationException',
    );
  },
);

test.each(['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'] as const)('%s gives both sides one secret', async (KeySpec) => {
  const { KeyId } = await newKey({ KeySpec, KeyUsage: 'ENCAPSULATE_DECAPSULATE' });
  const { SharedSecret, SharedSecretCiphertextBlob } = await kms.encapsulate({
    KeyId,
    EncapsulationAlgorithm: 'ML_KEM',
  });
  const opened = await kms.decapsulate({ KeyId, SharedSecretCiphertextBlob, EncapsulationAlgorithm: 'ML_KEM' });
  expect(opened.SharedSecret).toEqual(SharedSecret);
  expect(SharedSecret).toHaveLength(32);
});

const pairs: readonly DataKeyPairSpec[] = [
  ...(['RSA_2048', 'RSA_3072', 'ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1'] as const),
  'ECC_NIST_EDWARDS25519',
];
test.each(pairs)('a data key pair of %s is whole, and its private key opens', async (KeyPairSpec) => {
  const { KeyId } = await sharedKey('symmetric');
  const EncryptionContext = { pair: KeyPairSpec };
  const pair = await kms.generateDataKeyPair({ KeyId, KeyPairSpec, EncryptionContext });
  const privateKey = Buffer.from(pair.PrivateKeyPlaintext!);
  const publicKey = createPublicKey({ key: privateKey, format: 'der', type: 'pkcs8' } as never);
  expect(publicKey.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(pair.PublicKey!));
  const opened = await kms.decrypt({ CiphertextBlob: pair.PrivateKeyCiphertextBlob, EncryptionContext });
  expect(Buffer.from(opened.Plaintext!)).toEqual(privateKey);
});

test('data keys are of the length asked for, by exactly one of the two ways to ask', async () => {
  const { KeyId } = await sharedKey('symmetric');
  expect((await kms.generateDataKey({ KeyId, KeySpec: 'AES_128' })).Plaintext).toHaveLength(16);
  expect((await kms.generateDataKey({ KeyId, NumberOfBytes: 1024 })).Plaintext).toHaveLength(1024);
  const message = 'ValidationException: Please specify either number of bytes or key spec.';
  expect(await refusalOf(kms.generateDataKey({ KeyId }))).toBe(message);
  expect(await refusalOf(kms.generateDataKey({ KeyId, KeySpec: 'AES_128', NumberOfBytes: 3 }))).toBe(message);
});

test('limits are told as AWS tells them', async () => {
  const { KeyId } = await sharedKey('symmetric');
  const detected = 'ValidationException: 1 validation error detected: Value';
  const constraint = 'failed to satisfy constraint: Member must have';
  expect(await refusalOf(kms.encrypt({ KeyId, Plaintext: randomBytes(4097) }))).toBe(
    `${detected} at 'plaintext' ${constraint} length less than or equal to 4096`,
  );
  expect(await refusalOf(kms.encrypt({ KeyId, Plaintext: Buffer.alloc(0) }))).toBe(
    `${detected} at 'plaintext' ${constraint} length greater than or equal to 1`,
  );
  expect(await refusalOf(kms.generateRandom({ NumberOfBytes: 1025 }))).toBe(
    `${detected} '1025' at 'numberOfBytes' ${constraint} value less than or equal to 1024`,
  );
  expect(await refusalOf(kms.generateRandom({ NumberOfBytes: 0 }))).toBe(
    `${detected} '0' at 'numberOfBytes' ${constraint} value greater than or equal to 1`,
  );
  expect(await refusalOf(kms.generateRandom({}))).toBe('ValidationException: NumberOfBytes is required.');
});
