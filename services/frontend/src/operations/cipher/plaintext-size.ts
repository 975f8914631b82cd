import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type KeySpec, type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';

const hashBytes: Readonly<Record<string, number>> = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 };

/** Throws ValidationException for more than RSA-OAEP can take: modulus - 2 hash - 2 bytes (RFC 8017, 7.1.1). */
export function assertFits(plaintext: Uint8Array, algorithm: string, keySpec: KeySpec): void {
  const hash = hashBytes[algorithm];
  if (hash === undefined) return;
  const { bits = 0 }: KeySpecRow = keySpecs[keySpec];
  const most = bits / 8 - 2 * hash - 2;
  if (plaintext.length <= most) return;
  throw new KmsException(
    'ValidationException',
    `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${most} bytes.`,
  );
}
