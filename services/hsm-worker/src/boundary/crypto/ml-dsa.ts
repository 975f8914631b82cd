import { signMessage, verifyMessage } from './sign-message.ts';
import type { SignatureScheme } from './signature.ts';

const muLength = 64;

/**
 * ML-DSA (FIPS 204), empty context, hedged. Whole messages by OpenSSL on the thread pool; a ready mu, which Node does not
 * hand to OpenSSL, by @noble/post-quantum. A signature of a message and one of its mu are the same kind and verify as each other.
 */
export const mlDsa: SignatureScheme = {
  accepts: ({ messageType, message }) =>
    messageType === 'RAW' || (messageType === 'EXTERNAL_MU' && message.length === muLength),
  sign: (privateKey, { messageType, message }, noble) =>
    messageType === 'RAW' ? signMessage(null, privateKey, message) : noble.sign('ml-dsa-mu', privateKey, message),
  verify: (publicKey, signed, noble) =>
    signed.messageType === 'RAW'
      ? verifyMessage(null, publicKey, signed)
      : noble.verify('ml-dsa-mu', publicKey, signed),
};
