import { type KeyObject, sign, verify } from 'node:crypto';
import type { OfferedSigningAlgorithm } from '@keyfleet/shared/algorithms';
import { rsaPkcs1, rsaPss } from './rsa-signature.ts';
import { type DigestName, isMessageOrDigest, type SignatureScheme } from './signature-scheme.ts';

const muLength = 64;

/** Pure Ed25519 (RFC 8032 section 5.1), for whole messages only. */
const ed25519: SignatureScheme = {
  accepts: ({ messageType }) => messageType === 'RAW',
  sign: (privateKey, { message }) => sign(null, message, privateKey),
  verify: (publicKey, { message, signature }) => verify(null, message, publicKey, signature),
};

/**
 * Ed25519ph with no context, of digests only. As AWS KMS does it, the caller's SHA-512 digest is the message, which
 * Ed25519ph hashes again. By @noble/curves: Node offers OpenSSL's Ed25519 without this variant.
 */
const ed25519ph: SignatureScheme = {
  accepts: ({ messageType, message }) => messageType === 'DIGEST' && message.length === 64,
  sign: (privateKey, { message }, { noble }) => noble.sign('ed25519ph', privateKey, message),
  verify: (publicKey, signed, { noble }) => noble.verify('ed25519ph', publicKey, signed),
};

/**
 * ML-DSA (FIPS 204), empty context, hedged. OpenSSL signs whole messages on the thread pool; @noble/post-quantum signs
 * a ready mu, which Node does not hand to OpenSSL. A signature of a message and one of its mu verify as each other.
 */
const mlDsa: SignatureScheme = {
  accepts: ({ messageType, message }) =>
    messageType === 'RAW' || (messageType === 'EXTERNAL_MU' && message.length === muLength),
  sign: (privateKey, { messageType, message }, { noble, pooled }) =>
    messageType === 'RAW'
      ? pooled(() => signMessage(null, privateKey, message))
      : noble.sign('ml-dsa-mu', privateKey, message),
  verify: (publicKey, signed, { noble, pooled }) =>
    signed.messageType === 'RAW'
      ? pooled(() => verifyMessage(null, publicKey, signed))
      : noble.verify('ml-dsa-mu', publicKey, signed),
};

/** By the name used in the API. */
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
} satisfies Record<OfferedSigningAlgorithm, SignatureScheme>;

/**
 * ECDSA (FIPS 186-5), signatures in DER (X9.62), any s. OpenSSL signs messages on the thread pool; @noble/curves signs
 * a ready digest, since node:crypto hashes whatever it signs.
 */
function ecdsa(name: DigestName): SignatureScheme {
  return {
    accepts: (message) => isMessageOrDigest(name, message),
    sign: (privateKey, { messageType, message }, { noble, pooled }) =>
      messageType === 'DIGEST'
        ? noble.sign('ecdsa-digest', privateKey, message)
        : pooled(() => signMessage(name, privateKey, message)),
    verify: (publicKey, signed, { noble, pooled }) =>
      signed.messageType === 'DIGEST'
        ? noble.verify('ecdsa-digest', publicKey, signed)
        : pooled(() => verifyMessage(name, publicKey, signed)),
  };
}

/** Signs a whole message on the thread pool. `name`: the hash; null for algorithms with a built-in one. */
function signMessage(name: DigestName | null, privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(name, message, privateKey, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/** False for anything that is not a signature of the message, however malformed. */
function verifyMessage(
  name: DigestName | null,
  publicKey: KeyObject,
  { message, signature }: { message: Uint8Array; signature: Uint8Array },
): Promise<boolean> {
  return new Promise((resolve) => {
    verify(name, message, publicKey, signature, (error, valid) => resolve(error === null && valid));
  });
}
