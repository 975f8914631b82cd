import { counterRandom, testDomainKey, testKeyring } from '@keyfleet/test-support/command-context';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openToken, sealToken } from './sealed-token.ts';

const nonce = counterRandom();
const [one, two] = [testDomainKey('1'), testDomainKey('2')];
const keyring = testKeyring({ active: one });
const header = {
  account: '111122223333',
  keyId: '0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9',
  materialId: Buffer.alloc(32, 9),
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
  origin: 'AWS_KMS',
} as const;
const token = sealToken(ExportedKeyToken, { header, secret: Buffer.alloc(32, 7) }, { keyring, nonce });
const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

/** A changed domain key id looks like a key that has not arrived yet; every other change is `cannot-open`. */
const doesNotOpen = expect.objectContaining({
  name: 'RefusedError',
  refusal: expect.stringMatching(/^(cannot-open|unknown-domain-key)$/),
});

describe('exported key token', () => {
  test('every secret comes back with its header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (secret) => {
        const sealed = sealToken(ExportedKeyToken, { header, secret }, { keyring, nonce });
        const opened = openToken(ExportedKeyToken, sealed, keyring);
        expect(opened.secret.equals(secret)).toBe(true);
        expect(opened.header).toEqual({ ...header, domain: 'test', domainKeyId: one.id });
      }),
    );
  });

  test('no bit can be flipped', () => {
    for (let bit = 0; bit < token.length * 8; bit++) {
      const flipped = Buffer.from(token);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openToken(ExportedKeyToken, flipped, keyring)).toThrow(doesNotOpen);
    }
  });

  test('nothing can be cut off or added', () => {
    for (let length = 0; length < token.length; length++) {
      expect(() => openToken(ExportedKeyToken, token.subarray(0, length), keyring)).toThrow(refused('cannot-open'));
    }
    const longer = Buffer.concat([token, Buffer.of(0)]);
    expect(() => openToken(ExportedKeyToken, longer, keyring)).toThrow(refused('cannot-open'));
  });

  test('garbage does not open', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (garbage) => {
        expect(() => openToken(ExportedKeyToken, garbage, keyring)).toThrow(refused('cannot-open'));
      }),
    );
  });

  test('another domain does not open it, even with the same domain key', () => {
    const elsewhere = testKeyring({ active: one, domain: 'elsewhere' });
    expect(() => openToken(ExportedKeyToken, token, elsewhere)).toThrow(refused('cannot-open'));
  });

  test('a domain key that is not here is said so, since another member may have it', () => {
    const without = testKeyring({ active: two });
    expect(() => openToken(ExportedKeyToken, token, without)).toThrow(refused('unknown-domain-key'));
  });
});
