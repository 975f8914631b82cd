import { counterRandom } from '@keyfleet/test-support/command-context';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackingKey } from '../keys/backing-keys.ts';
import { openBlob, sealBlob } from './ciphertext-blob.ts';

const random = counterRandom();

function symmetricKey(options: { keyId?: string; materialId?: Buffer; material?: Buffer } = {}): BackingKey {
  const { keyId = '0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9', materialId = random(32), material = random(32) } = options;
  const header = {
    keyId,
    materialId,
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    origin: 'AWS_KMS',
  } as const;
  return new BackingKey(header, material);
}

const key = symmetricKey();
const cannotOpen = expect.objectContaining({ name: 'RefusedError', refusal: 'cannot-open' });
const bytes = fc.uint8Array({ maxLength: 200 });
/** Short keys and values over a small alphabet, so that similar contexts are common. */
const context = fc.dictionary(
  fc.string({ maxLength: 3, unit: fc.constantFrom('a', 'b', 'é') }),
  fc.string({ maxLength: 3 }),
  {
    maxKeys: 4,
  },
);

describe('ciphertext blob', () => {
  test('every text opens under its context, whatever the order of the pairs', () => {
    fc.assert(
      fc.property(bytes, context, (plaintext, encryptionContext) => {
        const blob = sealBlob(key, { plaintext, encryptionContext }, random);
        const reversed = Object.fromEntries(Object.entries(encryptionContext).toReversed());
        expect(openBlob(key, blob, reversed).equals(plaintext)).toBe(true);
        expect(blob.length - plaintext.length).toBe(94);
      }),
    );
  });

  test('contexts that differ never open each other', () => {
    const pair = (text: Record<string, string>) =>
      JSON.stringify(Object.entries(text).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    fc.assert(
      fc.property(context, context, (one, other) => {
        fc.pre(pair(one) !== pair(other));
        const blob = sealBlob(key, { plaintext: Buffer.from('x'), encryptionContext: one }, random);
        expect(() => openBlob(key, blob, other)).toThrow(cannotOpen);
      }),
    );
  });

  test('a frontend is held to the longest context: nothing is sealed or opened under a longer one', () => {
    const longest = { ab: 'c'.repeat(8_188), d: 'e' };
    const longer = { ...longest, d: 'ef' };
    const blob = sealBlob(key, { plaintext: Buffer.from('x'), encryptionContext: longest }, random);
    expect(openBlob(key, blob, longest).toString()).toBe('x');
    const refused = expect.objectContaining({ name: 'RefusedError', refusal: 'invalid-input' });
    expect(() => sealBlob(key, { plaintext: Buffer.from('x'), encryptionContext: longer }, random)).toThrow(refused);
    expect(() => openBlob(key, blob, longer)).toThrow(refused);
  });

  test('letters that move between key and value make another context', () => {
    const blob = sealBlob(key, { plaintext: Buffer.from('x'), encryptionContext: { ab: 'c' } }, random);
    for (const other of [{ a: 'bc' }, { abc: '' }, { ab: 'c', '': '' }, { AB: 'c' }]) {
      expect(() => openBlob(key, blob, other as Record<string, string>)).toThrow(cannotOpen);
    }
  });

  test('no bit can be flipped', () => {
    const blob = sealBlob(key, { plaintext: Buffer.from('text'), encryptionContext: { a: 'b' } }, random);
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const flipped = Buffer.from(blob);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openBlob(key, flipped, { a: 'b' })).toThrow(cannotOpen);
    }
  });

  test('nothing can be cut off or added', () => {
    const blob = sealBlob(key, { plaintext: Buffer.from('text'), encryptionContext: {} }, random);
    for (let length = 0; length < blob.length; length++) {
      expect(() => openBlob(key, blob.subarray(0, length), {})).toThrow(cannotOpen);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (extra) => {
        expect(() => openBlob(key, Buffer.concat([blob, extra]), {})).toThrow(cannotOpen);
        expect(() => openBlob(key, Buffer.concat([extra, blob]), {})).toThrow(cannotOpen);
      }),
    );
  });

  test('garbage does not open', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
        expect(() => openBlob(key, Buffer.from(garbage), {})).toThrow(cannotOpen);
      }),
    );
  });

  test('the same material in another KMS key does not open it', () => {
    const material = Buffer.alloc(32, 7);
    const materialId = random(32);
    const mine = symmetricKey({ material, materialId });
    const blob = sealBlob(mine, { plaintext: Buffer.from('x'), encryptionContext: {} }, random);
    const theirs = [
      symmetricKey({ material, materialId, keyId: 'ffffffff-4e5f-4061-8293-a4b5c6d7e8f9' }),
      symmetricKey({ material, materialId, keyId: 'mrk-0a1b2c3d4e5f40618293a4b5c6d7e8f9' }),
      symmetricKey({ material }),
      symmetricKey({ materialId }),
    ];
    for (const other of theirs) expect(() => openBlob(other, blob, {})).toThrow(cannotOpen);
  });

  test('text that is not Unicode is not a context', () => {
    const blob = sealBlob(key, { plaintext: Buffer.from('x'), encryptionContext: {} }, random);
    expect(() => openBlob(key, blob, { a: '\ud800' })).toThrow(cannotOpen);
  });
});
