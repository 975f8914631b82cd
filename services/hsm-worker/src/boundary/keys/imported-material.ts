import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import { isSecretKey } from './backing-keys.ts';
import { isOfSpec, isSecretOfSpec } from './key-spec-of.ts';
import { arePartsOfOneKey } from './rsa-parts.ts';

/**
 * The bytes to seal for unwrapped material, in a separate buffer that the caller zeroes; `undefined` if it is not a key
 * of the spec. A key pair always gets one encoding, whichever of PKCS #8's it arrived in, so that one key has one
 * material id.
 */
export async function materialToSeal(keySpec: KeySpec, unwrapped: Buffer): Promise<Buffer | undefined> {
  const spec = { keySpec, origin: 'EXTERNAL' } as const;
  // Not a KeyObject, which would hold the bytes until it is collected.
  if (isSecretKey(keySpec)) return isSecretOfSpec(unwrapped.length, spec) ? Buffer.from(unwrapped) : undefined;
  const key = privateKeyOf(unwrapped);
  if (key === undefined || !isOfSpec({ key, ...spec })) return undefined;
  switch (keySpecs[keySpec].kind) {
    case 'rsa':
      return (await arePartsOfOneKey(key)) ? pkcs8Of(key) : undefined;
    case 'ec':
      return ecKeyToSeal(key);
    default:
      return pkcs8Of(key);
  }
}

function privateKeyOf(unwrapped: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey({ key: unwrapped, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

/**
 * A PKCS #8 may claim any public key for its private one, or none, and OpenSSL does not check. So the public half is
 * computed from the private one, and a given one must be equal. Of all the functions that read a scalar, only ECDH
 * refuses one that is not below the group's order.
 */
function ecKeyToSeal(given: KeyObject): Buffer | undefined {
  const namedCurve = given.asymmetricKeyDetails!.namedCurve!;
  const scalar = given.export({ format: 'raw-private' });
  try {
    createECDH(namedCurve).setPrivateKey(scalar);
    const key = createPrivateKey({ key: scalar, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve });
    return createPublicKey(key).equals(createPublicKey(given)) ? pkcs8Of(key) : undefined;
  } catch {
    return undefined;
  } finally {
    scalar.fill(0);
  }
}

function pkcs8Of(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}
