import { createECDH, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import { isSecretKey } from './backing-keys.ts';
import { isOfSpec } from './key-spec-of.ts';
import { arePartsOfOneKey } from './rsa-parts.ts';

/**
 * What is sealed of material that was unwrapped, in a buffer of its own, which the caller zeroes; `undefined` if it is
 * no key of the spec. Of a key pair it is one encoding, whichever of PKCS #8's the key came in, so that one key has one
 * material id.
 */
export async function materialToSeal(keySpec: KeySpec, unwrapped: Buffer): Promise<Buffer | undefined> {
  const key = keyOf(keySpec, unwrapped);
  if (key === undefined || !isOfSpec({ key, keySpec, origin: 'EXTERNAL' })) return undefined;
  switch (keySpecs[keySpec].kind) {
    case 'rsa':
      return (await arePartsOfOneKey(key)) ? pkcs8Of(key) : undefined;
    case 'ec':
      return ecKeyToSeal(key);
    case 'ed25519':
      return pkcs8Of(key);
    default:
      return Buffer.from(unwrapped);
  }
}

function keyOf(keySpec: KeySpec, unwrapped: Buffer): KeyObject | undefined {
  try {
    if (!isSecretKey(keySpec)) return createPrivateKey({ key: unwrapped, format: 'der', type: 'pkcs8' });
    // OpenSSL has no key of no bytes.
    return unwrapped.length > 0 ? createSecretKey(unwrapped) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A PKCS #8 may say any public key beside the private one, or none, and OpenSSL takes it as it stands. So the public
 * half is made from the private one, and one that was given must be the same. Of all that reads a scalar, ECDH alone
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
