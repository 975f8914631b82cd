import {
  runCommand as run,
  takenBy,
  testAccount,
  testContext,
  testDomainKey,
  testKeyId,
  testKeyring,
} from '@keyfleet/test-support/command-context';
import { execFileSync } from 'node:child_process';
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { WrappingAlgorithm } from '@keyfleet/shared/algorithms';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
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
const rsaKeyPairs = takenBy((bits) => pairs[bits]);
let now = 0;
const context = testContext({ rsaKeyPairs, clock: { now: () => now }, random: randomBytes, nonce: randomBytes });

const sha256 = { wrappingAlgorithm: 'RSAES_OAEP_SHA_256', wrappingKeySpec: 'RSA_2048' } as const;
const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

async function parametersOf(of: Key, wrapping: Partial<InputOf<'GenerateImportKey'>> = {}) {
  now = 0;
  return run('GenerateImportKey', { ...of, ...sha256, ...wrapping }, context);
}

function wrap(publicKey: Uint8Array, material: Uint8Array, algorithm: WrappingAlgorithm = 'RSAES_OAEP_SHA_256') {
  return wrapMaterial(algorithm, publicKey, material);
}

const importing = (of: Key, importToken: Uint8Array, encryptedMaterial: Uint8Array, by: CommandContext = context) =>
  run('ImportBackingKey', { ...of, importToken, encryptedMaterial }, by);

test.each([
  ['RSAES_OAEP_SHA_1', 'RSA_2048'],
  ['RSAES_OAEP_SHA_1', 'RSA_3072'],
  ['RSAES_OAEP_SHA_256', 'RSA_3072'],
  ['RSAES_OAEP_SHA_256', 'RSA_4096'],
  ['RSA_AES_KEY_WRAP_SHA_1', 'RSA_2048'],
  ['RSA_AES_KEY_WRAP_SHA_256', 'RSA_3072'],
  ['RSA_AES_KEY_WRAP_SHA_256', 'RSA_4096'],
] as const)(
  'material wrapped with %s and %s becomes an ordinary backing key',
  async (wrappingAlgorithm, wrappingKeySpec) => {
    const material = randomBytes(32);
    const { importToken, publicKey, validTo } = await parametersOf(key, { wrappingAlgorithm, wrappingKeySpec });
    expect(validTo).toBe(86_400_000);
    const wrapped = wrap(publicKey, material, wrappingAlgorithm);
    const { token, materialId } = await importing(key, importToken, wrapped);
    const { keyId, account, keySpec, keyUsage } = key;
    expect(await run('DescribeBackingKey', { keyId, account, token }, context)).toEqual({
      materialId,
      keySpec,
      keyUsage,
    });
    expect(context.backingKeys.open(token, context.keyring).key.export().equals(material)).toBe(true);
    const again = await importing(key, importToken, wrap(publicKey, material, wrappingAlgorithm));
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
    // A token that is not genuine does not reveal that it has expired.
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

test('every failure to unwrap is the same refusal, however far it got', async () => {
  const { importToken, publicKey } = await parametersOf(key);
  const wrappingKey = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  const raw = (padded: Buffer) => publicEncrypt({ key: wrappingKey, padding: constants.RSA_NO_PADDING }, padded);
  const good = wrap(publicKey, Buffer.alloc(32));
  const attempts = [
    wrap(publicKey, Buffer.alloc(32), 'RSAES_OAEP_SHA_1'),
    publicEncrypt({ key: wrappingKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.alloc(32)),
    good.subarray(1),
    Buffer.concat([good, Buffer.of(0)]),
    Buffer.alloc(0),
    Buffer.alloc(256, 0xff),
    // Manger's attack: the first byte is zero, or it is not.
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

  test('is not imported into a key pair for which AWS takes none', async () => {
    const pair = { ...key, keySpec: 'ML_DSA_44', keyUsage: 'SIGN_VERIFY' } as const;
    await expect(run('GenerateImportKey', { ...pair, ...sha256 }, context)).rejects.toEqual(refused('invalid-input'));
  });
});

const aesWrapped = { wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', wrappingKeySpec: 'RSA_2048' } as const;

test('material that an AES key does not unwrap, or a key other than AES-256, is the same refusal', async () => {
  const { importToken, publicKey } = await parametersOf(key, aesWrapped);
  const good = wrap(publicKey, Buffer.alloc(32), 'RSA_AES_KEY_WRAP_SHA_256');
  await importing(key, importToken, good);
  const changed = Buffer.from(good);
  changed[good.length - 1]! ^= 1;
  const oaepOf = (bytes: Buffer) => wrap(publicKey, bytes);
  const attempts = [
    changed,
    good.subarray(0, 256),
    good.subarray(0, 255),
    good.subarray(0, -1),
    Buffer.concat([good, Buffer.alloc(8)]),
    Buffer.concat([oaepOf(Buffer.alloc(16)), good.subarray(256)]),
    Buffer.concat([oaepOf(Buffer.alloc(32)), good.subarray(256)]),
    oaepOf(Buffer.alloc(32)),
    Buffer.alloc(0),
  ];
  for (const attempt of attempts) {
    await expect(importing(key, importToken, attempt)).rejects.toEqual(refused('cannot-open'));
  }
});

describe('a key pair', () => {
  type Spec = InputOf<'ImportBackingKey'>['keySpec'];
  const keyPair = (keySpec: Spec): Key => ({ ...key, keySpec, keyUsage: 'SIGN_VERIFY' });
  const pkcs8 = (privateKey: KeyObject) => privateKey.export({ format: 'der', type: 'pkcs8' });

  async function importPair(keySpec: Spec, material: Uint8Array) {
    const of = keyPair(keySpec);
    const { importToken, publicKey } = await parametersOf(of, aesWrapped);
    return importing(of, importToken, wrap(publicKey, material, 'RSA_AES_KEY_WRAP_SHA_256'));
  }

  const made = {
    RSA_2048: async () => (await pairs[2048]).privateKey,
    RSA_4096: async () => (await pairs[4096]).privateKey,
    ECC_NIST_P256: async () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    ECC_NIST_P384: async () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    ECC_NIST_P521: async () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
    ECC_SECG_P256K1: async () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
    ECC_NIST_EDWARDS25519: async () => generateKeyPairSync('ed25519').privateKey,
  } as const;
  type Made = keyof typeof made;

  test.each(Object.keys(made) as Made[])('of %s becomes an ordinary backing key', async (keySpec) => {
    const privateKey = await made[keySpec]();
    const { token, materialId, publicKey } = await importPair(keySpec, pkcs8(privateKey));
    expect(publicKey).toEqual(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
    const { keyId, account } = key;
    const described = await run('DescribeBackingKey', { keyId, account, token }, context);
    expect(described).toEqual({ materialId, publicKey, keySpec, keyUsage: 'SIGN_VERIFY' });
  });

  test.each(
    Object.keys(made).flatMap((one) =>
      Object.keys(made)
        .filter((other) => other !== one)
        .map((other) => [one, other]),
    ),
  )('of %s is no key of %s', async (one, other) => {
    const material = pkcs8(await made[one as Made]());
    await expect(importPair(other as Made, material)).rejects.toEqual(refused('incorrect-material'));
  });

  test('has one material id, whichever public key or none its PKCS #8 says', async () => {
    const privateKey = await made.ECC_NIST_P256();
    const der = pkcs8(privateKey);
    // SEC 1 without its optional members: only version and scalar.
    const scalar = privateKey.export({ format: 'raw-private' });
    const bare = Buffer.concat([
      Buffer.from('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420', 'hex'),
      scalar,
    ]);
    const [whole, short] = [await importPair('ECC_NIST_P256', der), await importPair('ECC_NIST_P256', bare)];
    expect(short.materialId).toEqual(whole.materialId);
    expect(short.publicKey).toEqual(whole.publicKey);
    const another = Buffer.concat([der.subarray(0, -64), pkcs8(await made.ECC_NIST_P256()).subarray(-64)]);
    await expect(importPair('ECC_NIST_P256', another)).rejects.toEqual(refused('incorrect-material'));
    for (const wrong of [Buffer.alloc(32), Buffer.alloc(32, 0xff)]) {
      const material = Buffer.concat([bare.subarray(0, -32), wrong]);
      await expect(importPair('ECC_NIST_P256', material)).rejects.toEqual(refused('incorrect-material'));
    }
  });

  test.each(['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const)('of RSA with another %s is refused', async (part) => {
    const { privateKey } = await pairs[2048];
    const material = pkcs8(privateKey);
    const jwk = privateKey.export({ format: 'jwk' }) as Record<string, string>;
    const bytes = Buffer.from(jwk[part]!, 'base64url');
    material[material.indexOf(bytes) + bytes.length - 1]! ^= 2;
    await expect(importPair('RSA_2048', material)).rejects.toEqual(refused('incorrect-material'));
  });

  const valueOf = (part: string | undefined) => BigInt(`0x${Buffer.from(part!, 'base64url').toString('hex')}`);

  /** The key with other exponents, which `change` computes from those that are right. */
  async function withExponents(
    isEligible: (p: bigint, q: bigint) => boolean,
    change: (right: { readonly d: bigint; readonly dp: bigint; readonly p: bigint; readonly q: bigint }) => object,
  ): Promise<Buffer> {
    for (;;) {
      const jwk = (await newRsaKeyPair(2048)).privateKey.export({ format: 'jwk' });
      const [p, q, d, dp] = [jwk.p, jwk.q, jwk.d, jwk.dp].map(valueOf) as [bigint, bigint, bigint, bigint];
      if (!isEligible(p, q)) continue;
      const changed = Object.entries(change({ d, dp, p, q })).map(([name, value]) => {
        const hex = (value as bigint).toString(16);
        return [name, Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')];
      });
      return pkcs8(createPrivateKey({ format: 'jwk', key: { ...jwk, ...Object.fromEntries(changed) } }));
    }
  }
  const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));
  const lambda = (p: bigint, q: bigint) => ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n);
  /** An exponent that is wrong by half of lambda(n) is then wrong modulo one of the primes only. */
  const isOdd = (p: bigint, q: bigint) => p % 4n === 1n && q % 4n === 3n;
  const isAny = () => true;

  test('of RSA with exponents that are right for half of all messages is refused, always', async () => {
    const wrongD = await withExponents(isOdd, ({ d, p, q }) => ({ d: (d + lambda(p, q) / 2n) % lambda(p, q) }));
    const wrongBoth = await withExponents(isOdd, ({ d, dp, p, q }) => ({
      d: (d + lambda(p, q) / 2n) % lambda(p, q),
      dp: (dp + (p - 1n) / 2n) % (p - 1n),
    }));
    for (let i = 0; i < 12; i++) {
      for (const material of [wrongD, wrongBoth]) {
        await expect(importPair('RSA_2048', material)).rejects.toEqual(refused('incorrect-material'));
      }
    }
  });

  test('of RSA may have the exponent of lambda(n) or of phi(n), and none that is longer', async () => {
    const phi = (p: bigint, q: bigint) => (p - 1n) * (q - 1n);
    const inverse = (p: bigint, q: bigint, d: bigint) =>
      Array.from({ length: 64 }, (_, i) => (d % lambda(p, q)) + BigInt(i) * lambda(p, q)).find(
        (it) => (it * 65_537n) % phi(p, q) === 1n,
      )!;
    const ofLambda = await withExponents(isAny, ({ d, p, q }) => ({ d: d % lambda(p, q) }));
    const ofPhi = await withExponents(
      (p, q) => gcd(p - 1n, q - 1n) < 64n,
      ({ d, p, q }) => ({ d: inverse(p, q, d) }),
    );
    for (const material of [ofLambda, ofPhi]) {
      expect((await importPair('RSA_2048', material)).publicKey).toBeDefined();
    }
    const longer = await withExponents(isAny, ({ dp, p }) => ({ dp: dp + p - 1n }));
    await expect(importPair('RSA_2048', longer)).rejects.toEqual(refused('incorrect-material'));
  });

  test.each([
    ['of three primes', ['RSA', '-pkeyopt', 'rsa_keygen_primes:3']],
    ['with another exponent', ['RSA', '-pkeyopt', 'rsa_keygen_pubexp:3']],
    ['for PSS only', ['RSA-PSS']],
  ])('of RSA %s is refused', async (_, [algorithm, ...options]) => {
    const bits = ['-pkeyopt', 'rsa_keygen_bits:2048'];
    const made = execFileSync('openssl', ['genpkey', '-algorithm', algorithm!, ...bits, ...options, '-outform', 'DER']);
    const key = execFileSync('openssl', ['pkcs8', '-topk8', '-nocrypt', '-inform', 'DER', '-outform', 'DER'], {
      input: made,
    });
    await expect(importPair('RSA_2048', key)).rejects.toEqual(refused('incorrect-material'));
  });

  const element = (tag: number, ...parts: Buffer[]) => {
    const value = Buffer.concat(parts);
    return Buffer.concat([Buffer.of(tag, 0x82, value.length >> 8, value.length & 0xff), value]);
  };
  const odd = (bytes: number) => element(0x02, Buffer.of(0), Buffer.alloc(bytes, 0xab));

  test.each([
    ['DSA', '06072a8648ce380401', [odd(2_900), odd(20)], odd(2_900)],
    ['DH', '06092a864886f70d010301', [odd(1_250)], odd(4_000)],
  ])('of %s takes no time', async (_, oid, primes, secret) => {
    const generator = Buffer.from('020102', 'hex');
    const algorithm = element(0x30, Buffer.from(oid, 'hex'), element(0x30, ...primes, generator));
    const material = element(0x30, Buffer.from('020100', 'hex'), algorithm, element(0x04, secret));
    await Promise.all(Object.values(pairs));
    const before = process.cpuUsage();
    for (const keySpec of ['RSA_2048', 'ECC_NIST_P256', 'ECC_NIST_EDWARDS25519'] as const) {
      await expect(importPair(keySpec, material)).rejects.toEqual(refused('incorrect-material'));
    }
    // OpenSSL would compute for seconds each time.
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
  });

  test('that is not PKCS #8 is refused', async () => {
    const der = pkcs8(await made.ECC_NIST_P256());
    const sec1 = (await made.ECC_NIST_P256()).export({ format: 'der', type: 'sec1' });
    const pem = (await made.ECC_NIST_P256()).export({ format: 'pem', type: 'pkcs8' });
    for (const material of [randomBytes(32), der.subarray(0, -1), sec1, Buffer.from(pem)]) {
      await expect(importPair('ECC_NIST_P256', material)).rejects.toEqual(refused('incorrect-material'));
    }
  });
});
