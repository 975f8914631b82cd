import {
  newTestKey as newKey,
  runCommand as run,
  testContext,
  testAccount as account,
  testKeyId as keyId,
} from '@keyfleet/test-support/command-context';
import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import { describe, expect, test } from 'vitest';

const message = Buffer.from('a message');
const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

describe('signatures', () => {
  const signing = Object.entries(keySpecs)
    .filter(([spec, row]) => 'SIGN_VERIFY' in row.usages && spec !== 'SM2' && !/RSA_[34]/.test(spec))
    .flatMap(([spec, row]) =>
      (row.usages as { SIGN_VERIFY: readonly string[] }).SIGN_VERIFY.map((name) => [spec as KeySpec, name] as const),
    );
  const digest = (algorithm: string, length = Number(algorithm.slice(-3))) =>
    createHash(`sha${length}`).update(message).digest();

  test.each(signing)('%s signs and verifies with %s, every message type as the other', async (keySpec, algorithm) => {
    const context = testContext();
    const { token } = await newKey(keySpec, 'SIGN_VERIFY', context);
    const messages = [];
    if (algorithm !== 'ED25519_PH_SHA_512') messages.push({ messageType: 'RAW' as const, message });
    if (!/ML_DSA|ED25519_SHA/.test(algorithm))
      messages.push({ messageType: 'DIGEST' as const, message: digest(algorithm) });
    for (const signed of messages) {
      const { signature } = await run('Sign', { keyId, account, token, algorithm, ...signed }, context);
      for (const verified of messages) {
        expect(await run('Verify', { keyId, account, token, algorithm, ...verified, signature }, context)).toEqual({
          valid: true,
        });
        const other = { ...verified, message: Buffer.from(verified.message) };
        other.message[0]! ^= 1;
        expect(await run('Verify', { keyId, account, token, algorithm, ...other, signature }, context)).toEqual({
          valid: false,
        });
      }
      for (const wrong of [signature.subarray(1), Buffer.of(), Buffer.concat([signature, Buffer.of(0)])]) {
        expect(await run('Verify', { keyId, account, token, algorithm, ...signed, signature: wrong }, context)).toEqual(
          {
            valid: false,
          },
        );
      }
    }
  });

  test('OpenSSL verifies what is signed from a digest: PSS salt as long as the hash, DER for ECDSA', async () => {
    const context = testContext();
    const rsa = await newKey('RSA_2048', 'SIGN_VERIFY', context);
    const input = { keyId, account, token: rsa.token, messageType: 'DIGEST' as const };
    const pss = await run('Sign', { ...input, algorithm: 'RSASSA_PSS_SHA_384', message: digest('384') }, context);
    const key = createPublicKey({ key: Buffer.from(rsa.publicKey!), format: 'der', type: 'spki' });
    expect(
      verify('sha384', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }, pss.signature),
    ).toBe(true);
    const pkcs1 = await run(
      'Sign',
      { ...input, algorithm: 'RSASSA_PKCS1_V1_5_SHA_512', message: digest('512') },
      context,
    );
    expect(verify('sha512', message, key, pkcs1.signature)).toBe(true);
  });

  test.each(['ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87'] as const)(
    '%s: a signature of mu is one of the message',
    async (keySpec) => {
      const context = testContext();
      const { token, publicKey } = await newKey(keySpec, 'SIGN_VERIFY', context);
      const key = context.backingKeys.open(token, context.keyring).publicKey.export({ format: 'raw-public' });
      const shake = (length: number, ...parts: Uint8Array[]) =>
        createHash('shake256', { outputLength: length }).update(Buffer.concat(parts)).digest();
      const mu = shake(64, shake(64, key), Buffer.of(0, 0), message);
      const input = { keyId, account, token, algorithm: 'ML_DSA_SHAKE_256' };
      const signed = await run('Sign', { ...input, messageType: 'EXTERNAL_MU', message: mu }, context);
      const spki = createPublicKey({ key: Buffer.from(publicKey!), format: 'der', type: 'spki' });
      expect(verify(null, message, spki, signed.signature)).toBe(true);
      const raw = await run('Sign', { ...input, messageType: 'RAW', message }, context);
      const verified = await run('Verify', { ...input, ...raw, messageType: 'EXTERNAL_MU', message: mu }, context);
      expect(verified).toEqual({ valid: true });
    },
  );

  test.each([
    ['ECC_NIST_P256', 'ECDSA_SHA_256', 'DIGEST', 31],
    ['ECC_NIST_P256', 'ECDSA_SHA_256', 'EXTERNAL_MU', 64],
    ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', 'DIGEST', 64],
    ['ECC_NIST_EDWARDS25519', 'ED25519_PH_SHA_512', 'RAW', 64],
    ['ECC_NIST_EDWARDS25519', 'ED25519_PH_SHA_512', 'DIGEST', 32],
    ['ML_DSA_44', 'ML_DSA_SHAKE_256', 'DIGEST', 64],
    ['ML_DSA_44', 'ML_DSA_SHAKE_256', 'EXTERNAL_MU', 63],
  ] as const)('%s, %s: no %s of %i bytes', async (keySpec, algorithm, messageType, length) => {
    const context = testContext();
    const { token } = await newKey(keySpec, 'SIGN_VERIFY', context);
    const signing = run(
      'Sign',
      { keyId, account, token, algorithm, messageType, message: Buffer.alloc(length) },
      context,
    );
    await expect(signing).rejects.toEqual(refused('invalid-input'));
  });
});
