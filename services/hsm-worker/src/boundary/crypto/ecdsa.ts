import { type DigestName, isMessageOrDigest } from './digest.ts';
import { signMessage, verifyMessage } from './sign-message.ts';
import type { SignatureScheme } from './signature.ts';

/**
 * ECDSA (FIPS 186-5), signatures in DER (X9.62), any s. Messages are signed by OpenSSL on the thread pool; a ready digest
 * by @noble/curves, since node:crypto hashes whatever it signs.
 */
export function ecdsa(name: DigestName): SignatureScheme {
  return {
    accepts: (message) => isMessageOrDigest(name, message),
    sign: (privateKey, { messageType, message }, noble) =>
      messageType === 'DIGEST'
        ? noble.sign('ecdsa-digest', privateKey, message)
        : signMessage(name, privateKey, message),
    verify: (publicKey, signed, noble) =>
      signed.messageType === 'DIGEST'
        ? noble.verify('ecdsa-digest', publicKey, signed)
        : verifyMessage(name, publicKey, signed),
  };
}
