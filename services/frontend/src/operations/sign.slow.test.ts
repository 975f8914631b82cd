import { FakeFrontend, region } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { createHash, createPublicKey, generateKeyPairSync, verify as verifyWithNode } from 'node:crypto';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { Sign, Verify } from '@keyfleet/shared/api/sign';
import { type KeySpec, type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';
import { GetPublicKey } from '@keyfleet/shared/api/keys';
import { expect, test } from 'vitest';

const frontend = new FakeFrontend(new LocalHsm());
const message = Buffer.from('the message');
const made = new Map<KeySpec, Promise<{ keyId: string; arn: string }>>();

/** One key per spec, because generating RSA keys is slow. */
function keyOf(keySpec: KeySpec): Promise<{ keyId: string; arn: string }> {
  const known = made.get(keySpec);
  if (known) return known;
  const key = frontend
    .call(CreateKey, { KeySpec: keySpec, KeyUsage: 'SIGN_VERIFY' })
    .then(({ KeyMetadata }) => ({ keyId: KeyMetadata!.KeyId, arn: KeyMetadata!.Arn! }));
  made.set(keySpec, key);
  return key;
}

const cases = (Object.keys(keySpecs) as KeySpec[]).flatMap((keySpec) => {
  const { kind, usages }: KeySpecRow = keySpecs[keySpec];
  return kind === 'sm2' ? [] : (usages.SIGN_VERIFY ?? []).map((algorithm) => [keySpec, algorithm] as const);
});

/** A message in the first form that the algorithm takes: Ed25519ph has no RAW. */
function messageFor(algorithm: string): { MessageType: string; Message: Buffer } {
  if (algorithm !== 'ED25519_PH_SHA_512') return { MessageType: 'RAW', Message: message };
  return { MessageType: 'DIGEST', Message: createHash('sha512').update(message).digest() };
}

test('there are signing keys of every kind', () => {
  expect(cases).toHaveLength(3 * 6 + 4 + 2 + 3);
});

test.each(cases)('%s signs with %s, and Verify accepts that message alone', async (keySpec, algorithm) => {
  const { keyId, arn } = await keyOf(keySpec);
  const request = { KeyId: keyId, SigningAlgorithm: algorithm, ...messageFor(algorithm) };
  const signed = await frontend.call(Sign, request);
  expect(signed).toMatchObject({ KeyId: arn, SigningAlgorithm: algorithm });
  expect(await frontend.call(Verify, { ...request, Signature: signed.Signature })).toEqual({
    KeyId: arn,
    SignatureValid: true,
    SigningAlgorithm: algorithm,
  });
  const other = Buffer.from(request.Message);
  other[0]! ^= 1;
  expect(await frontend.refusal(Verify, { ...request, Message: other, Signature: signed.Signature })).toBe(
    'KMSInvalidSignatureException',
  );
  expect(frontend.lastAudit).toMatchObject({ errorCode: 'KMSInvalidSignatureException' });
  expect(frontend.lastAudit).not.toHaveProperty('errorMessage');
});

test.each([
  ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_384', 'sha384'],
  ['RSA_2048', 'RSASSA_PSS_SHA_256', 'sha256'],
  ['ECC_NIST_P521', 'ECDSA_SHA_512', 'sha512'],
] as const)('%s: a RAW and a DIGEST signature by %s verify as each other', async (keySpec, algorithm, hash) => {
  const { keyId } = await keyOf(keySpec);
  const raw = { KeyId: keyId, SigningAlgorithm: algorithm, MessageType: 'RAW', Message: message };
  const digest = { ...raw, MessageType: 'DIGEST', Message: createHash(hash).update(message).digest() };
  const { Signature: ofRaw } = await frontend.call(Sign, raw);
  const { Signature: ofDigest } = await frontend.call(Sign, digest);
  await frontend.call(Verify, { ...digest, Signature: ofRaw });
  await frontend.call(Verify, { ...raw, Signature: ofDigest });
});

test('others verify the signature with the public key', async () => {
  const { keyId } = await keyOf('ECC_NIST_P256');
  const { Signature } = await frontend.call(Sign, {
    KeyId: keyId,
    SigningAlgorithm: 'ECDSA_SHA_256',
    Message: message,
  });
  const { PublicKey } = await frontend.call(GetPublicKey, { KeyId: keyId });
  const publicKey = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' });
  expect(verifyWithNode('sha256', message, publicKey, Signature!)).toBe(true);
});

test('a public key that somebody put in place of the key’s own is given to nobody', async () => {
  const { keyId } = await keyOf('ECC_NIST_P384');
  await frontend.call(GetPublicKey, { KeyId: keyId });
  const ask = () => frontend.call(GetPublicKey, { KeyId: keyId });
  expect(await ask()).toEqual(await ask());
  const key = (await frontend.store.findKey(region, keyId))!;
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const forged = publicKey.export({ format: 'der', type: 'spki' });
  await frontend.store.updateKey({ ...key, backingKeys: [{ ...key.backingKeys[0]!, publicKey: forged }] });
  await expect(ask()).rejects.toThrow();
  expect(String(frontend.faults.at(-1))).toContain('a different public key');
});

test.each([
  [
    'RSA_2048',
    { SigningAlgorithm: 'RSASSA_PSS_SHA_256', MessageType: 'DIGEST' },
    'Digest is invalid length for algorithm RSASSA_PSS_SHA_256.',
  ],
  [
    'ML_DSA_44',
    { SigningAlgorithm: 'ML_DSA_SHAKE_256', MessageType: 'DIGEST' },
    'Message type DIGEST is incompatible with key spec ML_DSA_44.',
  ],
  [
    'ML_DSA_44',
    { SigningAlgorithm: 'ML_DSA_SHAKE_256', MessageType: 'EXTERNAL_MU' },
    'Digest is invalid length for algorithm ML_DSA_SHAKE_256.',
  ],
  [
    'ECC_NIST_P256',
    { SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'EXTERNAL_MU' },
    'Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256.',
  ],
  [
    'ECC_NIST_EDWARDS25519',
    { SigningAlgorithm: 'ED25519_PH_SHA_512' },
    'Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.',
  ],
] as const)('%s refuses a message that is not for it: %j', async (keySpec, request, text) => {
  const { keyId } = await keyOf(keySpec);
  expect(await frontend.refusal(Sign, { KeyId: keyId, Message: message, ...request })).toBe(
    `ValidationException: ${text}`,
  );
});

test('a key of another usage or without the algorithm is refused by name', async () => {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  const symmetric = { KeyId: KeyMetadata!.KeyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' };
  expect(await frontend.refusal(Sign, symmetric)).toBe(
    `InvalidKeyUsageException: ${KeyMetadata!.Arn} key usage is ENCRYPT_DECRYPT which is not valid for Sign.`,
  );
  const { keyId } = await keyOf('ECC_NIST_P256');
  expect(await frontend.refusal(Sign, { ...symmetric, KeyId: keyId, SigningAlgorithm: 'ECDSA_SHA_384' })).toBe(
    'InvalidKeyUsageException: Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.',
  );
});

test('a dry run is the last check: it signs nothing, and a wrong signature is a wrong signature', async () => {
  const { keyId } = await keyOf('ECC_NIST_P256');
  const request = { KeyId: keyId, Message: message, SigningAlgorithm: 'ECDSA_SHA_256' };
  const { Signature } = await frontend.call(Sign, request);
  const before = frontend.hsm.executed.length;
  expect(await frontend.refusal(Sign, { ...request, DryRun: true })).toMatch(/^DryRunOperationException/);
  expect(frontend.hsm.executed).toHaveLength(before);
  expect(await frontend.refusal(Verify, { ...request, Signature, DryRun: true })).toMatch(/^DryRunOperationException/);
  expect(await frontend.refusal(Verify, { ...request, Signature: Buffer.of(1), DryRun: true })).toBe(
    'KMSInvalidSignatureException',
  );
});
