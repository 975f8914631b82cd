import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { createPublicKey, diffieHellman, encapsulate, generateKeyPairSync } from 'node:crypto';
import { Decapsulate, DeriveSharedSecret, Encapsulate } from '@keyfleet/shared/api/agree';
import { CreateKey, GetPublicKey } from '@keyfleet/shared/api/keys';
import { expect, test } from 'vitest';

const frontend = new FakeFrontend(new LocalHsm());

async function newKey(KeySpec: string, KeyUsage: string) {
  const { KeyMetadata } = await frontend.call(CreateKey, { KeySpec, KeyUsage });
  const { PublicKey } = await frontend.call(GetPublicKey, { KeyId: KeyMetadata!.KeyId });
  const publicKey = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' });
  return { keyId: KeyMetadata!.KeyId, arn: KeyMetadata!.Arn!, publicKey };
}

test.each([
  ['ECC_NIST_P256', 'P-256'],
  ['ECC_NIST_P384', 'P-384'],
  ['ECC_NIST_P521', 'P-521'],
])('%s agrees on the secret that the other party comes to', async (keySpec, namedCurve) => {
  const key = await newKey(keySpec, 'KEY_AGREEMENT');
  const peer = generateKeyPairSync('ec', { namedCurve });
  const PublicKey = peer.publicKey.export({ format: 'der', type: 'spki' });
  const request = { KeyId: key.keyId, KeyAgreementAlgorithm: 'ECDH', PublicKey };
  expect(await frontend.call(DeriveSharedSecret, request)).toEqual({
    KeyId: key.arn,
    SharedSecret: diffieHellman({ privateKey: peer.privateKey, publicKey: key.publicKey }),
    KeyAgreementAlgorithm: 'ECDH',
    KeyOrigin: 'AWS_KMS',
  });
  expect(await frontend.refusal(DeriveSharedSecret, { ...request, DryRun: true })).toMatch(/^DryRunOperation/);
});

test('a public key that is invalid, or of another curve, is refused without a reason', async () => {
  const { keyId } = await newKey('ECC_NIST_P256', 'KEY_AGREEMENT');
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'der', type: 'spki' });
  for (const PublicKey of [Buffer.from('no key'), other]) {
    const request = { KeyId: keyId, KeyAgreementAlgorithm: 'ECDH', PublicKey };
    expect(await frontend.refusal(DeriveSharedSecret, request)).toBe('ValidationException');
  }
});

test.each(['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'])(
  '%s and its public key come to the same secret',
  async (keySpec) => {
    const key = await newKey(keySpec, 'ENCAPSULATE_DECAPSULATE');
    const request = { KeyId: key.keyId, EncapsulationAlgorithm: 'ML_KEM' };
    const inside = await frontend.call(Encapsulate, request);
    expect(inside).toMatchObject({ KeyId: key.arn, EncapsulationAlgorithm: 'ML_KEM' });
    expect(inside.SharedSecret).toHaveLength(32);
    expect(
      await frontend.call(Decapsulate, { ...request, SharedSecretCiphertextBlob: inside.SharedSecretCiphertextBlob }),
    ).toEqual({ KeyId: key.arn, SharedSecret: inside.SharedSecret, EncapsulationAlgorithm: 'ML_KEM' });

    const outside = encapsulate(key.publicKey);
    const { SharedSecret } = await frontend.call(Decapsulate, {
      ...request,
      SharedSecretCiphertextBlob: Buffer.from(outside.ciphertext),
    });
    expect(SharedSecret).toEqual(Buffer.from(outside.sharedKey));
    expect(await frontend.refusal(Decapsulate, { ...request, SharedSecretCiphertextBlob: Buffer.of(1) })).toBe(
      'InvalidCiphertextException',
    );
  },
);

test('keys of another usage are refused by name', async () => {
  const signing = await newKey('ECC_NIST_P256', 'SIGN_VERIFY');
  const refused = (operation: string) =>
    `InvalidKeyUsageException: ${signing.arn} key usage is SIGN_VERIFY which is not valid for ${operation}.`;
  const PublicKey = signing.publicKey.export({ format: 'der', type: 'spki' });
  expect(
    await frontend.refusal(DeriveSharedSecret, { KeyId: signing.keyId, KeyAgreementAlgorithm: 'ECDH', PublicKey }),
  ).toBe(refused('DeriveSharedSecret'));
  expect(await frontend.refusal(Encapsulate, { KeyId: signing.keyId, EncapsulationAlgorithm: 'ML_KEM' })).toBe(
    refused('Encapsulate'),
  );
});
