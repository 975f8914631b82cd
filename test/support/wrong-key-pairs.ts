import {
  createECDH,
  createHash,
  generateKeyPairSync,
  generatePrimeSync,
  hash,
  type KeyObject,
  randomInt,
} from 'node:crypto';
import type { KeySpec } from '@keyfleet/shared/key-specs';

/**
 * PKCS #8 of key pairs that a hostile member could make: OpenSSL reads them, and most stand a try. They lose some of
 * what is done with them, or all, or are the right ones in another encoding.
 */
export const wrongKeyPairs: Readonly<Record<string, readonly [KeySpec, () => Buffer]>> = {
  'RSA whose exponents are right for half of all messages': ['RSA_2048', () => rsaOfHalf()],
  'RSA whose dP is right for half of all messages': ['RSA_2048', () => rsaOfHalf(['dp'])],
  'RSA whose d alone is wrong': ['RSA_2048', () => rsaWith((rsa) => ({ d: rsa.d + 2n }))],
  'RSA whose dQ alone is wrong': ['RSA_2048', () => rsaWith(({ dq }) => ({ dq: dq + 2n }))],
  'RSA whose qInv alone is wrong': ['RSA_2048', () => rsaWith(({ qi }) => ({ qi: qi ^ 1n }))],
  'RSA with a dP that is longer than its prime': ['RSA_2048', () => rsaWith(({ dp, p }) => ({ dp: dp + p - 1n }))],
  'RSA whose modulus is another': ['RSA_2048', () => rsaWith(({ n }) => ({ n: n ^ 2n }))],
  'RSA of three primes that says it is of two': ['RSA_2048', () => rsaOfThree()],
  'ML-KEM without seed, with a great error': ['ML_KEM_768', () => mlKem(({ expanded }) => octets(tooGreat(expanded)))],
  'ML-KEM without seed': ['ML_KEM_768', () => mlKem(({ expanded }) => octets(expanded))],
  'ML-KEM with a seed and its expanded key': ['ML_KEM_768', () => mlKem((own) => both(own.seed, own.expanded))],
  'ML-KEM with a seed and another expanded key': [
    'ML_KEM_768',
    () => mlKem(({ seed, expanded }) => both(seed, tooGreat(expanded))),
  ],
  'P-256 with the point of another scalar': ['ECC_NIST_P256', () => ecOfAnother('P-256')],
  'secp256k1 with the point of another scalar': ['ECC_SECG_P256K1', () => ecOfAnother('secp256k1')],
  'P-521 with a scalar above the order': ['ECC_NIST_P521', () => scalarAboveOrder()],
  'P-256 without its point': ['ECC_NIST_P256', () => ecWithoutPoint()],
  'Ed25519 with the public key of another': ['ECC_NIST_EDWARDS25519', () => ed25519OfAnother()],
  'P-256 with an attribute': ['ECC_NIST_P256', () => withAttributes(made('ECC_NIST_P256'))],
  'RSA with bytes after it': ['RSA_2048', () => Buffer.concat([made('RSA_2048'), Buffer.of(0)])],
  'Ed25519 with a length that is longer than it need be': ['ECC_NIST_EDWARDS25519', () => withLongLength()],
  'ML-DSA with bytes after it': ['ML_DSA_65', () => Buffer.concat([made('ML_DSA_65'), Buffer.of(0)])],
};

function made(spec: 'RSA_2048' | 'ECC_NIST_P256' | 'ECC_NIST_EDWARDS25519' | 'ML_DSA_65'): Buffer {
  const pairs = {
    RSA_2048: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ECC_NIST_P256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ECC_NIST_EDWARDS25519: () => generateKeyPairSync('ed25519'),
    ML_DSA_65: () => generateKeyPairSync('ml-dsa-65'),
  };
  return pkcs8Of(pairs[spec]().privateKey);
}

function pkcs8Of(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

const octets = (content: Uint8Array): Buffer => der(0x04, content);
const both = (seed: Uint8Array, expanded: Uint8Array): Buffer => der(0x30, octets(seed), octets(expanded));

function pkcs8(algorithm: string, privateKey: Uint8Array, version = 0, ...rest: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.of(2, 1, version), Buffer.from(algorithm, 'hex'), octets(privateKey), ...rest);
}

/** What is inside of a DER element of at least 48 bytes. */
function contentOf(element: Buffer): Buffer {
  return element.subarray(element[1]! < 0x80 ? 2 : 2 + element[1]! - 0x80);
}

function withAttributes(key: Buffer): Buffer {
  return der(0x30, contentOf(key), Buffer.from('a000', 'hex'));
}

function withLongLength(): Buffer {
  const key = made('ECC_NIST_EDWARDS25519');
  return Buffer.concat([Buffer.of(0x30, 0x81), key.subarray(1)]);
}

type RsaName = (typeof rsaNames)[number];
type Rsa = Readonly<Record<RsaName, bigint>>;

function newRsa(): Rsa {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const entries = Object.entries(jwk).filter(([name]) => name !== 'kty');
  return Object.fromEntries(entries.map(([name, text]) => [name, valueOf(text as string)])) as Rsa;
}

const rsaNames = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;

function rsaDer(rsa: Rsa): Buffer {
  const integers = rsaNames.map((name) => der(2, bytesOf(rsa[name])));
  return pkcs8('300d06092a864886f70d0101010500', der(0x30, Buffer.of(2, 1, 0), ...integers));
}

function rsaWith(change: (rsa: Rsa) => Partial<Rsa>): Buffer {
  const rsa = newRsa();
  return rsaDer({ ...rsa, ...change(rsa) });
}

/** `d` is off by half of lambda(n), which is right for half of all messages; `wrong`: where that is so. */
function rsaOfHalf(wrong: readonly RsaName[] = ['d', 'dp', 'dq']): Buffer {
  for (;;) {
    const rsa = newRsa();
    const [p1, q1] = [rsa.p - 1n, rsa.q - 1n];
    if (twosIn(p1) <= twosIn(q1)) continue;
    const lambda = lcm(p1, q1);
    const d = (rsa.d + lambda / 2n) % lambda;
    const parts = { d, dp: d % p1, dq: d % q1 };
    return rsaDer({
      ...rsa,
      ...Object.fromEntries(Object.entries(parts).filter(([name]) => wrong.includes(name as RsaName))),
    });
  }
}

/** Decrypts everything. */
function rsaOfThree(): Buffer {
  const e = 65537n;
  const [r, s, q] = [512, 512, 1024].map((bits) => generatePrimeSync(bits, { bigint: true })) as [
    bigint,
    bigint,
    bigint,
  ];
  const p = r * s;
  const orderOfP = lcm(r - 1n, s - 1n);
  const [dp, dq, d] = [orderOfP, q - 1n, lcm(orderOfP, q - 1n)].map((order) => inverse(e, order));
  return rsaDer({ n: p * q, e, d: d!, p, q, dp: dp!, dq: dq!, qi: inverse(q, p) });
}

function valueOf(text: string): bigint {
  return BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
}

/** As in DER: the first bit says whether it is negative. */
function bytesOf(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return bytes[0]! < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]);
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

function lcm(a: bigint, b: bigint): bigint {
  return (a / gcd(a, b)) * b;
}

function twosIn(value: bigint): number {
  let twos = 0;
  while ((value >> BigInt(twos)) % 2n === 0n) twos++;
  return twos;
}

function inverse(a: bigint, modulus: bigint): bigint {
  let [r, next, x, nextX] = [modulus, a % modulus, 0n, 1n];
  while (next !== 0n) [r, next, x, nextX] = [next, r % next, nextX, x - (r / next) * nextX];
  return ((x % modulus) + modulus) % modulus;
}

function ecOfAnother(namedCurve: 'P-256' | 'secp256k1'): Buffer {
  const [one, other] = [1, 2].map(() => pkcs8Of(generateKeyPairSync('ec', { namedCurve }).privateKey));
  // A PKCS #8 ends with the public point, 65 bytes.
  return Buffer.concat([one!.subarray(0, -65), other!.subarray(-65)]);
}

/** SEC 1's ECPrivateKey. */
function ecPrivateKey(scalar: Uint8Array, ...point: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.of(2, 1, 1), octets(scalar), ...point.map((one) => der(0xa1, der(0x03, Buffer.of(0), one))));
}

function ecWithoutPoint(): Buffer {
  const ecdh = createECDH('prime256v1');
  ecdh.generateKeys();
  const scalar = Buffer.alloc(32);
  ecdh.getPrivateKey().copy(scalar, 32 - ecdh.getPrivateKey().length);
  return pkcs8('301306072a8648ce3d020106082a8648ce3d030107', ecPrivateKey(scalar));
}

/** The same point as that of the scalar below. */
function scalarAboveOrder(): Buffer {
  const order = BigInt(`0x01${'f'.repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`);
  const ecdh = createECDH('secp521r1');
  ecdh.setPrivateKey(Buffer.of(7));
  const scalar = Buffer.from((order + 7n).toString(16).padStart(132, '0'), 'hex');
  return pkcs8('301006072a8648ce3d020106052b81040023', ecPrivateKey(scalar, ecdh.getPublicKey()));
}

function ed25519OfAnother(): Buffer {
  const [one, other] = [1, 2].map(() => generateKeyPairSync('ed25519'));
  const publicKey = Buffer.concat([Buffer.of(0), other!.publicKey.export({ format: 'raw-public' })]);
  const secret = octets(one!.privateKey.export({ format: 'raw-private' }));
  return pkcs8('300506032b6570', secret, 1, der(0x81, publicKey));
}

interface MlKem {
  readonly seed: Buffer;
  /** FIPS 203's decapsulation key. */
  readonly expanded: Buffer;
}

/** `privateKey`: what the PKCS #8 holds (RFC 9935). */
function mlKem(privateKey: (own: MlKem) => Uint8Array): Buffer {
  const pair = generateKeyPairSync('ml-kem-768');
  const seed = pair.privateKey.export({ format: 'raw-seed' });
  const [key, z] = [seed.subarray(0, 32), seed.subarray(32)];
  const sigma = hash('sha3-512', Buffer.concat([key, Buffer.of(K)]), 'buffer').subarray(32);
  const secrets = Array.from({ length: K }, (_, i) => encode12(ntt(smallNumbers(sigma, i))));
  const publicKey = pair.publicKey.export({ format: 'raw-public' });
  const expanded = Buffer.concat([...secrets, publicKey, hash('sha3-256', publicKey, 'buffer'), z]);
  return pkcs8('300b0609608648016503040402', privateKey({ seed, expanded }));
}

/** Some of what is encapsulated under this key, eight in a hundred or so, is never decapsulated. */
function tooGreat(expanded: Buffer): Buffer {
  const wrong = Buffer.from(expanded);
  for (let at = 384 * K; at < 2 * 384 * K; at += 384) {
    const error = ntt(Array.from({ length: N }, () => (randomInt(2) === 0 ? 8 : Q - 8)));
    encode12(decode12(wrong.subarray(at, at + 384)).map((one, i) => (one + error[i]!) % Q)).copy(wrong, at);
  }
  hash('sha3-256', wrong.subarray(384 * K, 2 * 384 * K + 32), 'buffer').copy(wrong, 2 * 384 * K + 32);
  return wrong;
}

// ML-KEM-768 (FIPS 203).
const Q = 3329;
const N = 256;
const K = 3;

/** PRF and SamplePolyCBD with eta = 2 (algorithm 8). */
function smallNumbers(sigma: Uint8Array, index: number): number[] {
  const bytes = createHash('shake256', { outputLength: 128 }).update(sigma).update(Buffer.of(index)).digest();
  return Array.from({ length: N }, (_, i) => {
    const bits = (bytes[i >> 1]! >> (4 * (i % 2))) & 15;
    const of = (at: number) => (bits >> at) & 1;
    return (of(0) + of(1) - of(2) - of(3) + Q) % Q;
  });
}

/** Algorithm 9. */
function ntt(f: readonly number[]): number[] {
  const out = [...f];
  let k = 1;
  for (let length = 128; length >= 2; length >>= 1) {
    for (let start = 0; start < N; start += 2 * length) {
      const zeta = zetaOf(k++);
      for (let j = start; j < start + length; j++) {
        const t = (zeta * out[j + length]!) % Q;
        out[j + length] = (out[j]! - t + Q) % Q;
        out[j] = (out[j]! + t) % Q;
      }
    }
  }
  return out;
}

/** 17 to the power of `k` with its seven bits reversed. */
function zetaOf(k: number): number {
  const exponent = Number.parseInt(k.toString(2).padStart(7, '0').split('').toReversed().join(''), 2);
  let power = 1;
  for (let i = 0; i < exponent; i++) power = (power * 17) % Q;
  return power;
}

function encode12(numbers: readonly number[]): Buffer {
  const out = Buffer.alloc(384);
  for (let i = 0; i < N; i += 2) out.writeUIntLE(numbers[i]! + numbers[i + 1]! * 4096, (i / 2) * 3, 3);
  return out;
}

function decode12(bytes: Buffer): number[] {
  return Array.from({ length: N }, (_, i) => {
    const two = bytes.readUIntLE((i >> 1) * 3, 3);
    return i % 2 === 0 ? two % 4096 : two >> 12;
  });
}
