/**
 * Unsigned integers in limbs of 24 bits, the least significant first. Not BigInt, whose digits nothing can overwrite.
 * No branch and no index depends on a limb, apart from the length of the modulus.
 */
type Limbs = Float64Array;

const LIMB_BYTES = 3;
/** A product of two limbs and what is carried is below 2^50, and thus exact. */
const BASE = 2 ** (8 * LIMB_BYTES);
/** Before it is reduced, a number is less than 2^25 times the modulus. */
const SPARE_LIMBS = 2;

export const ONE = Uint8Array.of(1);

/**
 * Whether `a * b` leaves `remainder` when divided by `modulus`, which is greater than 1. All are big-endian, and
 * `remainder` is less than `modulus`. For 4,096 bits it takes less than a millisecond.
 */
export function isProduct(a: Uint8Array, b: Uint8Array, modulus: Uint8Array, remainder: Uint8Array = ONE): boolean {
  const size = Math.ceil(modulus.length / LIMB_BYTES) + SPARE_LIMBS;
  const [m, expected, first, second] = [limbsOf(modulus, size), limbsOf(remainder, size), limbsOf(a), limbsOf(b)];
  const [reduced, product] = [new Float64Array(size), new Float64Array(size)];
  try {
    multiply(second, limbsOf(ONE, size), m, reduced);
    multiply(first, reduced, m, product);
    let difference = 0;
    for (let i = 0; i < size; i++) difference |= product[i]! ^ expected[i]!;
    return difference === 0;
  } finally {
    for (const limbs of [m, expected, first, second, reduced, product]) limbs.fill(0);
  }
}

function limbsOf(bytes: Uint8Array, size = Math.ceil(bytes.length / LIMB_BYTES)): Limbs {
  const limbs = new Float64Array(size);
  for (let i = 0; i < bytes.length; i++) {
    limbs[Math.floor(i / LIMB_BYTES)]! += bytes[bytes.length - 1 - i]! * 2 ** (8 * (i % LIMB_BYTES));
  }
  return limbs;
}

/** Puts `a * b` modulo `m` into `product`, which is 0 before. `b` is less than `m`. */
function multiply(a: Limbs, b: Limbs, m: Limbs, product: Limbs): void {
  const top = m.findLastIndex((limb) => limb !== 0);
  const divisor = leadingPart(m, top);
  for (let i = a.length - 1; i >= 0; i--) {
    shiftAndAdd(a[i]!, b, product);
    // At most one off, as the parts are exact to 48 bits and the quotient has 25.
    const quotient = Math.floor(leadingPart(product, top) / divisor);
    subtract(m, subtract(m, quotient, product), product);
    subtract(m, subtract(m, 1, product), product);
  }
}

/** `x` in units of BASE to the power of `top - 2`, about. */
function leadingPart(x: Limbs, top: number): number {
  let part = 0;
  for (let i = top + SPARE_LIMBS; i >= top - 2; i--) part = part * BASE + (x[i] ?? 0);
  return part;
}

function shiftAndAdd(factor: number, b: Limbs, product: Limbs): void {
  for (let i = 0, lower = 0, carry = 0; i < product.length; i++) {
    const sum = lower + factor * b[i]! + carry;
    lower = product[i]!;
    carry = Math.floor(sum / BASE);
    product[i] = sum - carry * BASE;
  }
}

/** Returns -1 if the difference is negative, which it then is modulo 2 to the power of all bits, and otherwise 0. */
function subtract(m: Limbs, times: number, from: Limbs): number {
  let carry = 0;
  for (let i = 0; i < from.length; i++) {
    const difference = from[i]! - times * m[i]! + carry;
    carry = Math.floor(difference / BASE);
    from[i] = difference - carry * BASE;
  }
  return carry;
}
