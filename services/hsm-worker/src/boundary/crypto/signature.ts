import type { KeyObject } from 'node:crypto';
import { ecdsa } from './ecdsa.ts';
import { ed25519, ed25519ph } from './ed25519.ts';
import { mlDsa } from './ml-dsa.ts';
import type { NobleSignatures } from './noble-thread.ts';
import { rsaPkcs1, rsaPss } from './rsa-signature.ts';

/** RAW: the message. DIGEST: its hash. EXTERNAL_MU: the 64-byte mu of FIPS 204. */
export interface Message {
  readonly messageType: 'RAW' | 'DIGEST' | 'EXTERNAL_MU';
  readonly message: Uint8Array;
}

export interface SignedMessage extends Message {
  readonly signature: Uint8Array;
}

/** One signing algorithm. Key and message must fit it; a signature may be anything. */
export interface SignatureScheme {
  /** True if the algorithm signs messages of this type and length. */
  accepts(message: Message): boolean;
  sign(privateKey: KeyObject, message: Message, noble: NobleSignatures): Buffer | Promise<Buffer>;
  verify(publicKey: KeyObject, signed: SignedMessage, noble: NobleSignatures): boolean | Promise<boolean>;
}

/** By the API's name. */
export const signatureSchemes: Readonly<Record<string, SignatureScheme>> = {
  RSASSA_PKCS1_V1_5_SHA_256: rsaPkcs1('sha256'),
  RSASSA_PKCS1_V1_5_SHA_384: rsaPkcs1('sha384'),
  RSASSA_PKCS1_V1_5_SHA_512: rsaPkcs1('sha512'),
  RSASSA_PSS_SHA_256: rsaPss('sha256'),
  RSASSA_PSS_SHA_384: rsaPss('sha384'),
  RSASSA_PSS_SHA_512: rsaPss('sha512'),
  ECDSA_SHA_256: ecdsa('sha256'),
  ECDSA_SHA_384: ecdsa('sha384'),
  ECDSA_SHA_512: ecdsa('sha512'),
  ED25519_SHA_512: ed25519,
  ED25519_PH_SHA_512: ed25519ph,
  ML_DSA_SHAKE_256: mlDsa,
};
