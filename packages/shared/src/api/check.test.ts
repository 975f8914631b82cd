import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KmsException } from '../errors/exceptions.ts';
import { compileCheck } from './check.ts';
import type { Operation } from './operation.ts';
import { operations } from './registry.ts';
import { type Shape, structureOf, wholePattern } from './shape.ts';

/**
 * Values of the right type, mostly within the constraints, so that an input with many members is often valid, or wrong
 * in one.
 */
function valueOf(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'text': {
      const { min = 0, max = 300 } = shape;
      const valid =
        shape.pattern === undefined
          ? fc.string({ minLength: min, maxLength: Math.min(max, 300) })
          : fc.stringMatching(wholePattern(shape.pattern));
      const lengths = fc.constantFrom(min, min - 1, Math.min(max, 9000), Math.min(max + 1, 9000));
      return mostly(
        valid,
        fc.oneof(
          fc.string(),
          lengths.map((length) => 'a'.repeat(Math.max(0, length))),
        ),
      );
    }
    case 'choice':
      return mostly(fc.constantFrom(...shape.accepted), fc.constantFrom('', ...shape.values, ...shape.listed));
    case 'integer':
      return mostly(fc.integer({ min: shape.min, max: shape.max }), fc.constantFrom(shape.min - 1, shape.max + 1));
    case 'flag':
      return fc.boolean();
    case 'timestamp':
      return fc.integer();
    case 'blob':
      return mostly(bytesOf(1, shape.max), bytesOf(0, shape.max + 1));
    case 'list':
      return mostly(fc.array(valueOf(shape.item), { maxLength: 2 }), fc.array(valueOf(shape.item), { maxLength: 12 }));
    case 'map':
      return fc.dictionary(fc.string(), fc.string());
    case 'structure': {
      const members = Object.fromEntries(shape.members.map((member) => [member.name, valueOf(member.shape)]));
      const requiredKeys = shape.members.filter((member) => member.required).map(({ name }) => name);
      return mostly(fc.record(members, { requiredKeys }), fc.record(members, { requiredKeys: [] }));
    }
  }
}

function mostly<T>(valid: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 9, arbitrary: valid }, { weight: 1, arbitrary: other });
}

function bytesOf(...lengths: number[]): fc.Arbitrary<Uint8Array> {
  return fc.constantFrom(...lengths).map((length) => new Uint8Array(length));
}

function accepts(check: (value: object) => void, value: object): boolean {
  try {
    check(value);
  } catch (error) {
    expect(error).toBeInstanceOf(KmsException);
    return false;
  }
  return true;
}

test.each(Object.values<Operation>(operations))(
  'the compiled check of $name accepts what its schema accepts',
  ({ input }) => {
    const shape = structureOf(input.shape);
    const check = compileCheck(shape);
    fc.assert(
      fc.property(valueOf(shape), (value) => {
        expect(accepts(check, value as object)).toBe(input.safeParse(value).success);
      }),
      { numRuns: 60 },
    );
  },
);

test('a secret that AWS prints back is not in the record', () => {
  const check = compileCheck(structureOf(operations.DescribeKey.input.shape));
  const GrantTokens = Array.from({ length: 11 }, (_, i) => `token-${i}`);
  try {
    check({ KeyId: 'é', GrantTokens });
    expect.unreachable();
  } catch (error) {
    const { message, recorded } = error as KmsException;
    expect(message).toContain("Value '[token-0, token-1");
    expect(recorded).toBe(message.replace(/Value '\[token-0[^\]]*\]'/, 'Value'));
  }
});

test('an encryption context has 8,192 characters at most, keys and values together', () => {
  const check = compileCheck(structureOf(operations.Encrypt.input.shape));
  const withContext = (length: number) => ({
    KeyId: 'a',
    Plaintext: Buffer.from('a'),
    EncryptionContext: { ab: 'c'.repeat(length - 4), d: 'e' },
  });
  expect(() => check(withContext(8192))).not.toThrow();
  expect(() => check(withContext(8193))).toThrow(
    "Value at 'encryptionContext' failed to satisfy constraint: Map must have a total length of keys and values less than or equal to 8192",
  );
});

test('for a list with a hundred thousand wrong items a hundred are named, and a thousand are printed', () => {
  const check = compileCheck(structureOf(operations.TagResource.input.shape));
  const Tags = Array.from({ length: 100_000 }, () => ({}));
  try {
    check({ KeyId: 'a', Tags });
    expect.unreachable();
  } catch (error) {
    const { message } = error as KmsException;
    expect(message).toContain('Member must have length less than or equal to 1000');
    expect(message.length).toBeLessThan(30_000);
  }
});
