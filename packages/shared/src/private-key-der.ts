import { createPrivateKey, type KeyObject } from 'node:crypto';

/** A private key from any DER that OpenSSL writes without a passphrase: PKCS #8, PKCS #1 or SEC 1. */
export function privateKeyOfDer(key: Buffer): KeyObject | undefined {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key, format: 'der', type });
    } catch {
      // Of another type.
    }
  }
  return undefined;
}
