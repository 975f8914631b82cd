import { constants, decapsulate, type KeyObject, publicDecrypt } from 'node:crypto';
import { encodePkcs1, encodePss, verifyPss } from './rsa-padding.ts';
import { type DigestName, digestOf, isMessageOrDigest, type SignatureScheme } from './signature-scheme.ts';

/** RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2). */
export function rsaPkcs1(name: DigestName): SignatureScheme {
  return {
    accepts: (message) => isMessageOrDigest(name, message),
    sign: (privateKey, message, { pooled }) =>
      pooled(() => rsasp1(privateKey, encodePkcs1(name, digestOf(name, message), modulusBytes(privateKey)))),
    verify(publicKey, signed) {
      const expected = encodePkcs1(name, digestOf(name, signed), modulusBytes(publicKey));
      return rsavp1(publicKey, signed.signature)?.equals(expected) ?? false;
    },
  };
}

/** RSASSA-PSS (RFC 8017 section 8.1), MGF1 with the same hash, salt as long as the hash. */
export function rsaPss(name: DigestName): SignatureScheme {
  return {
    accepts: (message) => isMessageOrDigest(name, message),
    sign: (privateKey, message, { pooled }) =>
      pooled(() => rsasp1(privateKey, encodePss(name, digestOf(name, message), modulusBytes(privateKey)))),
    verify(publicKey, signed) {
      const encoded = rsavp1(publicKey, signed.signature);
      return encoded !== undefined && verifyPss(name, digestOf(name, signed), encoded);
    },
  };
}

/**
 * RSASP1, the bare private-key operation, on the thread pool: 0.8 ms (2048) to 7 ms (4096) must not hold up other
 * commands. `privateEncrypt` has no asynchronous form. `decapsulate` has one: for RSA keys it does RSASVE recovery (SP
 * 800-56B section 7.2.1.3), which is the same operation, and OpenSSL blinds and checks both alike. It requires an input
 * below the modulus, which both paddings are.
 */
function rsasp1(privateKey: KeyObject, encoded: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    decapsulate(privateKey, encoded, (error: Error | null, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/**
 * RSAVP1; `undefined` unless `signature` is as long as the modulus and below it. Cheap, because the public exponent is
 * small.
 */
function rsavp1(publicKey: KeyObject, signature: Uint8Array): Buffer | undefined {
  if (signature.length !== modulusBytes(publicKey)) return undefined;
  try {
    return publicDecrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, signature);
  } catch {
    return undefined;
  }
}

function modulusBytes(key: KeyObject): number {
  return key.asymmetricKeyDetails!.modulusLength! / 8;
}
