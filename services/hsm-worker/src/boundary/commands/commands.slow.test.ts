import {
  newTestKey as newKey,
  runCommand as run,
  testContext,
  testAccount as account,
  testKeyId as keyId,
} from '@keyfleet/test-support/command-context';
import { createHmac, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import type { KeySpec } from '@keyfleet/shared/key-specs';
import { describe, expect, test } from 'vitest';

const otherKeyId = 'mrk-0a1b2c3d00004000800000000000000b';
const message = Buffer.from('a message');

const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

describe('credentials', () => {
  const owner = { accessKeyId: 'AKIDEXAMPLE', principal: 'arn:aws:iam::000000000000:user/a' };

  test('a secret has 40 characters and opens for its access key and principal only', async () => {
    const context = testContext();
    const { secretAccessKey, token } = await run('GenerateCredential', owner, context);
    expect(Buffer.from(secretAccessKey).toString()).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect(await run('OpenCredential', { ...owner, token }, context)).toEqual({ secretAccessKey });
    for (const wrong of [{ accessKeyId: 'AKIDOTHER' }, { principal: 'arn:aws:iam::000000000000:user/b' }]) {
      const opening = run('OpenCredential', { ...owner, ...wrong, token }, context);
      await expect(opening).rejects.toEqual(refused('cannot-open'));
    }
  });

  test('a credential token is not a key token, and a key token not a credential', async () => {
    const context = testContext();
    const credential = await run('GenerateCredential', owner, context);
    const key = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', context);
    const opening = run('OpenCredential', { ...owner, token: key.token }, context);
    await expect(opening).rejects.toEqual(refused('cannot-open'));
    expect(() => context.backingKeys.open(credential.token, context.keyring)).toThrow(refused('cannot-open'));
  });
});

describe('encryption', () => {
  const encryptionContext = { purpose: 'test' };

  test('ciphertexts decrypt, and two encryptions of one text differ', async () => {
    const context = testContext();
    const { token } = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
    const options = { keyId, account, token, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext };
    const one = await run('Encrypt', { ...options, plaintext: message }, context);
    const two = await run('Encrypt', { ...options, plaintext: message }, context);
    expect(one.ciphertext).not.toEqual(two.ciphertext);
    expect(await run('Decrypt', { ...options, ...one }, context)).toEqual({ plaintext: message });
  });

  test.each(['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'])(
    '%s takes up to its capacity and gives it back',
    async (algorithm) => {
      const context = testContext();
      const { token } = await newKey('RSA_2048', 'ENCRYPT_DECRYPT', context);
      const options = { keyId, account, token, algorithm, encryptionContext: {} };
      const plaintext = Buffer.alloc(algorithm === 'RSAES_OAEP_SHA_1' ? 214 : 190, 7);
      const { ciphertext } = await run('Encrypt', { ...options, plaintext }, context);
      expect(await run('Decrypt', { ...options, ciphertext }, context)).toEqual({ plaintext });

      const tooLong = run('Encrypt', { ...options, plaintext: Buffer.alloc(plaintext.length + 1) }, context);
      await expect(tooLong).rejects.toEqual(refused('invalid-input'));
      const changed = Buffer.from(ciphertext);
      changed[9]! ^= 1;
      await expect(run('Decrypt', { ...options, ciphertext: changed }, context)).rejects.toEqual(
        refused('cannot-open'),
      );
      const bound = run('Encrypt', { ...options, plaintext, encryptionContext }, context);
      await expect(bound).rejects.toEqual(refused('invalid-input'));
    },
  );

  test('re-encryption moves a text to another key and context', async () => {
    const context = testContext();
    const source = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
    const destination = await run(
      'GenerateBackingKey',
      { keyId: otherKeyId, account, keySpec: 'RSA_2048', keyUsage: 'ENCRYPT_DECRYPT' },
      context,
    );
    const symmetric = { keyId, account, token: source.token, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext };
    const { ciphertext } = await run('Encrypt', { ...symmetric, plaintext: message }, context);
    const moved = await run(
      'ReEncrypt',
      {
        sourceKeyId: keyId,
        sourceAccount: account,
        sourceToken: source.token,
        sourceAlgorithm: 'SYMMETRIC_DEFAULT',
        sourceContext: encryptionContext,
        ciphertext,
        destinationKeyId: otherKeyId,
        destinationAccount: account,
        destinationToken: destination.token,
        destinationAlgorithm: 'RSAES_OAEP_SHA_256',
        destinationContext: {},
      },
      context,
    );
    const rsa = {
      keyId: otherKeyId,
      account,
      token: destination.token,
      algorithm: 'RSAES_OAEP_SHA_256',
      encryptionContext: {},
    };
    expect(await run('Decrypt', { ...rsa, ...moved }, context)).toEqual({ plaintext: message });
  });

  test('a data key is the plaintext of its ciphertext', async () => {
    const context = testContext();
    const { token } = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
    const input = { keyId, account, token, encryptionContext, length: 24 };
    const { ciphertext, plaintext } = await run('GenerateDataKey', { ...input, withPlaintext: true }, context);
    expect(plaintext).toHaveLength(24);
    const options = { keyId, account, token, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext };
    expect(await run('Decrypt', { ...options, ciphertext }, context)).toEqual({ plaintext });
    const without = await run('GenerateDataKey', { ...input, withPlaintext: false }, context);
    expect(without.plaintext).toBeUndefined();
    expect((await run('Decrypt', { ...options, ciphertext: without.ciphertext }, context)).plaintext).not.toEqual(
      Buffer.alloc(24),
    );
  });

  test.each(['RSA_2048', 'ECC_NIST_P256', 'ECC_SECG_P256K1', 'ECC_NIST_EDWARDS25519', 'ML_KEM_768'] as const)(
    'a data key pair of %s belongs together',
    async (keyPairSpec) => {
      const context = testContext();
      const { token } = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
      const input = { keyId, account, token, encryptionContext, keyPairSpec, withPlaintext: true };
      const { ciphertext, publicKey, privateKey } = await run('GenerateDataKeyPair', input, context);
      const derived = createPublicKey({ key: Buffer.concat([pem(privateKey!)]), format: 'pem' });
      expect(derived.export({ format: 'der', type: 'spki' }).equals(publicKey)).toBe(true);
      const opened = await run(
        'Decrypt',
        { keyId, account, token, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext, ciphertext },
        context,
      );
      expect(opened.plaintext).toEqual(privateKey);
    },
  );

  test('there is no data key pair of ML-DSA or of a symmetric spec', async () => {
    const context = testContext();
    const { token } = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
    for (const keyPairSpec of ['ML_DSA_44', 'SYMMETRIC_DEFAULT', 'HMAC_256', 'SM2'] as const) {
      const making = run(
        'GenerateDataKeyPair',
        { keyId, account, token, encryptionContext, keyPairSpec, withPlaintext: false },
        context,
      );
      await expect(making).rejects.toEqual(refused('invalid-input'));
    }
  });
});

describe('MACs, agreement, encapsulation, random', () => {
  test.each([224, 256, 384, 512])('HMAC_%i gives the whole code and verifies nothing else', async (bits) => {
    const context = testContext();
    const { token } = await newKey(`HMAC_${bits}` as KeySpec, 'GENERATE_VERIFY_MAC', context);
    const input = { keyId, account, token, algorithm: `HMAC_SHA_${bits}`, message };
    const { mac } = await run('GenerateMac', input, context);
    const { key } = context.backingKeys.open(token, context.keyring);
    expect(key.symmetricKeySize).toBe(bits / 8);
    expect(createHmac(`sha${bits}`, key).update(message).digest().equals(mac)).toBe(true);
    expect(await run('VerifyMac', { ...input, mac }, context)).toEqual({ valid: true });
    for (const wrong of [mac.subarray(1), Buffer.alloc(mac.length), Buffer.concat([mac, mac])]) {
      expect(await run('VerifyMac', { ...input, mac: wrong }, context)).toEqual({ valid: false });
    }
  });

  test.each([
    ['ECC_NIST_P256', 'P-256', 32],
    ['ECC_NIST_P384', 'P-384', 48],
    ['ECC_NIST_P521', 'P-521', 66],
  ] as const)(
    '%s agrees on the x-coordinate with its peer, and with nobody of another curve',
    async (keySpec, curve, length) => {
      const context = testContext();
      const ours = await newKey(keySpec, 'KEY_AGREEMENT', context);
      const peer = generateKeyPairSync('ec', { namedCurve: curve });
      const publicKey = peer.publicKey.export({ format: 'der', type: 'spki' });
      const { sharedSecret } = await run(
        'DeriveSharedSecret',
        { keyId, account, token: ours.token, publicKey },
        context,
      );
      const theirs = createPublicKey({ key: Buffer.from(ours.publicKey!), format: 'der', type: 'spki' });
      expect(diffieHellman({ privateKey: peer.privateKey, publicKey: theirs }).equals(sharedSecret)).toBe(true);
      expect(sharedSecret).toHaveLength(length);

      const foreign = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
      for (const bad of [foreign.export({ format: 'der', type: 'spki' }), Buffer.of(), publicKey.subarray(1)]) {
        const deriving = run('DeriveSharedSecret', { keyId, account, token: ours.token, publicKey: bad }, context);
        await expect(deriving).rejects.toEqual(refused('invalid-public-key'));
      }
    },
  );

  test.each(['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'] as const)(
    '%s decapsulates what it encapsulated',
    async (keySpec) => {
      const context = testContext();
      const { token } = await newKey(keySpec, 'ENCAPSULATE_DECAPSULATE', context);
      const { sharedSecret, ciphertext } = await run('Encapsulate', { keyId, account, token }, context);
      expect(await run('Decapsulate', { keyId, account, token, ciphertext }, context)).toEqual({ sharedSecret });
      const cut = run('Decapsulate', { keyId, account, token, ciphertext: ciphertext.subarray(1) }, context);
      await expect(cut).rejects.toEqual(refused('cannot-open'));
    },
  );

  test('random bytes come as asked', async () => {
    expect((await run('GenerateRandom', { length: 1024 }, testContext())).bytes).toHaveLength(1024);
  });
});

function pem(pkcs8: Uint8Array): Buffer {
  return Buffer.from(
    `-----BEGIN PRIVATE KEY-----\n${Buffer.from(pkcs8).toString('base64')}\n-----END PRIVATE KEY-----\n`,
  );
}
