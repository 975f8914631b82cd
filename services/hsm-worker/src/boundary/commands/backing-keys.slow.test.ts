import {
  newTestKey as newKey,
  runCommand as run,
  testContext,
  testDomainKey,
  testAccount as account,
  testKeyId as keyId,
  testKeyring,
} from '@keyfleet/test-support/command-context';
import { wrongKeyPairs } from '@keyfleet/test-support/wrong-key-pairs';
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { type KeySpec, type KeySpecRow, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { describe, expect, test } from 'vitest';
import { materialIdOf } from '../tokens/material-id.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import type { CommandContext } from './command.ts';

const otherKeyId = 'mrk-0a1b2c3d00004000800000000000000b';
const message = Buffer.from('a message');

const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

const made = Object.entries(keySpecs)
  .filter(([, { kind }]) => kind !== 'sm2')
  .flatMap(([spec, row]) => Object.keys(row.usages).map((usage) => [spec as KeySpec, usage as KeyUsage] as const));

describe('making keys', () => {
  test.each(made)('%s for %s is made, sealed and opens again', async (keySpec, keyUsage) => {
    const context = testContext();
    const { token, materialId, publicKey } = await newKey(keySpec, keyUsage, context);
    const opened = context.backingKeys.open(token, context.keyring);
    expect(opened).toMatchObject({ keyId, keySpec, keyUsage });
    expect(opened.materialId.equals(materialId)).toBe(true);
    if (opened.key.type === 'secret') expect(publicKey).toBeUndefined();
    else expect(opened.publicKey.export({ format: 'der', type: 'spki' }).equals(publicKey!)).toBe(true);
  });

  test.each([
    ['SM2', 'SIGN_VERIFY'],
    ['ECC_SECG_P256K1', 'KEY_AGREEMENT'],
    ['SYMMETRIC_DEFAULT', 'SIGN_VERIFY'],
    ['RSA_2048', 'GENERATE_VERIFY_MAC'],
  ] as const)('%s for %s is refused', async (keySpec, keyUsage) => {
    await expect(newKey(keySpec, keyUsage, testContext())).rejects.toEqual(refused('invalid-input'));
  });

  test.each(['x', 'alias/x', 'MRK-0a1b2c3d00004000800000000000000b', '0A1B2C3D-0000-4000-8000-00000000000A'])(
    'key id %j is refused',
    async (id) => {
      const making = run(
        'GenerateBackingKey',
        { keyId: id, account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' },
        testContext(),
      );
      await expect(making).rejects.toEqual(refused('invalid-input'));
    },
  );
});

const describing = ['DescribeBackingKey', 'CheckBackingKey'] as const;

function tokenOf(keySpec: KeySpec, keyUsage: KeyUsage, material: Buffer, context: CommandContext): Buffer {
  const materialId = materialIdOf(context.keyring.materialIdKey, { keyId, material });
  const header = { keyId, account, materialId, keySpec, keyUsage, origin: 'AWS_KMS' } as const;
  return sealToken(ExportedKeyToken, { header, secret: material }, context);
}

describe.each(describing)('what another member says about a key: %s', (name) => {
  test.each(made)('is all that is stored of it: %s for %s', async (keySpec, keyUsage) => {
    const context = testContext();
    const { token, ...stored } = await newKey(keySpec, keyUsage, context);
    const described = await run(name, { keyId, account, token }, context);
    expect(described).toEqual({ ...stored, keySpec, keyUsage });
  });

  test.each(['SIGN_VERIFY', 'KEY_AGREEMENT'] as const)(
    'is nothing when its public key belongs to another private key: %s',
    async (keyUsage) => {
      const context = testContext();
      const material = wrongKeyPairs['P-256 with the point of another scalar']![1]();
      const token = tokenOf('ECC_NIST_P256', keyUsage, material, context);
      await expect(run(name, { keyId, account, token }, context)).rejects.toEqual(refused('cannot-open'));
    },
  );

  test.each<[KeySpec, KeyUsage, () => Buffer]>([
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', () => Buffer.alloc(1)],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', () => Buffer.alloc(33)],
    ['HMAC_512', 'GENERATE_VERIFY_MAC', () => Buffer.alloc(32)],
    ['HMAC_256', 'GENERATE_VERIFY_MAC', () => Buffer.alloc(33)],
    ['RSA_4096', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 1024 }))],
    ['RSA_2048', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }))],
    ['ECC_NIST_P521', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'P-256' }))],
    ['ML_KEM_1024', 'ENCAPSULATE_DECAPSULATE', () => pkcs8(generateKeyPairSync('ml-kem-512'))],
  ])('is nothing if it is not of the spec that its token says: %s', async (keySpec, keyUsage, make) => {
    const context = testContext();
    const token = tokenOf(keySpec, keyUsage, make(), context);
    await expect(run(name, { keyId, account, token }, context)).rejects.toEqual(refused('cannot-open'));
  });

  test('is nothing under the name of another key or account', async () => {
    const context = testContext();
    const { token } = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', context);
    for (const moved of [
      { keyId: otherKeyId, account, token },
      { keyId, account: '444455556666', token },
    ]) {
      await expect(run(name, moved, context)).rejects.toEqual(refused('damaged-token'));
    }
  });
});

describe('no member confirms a new key pair', () => {
  test.each(Object.entries(wrongKeyPairs))('%s', async (_what, [keySpec, make]) => {
    const context = testContext();
    const { usages }: KeySpecRow = keySpecs[keySpec];
    for (const keyUsage of Object.keys(usages) as KeyUsage[]) {
      const token = tokenOf(keySpec, keyUsage, make(), context);
      const checking = run('CheckBackingKey', { keyId, account, token }, context);
      await expect(checking).rejects.toEqual(refused('cannot-open'));
    }
  });

  test('ML-DSA without seed, which never signs a mu', async () => {
    const context = testContext();
    const { secretKey } = ml_dsa65.keygen(randomBytes(32));
    // PKCS #8 with the expanded key alone (RFC 9881).
    const head = Buffer.from('30820fd8020100300b060960864801650304031204820fc404820fc0', 'hex');
    const token = tokenOf('ML_DSA_65', 'SIGN_VERIFY', Buffer.concat([head, secretKey]), context);
    expect(await run('DescribeBackingKey', { keyId, account, token }, context)).toMatchObject({ keySpec: 'ML_DSA_65' });
    const checking = run('CheckBackingKey', { keyId, account, token }, context);
    await expect(checking).rejects.toEqual(refused('cannot-open'));
  });
});

function pkcs8({ privateKey }: { privateKey: KeyObject }): Buffer {
  return privateKey.export({ format: 'der', type: 'pkcs8' });
}

describe('tokens in commands', () => {
  test('a token moved to another key is refused', async () => {
    const context = testContext();
    const { token } = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', context);
    const stolen = { keyId: otherKeyId, account, token, algorithm: 'HMAC_SHA_256', message };
    await expect(run('GenerateMac', stolen, context)).rejects.toEqual(refused('damaged-token'));
  });

  test('a token moved to a key of another account is refused', async () => {
    const context = testContext();
    const { token } = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', context);
    const stolen = { keyId, account: '444455556666', token, algorithm: 'HMAC_SHA_256', message };
    await expect(run('GenerateMac', stolen, context)).rejects.toEqual(refused('damaged-token'));
    expect(await run('GenerateMac', { ...stolen, account }, context)).toBeDefined();
  });

  test('a token that is not as it was sealed says so, and never that the ciphertext is to blame', async () => {
    const context = testContext();
    const { token } = await newKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
    const asked = { keyId, account, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext: {} };
    const { ciphertext } = await run('Encrypt', { ...asked, token, plaintext: message }, context);
    for (const at of [0, token.length - 20, token.length - 1]) {
      const damaged = Buffer.from(token);
      damaged[at]! ^= 1;
      const decrypting = run('Decrypt', { ...asked, token: damaged, ciphertext }, context);
      await expect(decrypting).rejects.toEqual(refused('damaged-token'));
    }
    const changed = Buffer.from(ciphertext);
    changed[changed.length - 1]! ^= 1;
    const opening = run('Decrypt', { ...asked, token, ciphertext: changed }, context);
    await expect(opening).rejects.toEqual(refused('cannot-open'));
  });

  test('a key is used only for what it was made for, and with its own algorithms', async () => {
    const context = testContext();
    const { token } = await newKey('RSA_2048', 'SIGN_VERIFY', context);
    const encryption = {
      keyId,
      account,
      token,
      algorithm: 'RSAES_OAEP_SHA_256',
      encryptionContext: {},
      plaintext: message,
    };
    await expect(run('Encrypt', encryption, context)).rejects.toEqual(refused('invalid-input'));
    const signing = { keyId, account, token, algorithm: 'ECDSA_SHA_256', messageType: 'RAW' as const, message };
    await expect(run('Sign', signing, context)).rejects.toEqual(refused('invalid-input'));
    await expect(run('Sign', { ...signing, algorithm: 'toString' }, context)).rejects.toEqual(refused('invalid-input'));
  });

  test('a resealed token opens under the new domain key alone, and makes the same key', async () => {
    const [one, two] = [testDomainKey('1'), testDomainKey('2')];
    const before = testContext();
    const { token } = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', before);
    const mac = (context: CommandContext, of: Uint8Array) =>
      run('GenerateMac', { keyId, account, token: of, algorithm: 'HMAC_SHA_256', message }, context);

    const rotated = testContext({ keyring: testKeyring({ active: two, deactivated: [one] }) });
    const resealed = await run('ResealToken', { token, account }, rotated);
    const after = testContext({ keyring: testKeyring({ active: two }) });
    expect(await mac(after, resealed.token)).toEqual(await mac(before, token));
    await expect(mac(after, token)).rejects.toEqual(refused('unknown-domain-key'));
    expect(await run('ResealToken', { token: resealed.token, account }, after)).toEqual(resealed);
  });

  test.each(['RSA_2048', 'ECC_NIST_P256'] as const)(
    'of a key pair, %s, it is not said that it is none because too many wait',
    async (spec) => {
      const context = testContext();
      const { token } = await newKey(spec, 'SIGN_VERIFY', context);
      const describe = () => run('DescribeBackingKey', { keyId, account, token }, context);
      const gate = Promise.withResolvers<void>();
      const others = Array.from({ length: 2_000 }, (_, i) =>
        context.poolTurns.run({ account, keyId: `${i % 8}` }, undefined, () => gate.promise).catch(() => undefined),
      );
      await expect(describe()).rejects.toEqual(refused('overloaded'));
      gate.resolve();
      await Promise.all(others);
      expect(await describe()).toMatchObject({ keySpec: spec });
    },
  );

  test('an evicted key is opened again from its token', async () => {
    const context = testContext();
    const { token, materialId } = await newKey('HMAC_256', 'GENERATE_VERIFY_MAC', context);
    const first = context.backingKeys.open(token, context.keyring);
    expect(context.backingKeys.open(token, context.keyring)).toBe(first);
    await run('EvictBackingKey', { materialId }, context);
    expect(context.backingKeys.open(token, context.keyring)).not.toBe(first);
  });
});
