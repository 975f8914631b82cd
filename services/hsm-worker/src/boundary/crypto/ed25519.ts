import { sign, verify } from 'node:crypto';
import type { SignatureScheme } from './signature.ts';

/** Pure Ed25519 (RFC 8032 section 5.1), of whole messages only. */
export const ed25519: SignatureScheme = {
  accepts: ({ messageType }) => messageType === 'RAW',
  sign: (privateKey, { message }) => sign(null, message, privateKey),
  verify: (publicKey, { message, signature }) => verify(null, message, publicKey, signature),
};

/**
 * Ed25519ph with no context, of digests only. As AWS KMS does it, the caller's SHA-512 digest is the message, which
 * Ed25519ph hashes again. By @noble/curves: Node offers OpenSSL's Ed25519 without this variant.
 */
export const ed25519ph: SignatureScheme = {
  accepts: ({ messageType, message }) => messageType === 'DIGEST' && message.length === 64,
  sign: (privateKey, { message }, noble) => noble.sign('ed25519ph', privateKey, message),
  verify: (publicKey, signed, noble) => noble.verify('ed25519ph', publicKey, signed),
};
