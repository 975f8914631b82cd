import {
  runCommand as run,
  testAccount,
  testContext,
  testDomainKey,
  testKeyId,
  testKeyring,
} from '@keyfleet/test-support/command-context';
import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { describe, expect, test } from 'vitest';
import { newRsaKeyPair } from '../keys/key-pair.ts';
import type { CommandContext } from './command.ts';

const key = {
  keyId: testKeyId,
  account: testAccount,
  region: 'us-east-1',
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
} as const;
const hmacKey = { ...key, keySpec: 'HMAC_256', keyUsage: 'GENERATE_VERIFY_MAC' } as const;
type Key = Pick<InputOf<'ImportBackingKey'>, keyof typeof key>;

const pairs = { 2048: newRsaKeyPair(2048), 3072: newRsaKeyPair(3072), 4096: newRsaKeyPair(4096) };
const rsaKeyPairs = { take: (bits: keyof typeof pairs) => pairs[bits] };
let now = 0;
const context = testContext({ rsaKeyPairs, clock: { now: () => now }, random: randomBytes, nonce: randomBytes });

const sha256 = { wrappingAlgorithm: 'RSAES_OAEP_SHA_256', wrappingKeySpec: 'RSA_2048' } as const;
const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

async function parametersOf(of: Key, wrapping: Partial<InputOf<'GenerateImportKey'>> = {}) {
  now = 0;
  return run('GenerateImportKey', { ...of, ...sha256, ...wrapping }, context);
}

function wrap(publicKey: Uint8Array, material: Uint8Array, oaepHash = 'sha256'): Buffer {
  const wrappingKey = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return publicEncrypt({ key: wrappingKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, material);
}

const importing = (of: Key, importToken: Uint8Array, encryptedMaterial: Uint8Array, by: CommandContext = context) =>
  run('ImportBackingKey', { ...of, importToken, encryptedMaterial }, by);

test.each([
  ['RSAES_OAEP_SHA_1', 'RSA_2048'],
  ['RSAES_OAEP_SHA_1', 'RSA_3072'],
  ['RSAES_OAEP_SHA_256', 'RSA_3072'],
  ['RSAES_OAEP_SHA_256', 'RSA_4096'],
] as const)(
  'material wrapped with %s and %s becomes an ordinary backing key',
  async (wrappingAlgorithm, wrappingKeySpec) => {
    const material = randomBytes(32);
    const { importToken, publicKey, validTo } = await parametersOf(key, { wrappingAlgorithm, wrappingKeySpec });
    expect(validTo).toBe(86_400_000);
    const wrapped = wrap(publicKey, material, wrappingAlgorithm === 'RSAES_OAEP_SHA_1' ? 'sha1' : 'sha256');
    const { token, materialId } = await importing(key, importToken, wrapped);
    const { keyId, account, keySpec, keyUsage } = key;
    expect(await run('DescribeBackingKey', { keyId, account, token }, context)).toEqual({
      materialId,
      keySpec,
      keyUsage,
    });
    expect(context.backingKeys.open(token, context.keyring).key.export().equals(material)).toBe(true);
    const again = await importing(
      key,
      importToken,
      wrap(publicKey, material, wrappingAlgorithm === 'RSAES_OAEP_SHA_1' ? 'sha1' : 'sha256'),
    );
    expect(Buffer.from(again.materialId).equals(materialId)).toBe(true);
  },
);

test('the token of one domain key is good when another one seals', async () => {
  const { importToken, publicKey } = await parametersOf(key);
  const keyring = testKeyring({ active: testDomainKey('2'), deactivated: [testDomainKey('1')] });
  const { materialId } = await importing(key, importToken, wrap(publicKey, Buffer.alloc(32)), { ...context, keyring });
  expect(materialId).toHaveLength(32);
});

describe('an import token', () => {
  test.each([
    { keyId: 'mrk-0a1b2c3d00004000800000000000000b' },
    { account: '444455556666' },
    { region: 'eu-west-1' },
    hmacKey,
    { ...hmacKey, keySpec: 'HMAC_512' as const },
  ])('is good for its own key only: %j', async (other) => {
    const { importToken, publicKey } = await parametersOf(key);
    const wrapped = wrap(publicKey, Buffer.alloc(32));
    await expect(importing({ ...key, ...other }, importToken, wrapped)).rejects.toEqual(
      refused('invalid-import-token'),
    );
  });

  test('is good for 24 hours to the millisecond', async () => {
    const { importToken, publicKey } = await parametersOf(key);
    const wrapped = wrap(publicKey, Buffer.alloc(32));
    now = 86_399_999;
    await importing(key, importToken, wrapped);
    now = 86_400_000;
    await expect(importing(key, importToken, wrapped)).rejects.toEqual(refused('expired-import-token'));
    // Of a token that is not genuine nobody learns that it is old.
    importToken[importToken.length - 1]! ^= 1;
    await expect(importing(key, importToken, wrapped)).rejects.toEqual(refused('invalid-import-token'));
  });

  test('with any byte changed, or of another deployment, or of another kind, is one and the same refusal', async () => {
    const { importToken, publicKey } = await parametersOf(key);
    const wrapped = wrap(publicKey, Buffer.alloc(32));
    for (let at = 0; at < importToken.length; at += 7) {
      const changed = Buffer.from(importToken);
      changed[at]! ^= 1;
      await expect(importing(key, changed, wrapped)).rejects.toEqual(refused('invalid-import-token'));
    }
    const elsewhere = { ...context, keyring: testKeyring({ active: testDomainKey('1'), domain: 'elsewhere' }) };
    await expect(importing(key, importToken, wrapped, elsewhere)).rejects.toEqual(refused('invalid-import-token'));
    const strange = { ...context, keyring: testKeyring({ active: testDomainKey('2') }) };
    await expect(importing(key, importToken, wrapped, strange)).rejects.toEqual(refused('invalid-import-token'));
    const { token } = await importing(key, importToken, wrapped);
    await expect(importing(key, token, wrapped)).rejects.toEqual(refused('invalid-import-token'));
  });
});

test('what does not unwrap is one and the same refusal, however far it came', async () => {
  const { importToken, publicKey } = await parametersOf(key);
  const wrappingKey = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  const raw = (padded: Buffer) => publicEncrypt({ key: wrappingKey, padding: constants.RSA_NO_PADDING }, padded);
  const good = wrap(publicKey, Buffer.alloc(32));
  const attempts = [
    wrap(publicKey, Buffer.alloc(32), 'sha1'),
    publicEncrypt({ key: wrappingKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.alloc(32)),
    good.subarray(1),
    Buffer.concat([good, Buffer.of(0)]),
    Buffer.alloc(0),
    Buffer.alloc(256, 0xff),
    // Manger: the first byte is zero, or it is not.
    raw(Buffer.concat([Buffer.of(0), Buffer.alloc(255, 7)])),
    raw(Buffer.concat([Buffer.of(1), Buffer.alloc(255, 7)])),
  ];
  for (const attempt of attempts) {
    await expect(importing(key, importToken, attempt)).rejects.toEqual(refused('cannot-open'));
  }
});

describe('material', () => {
  test.each([
    [key, [0, 1, 16, 31, 33, 64], [32]],
    [{ ...hmacKey, keySpec: 'HMAC_224' as const }, [0, 27, 129], [28, 128]],
    [hmacKey, [31, 129], [32, 33, 128]],
    [{ ...hmacKey, keySpec: 'HMAC_512' as const }, [32, 63, 129], [64, 128]],
  ])('is of the length that its key spec takes: %j', async (of, wrong, right) => {
    const { importToken, publicKey } = await parametersOf(of);
    for (const length of wrong) {
      const wrapped = wrap(publicKey, Buffer.alloc(length, 1));
      await expect(importing(of, importToken, wrapped)).rejects.toEqual(refused('incorrect-material'));
    }
    const { keyId, account } = of;
    for (const length of right) {
      const { token } = await importing(of, importToken, wrap(publicKey, Buffer.alloc(length, 1)));
      await run('DescribeBackingKey', { keyId, account, token }, context);
    }
  });

  test('is not imported into a key pair', async () => {
    const pair = { ...key, keySpec: 'ECC_NIST_P256', keyUsage: 'SIGN_VERIFY' } as const;
    await expect(run('GenerateImportKey', { ...pair, ...sha256 }, context)).rejects.toEqual(refused('invalid-input'));
  });
});
