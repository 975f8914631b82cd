import { checkPrime, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { decryptOaep, encryptOaep } from '../crypto/rsa-oaep.ts';

/** The integers of a two-prime RSAPrivateKey in order (RFC 8017 appendix A.1.2). */
const names = ['version', 'n', 'e', 'd', 'p', 'q', 'dP', 'dQ', 'qInv'] as const;
type Parts = Readonly<Record<(typeof names)[number], Buffer>>;

const isPrime = promisify<Buffer, boolean>(checkPrime);
const message = Buffer.from('keyfleet RSA key check');

/**
 * Whether the parts of an RSA private key belong together: there are two primes of half the modulus each, and both ways
 * to decrypt, by `d` and by the primes, undo the public exponent. OpenSSL reads any integers, and Node does not expose
 * OpenSSL's own check. OpenSSL does all the work on the thread pool; no part of the key becomes a string or a BigInt,
 * which nothing can overwrite.
 */
export async function arePartsOfOneKey(key: KeyObject): Promise<boolean> {
  const der = key.export({ format: 'der', type: 'pkcs1' });
  try {
    const parts = partsOf(der);
    if (parts === undefined || !isHalf(parts.p, parts.n) || !isHalf(parts.q, parts.n)) return false;
    const encrypted = encryptOaep(createPublicKey(key), 'SHA-256', message);
    for (const part of [parts.dP, parts.d]) if (!(await decryptsWithout(part, der, encrypted))) return false;
    return (await isPrime(parts.p)) && (await isPrime(parts.q));
  } finally {
    der.fill(0);
  }
}

/**
 * OpenSSL decrypts by the primes, checks the result with the public exponent, and falls back to `d` if it is wrong. So
 * if it still decrypts with `dP` changed, `d` is right; with `d` changed, all the others are. `part` is a part of
 * `der`, and is restored afterwards.
 */
async function decryptsWithout(part: Buffer, der: Buffer, encrypted: Buffer): Promise<boolean> {
  const last = part.length - 1;
  part[last]! ^= 1;
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs1' });
    return message.equals(await decryptOaep(key, 'SHA-256', encrypted));
  } catch {
    return false;
  } finally {
    part[last]! ^= 1;
  }
}

function isHalf(prime: Buffer, modulus: Buffer): boolean {
  return bitsOf(prime) * 2 === bitsOf(modulus);
}

function bitsOf(integer: Buffer): number {
  const first = integer.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (integer.length - first) * 8 - (Math.clz32(integer[first]!) - 24);
}

/** Views of `der`, which OpenSSL has written; `undefined` if the key has more than two primes. */
function partsOf(der: Buffer): Parts | undefined {
  const parts: Buffer[] = [];
  for (let at = valueAt(der, 0).start; at < der.length;) {
    const { start, end } = valueAt(der, at);
    parts.push(der.subarray(start, end));
    at = end;
  }
  if (parts.length !== names.length) return undefined;
  return Object.fromEntries(names.map((name, i) => [name, parts[i]!])) as unknown as Parts;
}

/** The position of the value of the DER element at `at`. */
function valueAt(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]!;
  const more = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + more;
  return { start, end: start + (more === 0 ? first : der.readUIntBE(at + 2, more)) };
}
