import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { InvalidPublicKeyError } from '../errors.ts';
import { peerPublicKey } from './ecdh.ts';

const newPublicKey = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).publicKey;

describe.each([
  ['P-256', 65],
  ['P-384', 97],
  ['P-521', 133],
])("a peer's public key on %s", (curve, pointLength) => {
  const ours = newPublicKey(curve);
  const der = newPublicKey(curve).export({ format: 'der', type: 'spki' });
  const form = der.length - pointLength;

  test('is taken in the uncompressed form', () => {
    expect(der[form]).toBe(0x04);
    expect(peerPublicKey(ours, der).export({ format: 'der', type: 'spki' })).toEqual(der);
  });

  test.each([0x00, 0x02, 0x03, 0x05, 0x06, 0x07])('is refused with form byte %i, the hybrid forms included', (byte) => {
    const other = Buffer.from(der);
    other[form] = byte;
    expect(() => peerPublicKey(ours, other)).toThrow(InvalidPublicKeyError);
  });
});
