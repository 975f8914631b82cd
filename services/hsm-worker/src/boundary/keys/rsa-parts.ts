import { checkPrime, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { isProduct, ONE } from './secret-products.ts';

/** The integers of a two-prime RSAPrivateKey in order (RFC 8017 appendix A.1.2). */
const names = ['version', 'n', 'e', 'd', 'p', 'q', 'dP', 'dQ', 'qInv'] as const;
type Parts = Readonly<Record<(typeof names)[number], Buffer>>;

const isPrime = promisify<Buffer, boolean>(checkPrime);

/**
 * Whether the parts of an RSA private key are those of one key with two primes of half the modulus each (RFC 8017
 * section 3.2; `d` may be the inverse of `e` modulo lambda(n) or phi(n)). OpenSSL reads any integers, and Node does not
 * expose its own check. To try the key is not enough: an exponent that is wrong by half of p - 1 is right for half of
 * all messages. Between the primes, which OpenSSL checks on the thread pool, the event loop goes on.
 */
export async function arePartsOfOneKey(key: KeyObject): Promise<boolean> {
  const der = key.export({ format: 'der', type: 'pkcs1' });
  try {
    const parts = partsOf(der);
    if (parts === undefined || !areInRange(parts)) return false;
    const { n, p, q, dP, dQ, qInv } = parts;
    if (!isProduct(p, q, aboveAllOf(n), n) || !(await isPrime(p))) return false;
    if (!areExponents(p, dP, parts) || !(await isPrime(q))) return false;
    return areExponents(q, dQ, parts) && isProduct(q, qInv, p);
  } finally {
    der.fill(0);
  }
}

/** Longer ones work as well, if slowly, and would make two keys of one. */
function areInRange({ n, d, p, q, dP, dQ, qInv }: Parts): boolean {
  return isHalf(p, n) && isHalf(q, n) && isLess(d, n) && isLess(dP, p) && isLess(dQ, q) && isLess(qInv, p);
}

/** A power of two that is greater than each product of two integers of half the length, in place of no modulus. */
function aboveAllOf(modulus: Buffer): Buffer {
  return Buffer.concat([ONE, Buffer.alloc(modulus.length)]);
}

/** Whether both private exponents undo `e` modulo this prime: `d`, and the one that is for this prime alone. */
function areExponents(prime: Buffer, ofPrime: Buffer, { d, e }: Parts): boolean {
  const order = Buffer.from(prime);
  order[order.length - 1]! &= 0xfe;
  try {
    return isProduct(ofPrime, e, order) && isProduct(d, e, order);
  } finally {
    order.fill(0);
  }
}

/** DER has no leading zeros, except one before a first bit that is set. */
function isLess(a: Buffer, b: Buffer): boolean {
  return a.length < b.length || (a.length === b.length && Buffer.compare(a, b) < 0);
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
