import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type KeySpec, type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';
import { type BackingKey, isSecretKey } from './backing-keys.ts';
import { isOfSpec, isSecretOfSpec } from './key-spec-of.ts';
import { arePartsOfOneKey } from './rsa-parts.ts';

/**
 * The bytes to seal for material that somebody else made, in a separate buffer that the caller zeroes; `undefined` if
 * it is not a key of the spec. What can be computed of a key pair is computed, as to try it proves little: a hostile
 * maker chooses how often it fails. A key pair always gets one encoding, whichever of PKCS #8's it arrived in, so that
 * one key has one material id. `inTurn`: has an RSA key checked, which takes the thread pool up to a quarter of a
 * second.
 */
export async function materialToSeal(
  { keySpec, origin }: Pick<BackingKey, 'keySpec' | 'origin'>,
  given: Buffer,
  inTurn: (check: () => Promise<boolean>) => Promise<boolean>,
): Promise<Buffer | undefined> {
  // Not a KeyObject, which would hold the bytes until it is collected.
  if (isSecretKey(keySpec)) {
    return isSecretOfSpec(given.length, { keySpec, origin }) ? Buffer.from(given) : undefined;
  }
  const key = privateKeyOf(given, keySpec);
  if (key === undefined || !isOfSpec({ key, keySpec, origin })) return undefined;
  switch (keySpecs[keySpec].kind) {
    case 'rsa':
      return (await inTurn(() => arePartsOfOneKey(key))) ? pkcs8Of(key) : undefined;
    case 'ec':
      return ecKeyToSeal(key);
    case 'ml-dsa':
    case 'ml-kem':
      return seededKeyToSeal(key);
    default:
      return pkcs8Of(key);
  }
}

/** DER SubjectPublicKeyInfo. `pkcs8`: what `materialToSeal` returned. */
export function publicKeyDerOf(pkcs8: Buffer): Buffer {
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
}

/**
 * The AlgorithmIdentifier of each kind of key pair in DER (RFC 8017 appendix A.1, RFC 5480 section 2.1.1, RFC 8410
 * section 3, RFC 9881 section 2, RFC 9935 section 3), by its curve, parameter set or kind.
 */
const algorithms: Readonly<Partial<Record<string, Buffer>>> = {
  rsa: Buffer.from('300d06092a864886f70d0101010500', 'hex'),
  'P-256': Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex'),
  'P-384': Buffer.from('301006072a8648ce3d020106052b81040022', 'hex'),
  'P-521': Buffer.from('301006072a8648ce3d020106052b81040023', 'hex'),
  secp256k1: Buffer.from('301006072a8648ce3d020106052b8104000a', 'hex'),
  ed25519: Buffer.from('300506032b6570', 'hex'),
  'ml-dsa-44': Buffer.from('300b0609608648016503040311', 'hex'),
  'ml-dsa-65': Buffer.from('300b0609608648016503040312', 'hex'),
  'ml-dsa-87': Buffer.from('300b0609608648016503040313', 'hex'),
  'ml-kem-512': Buffer.from('300b0609608648016503040401', 'hex'),
  'ml-kem-768': Buffer.from('300b0609608648016503040402', 'hex'),
  'ml-kem-1024': Buffer.from('300b0609608648016503040403', 'hex'),
};

/** OpenSSL would read any algorithm's key, and computes for seconds over one of DSA or DH that is long enough. */
function privateKeyOf(given: Buffer, keySpec: KeySpec): KeyObject | undefined {
  const { kind, curve, parameterSet }: KeySpecRow = keySpecs[keySpec];
  const algorithm = algorithms[curve ?? parameterSet ?? kind];
  if (algorithm === undefined || !namesAlgorithm(given, algorithm)) return undefined;
  try {
    return createPrivateKey({ key: given, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

/** PKCS #8 (RFC 5958): SEQUENCE { INTEGER version, AlgorithmIdentifier, ... }, of which each version is one byte. */
function namesAlgorithm(pkcs8: Buffer, algorithm: Buffer): boolean {
  const [sequence, length = 0] = pkcs8;
  const version = 2 + (length < 0x80 ? 0 : length - 0x80);
  const isVersion = sequence === 0x30 && pkcs8[version] === 0x02 && pkcs8[version + 1] === 1;
  const at = version + 3;
  return isVersion && pkcs8.subarray(at, at + algorithm.length).equals(algorithm);
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

/**
 * All of an ML-DSA or ML-KEM key pair follows from its seed. An expanded key, with a seed or alone, may be another:
 * with a greater error than FIPS 203's it decapsulates most ciphertexts, and never the others.
 */
function seededKeyToSeal(given: KeyObject): Buffer | undefined {
  const asymmetricKeyType = given.asymmetricKeyType as 'ml-dsa-44';
  let seed: Buffer | undefined;
  try {
    seed = given.export({ format: 'raw-seed' });
    return pkcs8Of(createPrivateKey({ key: seed, format: 'raw-seed', asymmetricKeyType }));
  } catch {
    return undefined;
  } finally {
    seed?.fill(0);
  }
}

function pkcs8Of(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}
