import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { isProduct } from './secret-products.ts';

const valueOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

function bytesOf(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** Random, or one at an edge: all bits are set, one is, or none. */
function someBytes(length: number): Buffer {
  const edges = [Buffer.alloc(length, 0xff), Buffer.alloc(length), Buffer.concat([Buffer.of(1), Buffer.alloc(length)])];
  return edges[Math.floor(Math.random() * 9)] ?? randomBytes(length);
}

test('a product is judged as BigInt does it, for any lengths', () => {
  for (let i = 0; i < 3_000; i++) {
    const [a, b, some] = [1, 2, 3].map(() => someBytes(1 + Math.floor(Math.random() * 40)));
    const modulus = valueOf(some!) < 2n ? Buffer.of(2) : some!;
    const remainder = (valueOf(a!) * valueOf(b!)) % valueOf(modulus);
    expect(isProduct(a!, b!, modulus, bytesOf(remainder))).toBe(true);
    expect(isProduct(a!, b!, modulus, bytesOf((remainder + 1n) % valueOf(modulus)))).toBe(false);
    const bit = 1n << BigInt(Math.floor(Math.random() * 8 * modulus.length));
    if ((remainder ^ bit) < valueOf(modulus)) {
      expect(isProduct(a!, b!, modulus, bytesOf(remainder ^ bit))).toBe(false);
    }
  }
});

test('a product of the longest integers takes no more than 20 ms', () => {
  const [d, e, p] = [randomBytes(512), Buffer.of(1, 0, 1), randomBytes(256)];
  isProduct(d, e, p);
  const startedAt = performance.now();
  for (let i = 0; i < 10; i++) isProduct(d, e, p);
  expect((performance.now() - startedAt) / 10).toBeLessThan(20);
});
