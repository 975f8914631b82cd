import { type KeyObject, sign, verify } from 'node:crypto';
import type { DigestName } from './digest.ts';

/** Signs a whole message on the thread pool. `name`: the hash; null for algorithms that have their own. */
export function signMessage(name: DigestName | null, privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(name, message, privateKey, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/** False for whatever is no signature of the message, however malformed. */
export function verifyMessage(
  name: DigestName | null,
  publicKey: KeyObject,
  { message, signature }: { message: Uint8Array; signature: Uint8Array },
): Promise<boolean> {
  return new Promise((resolve) => {
    verify(name, message, publicKey, signature, (error, valid) => resolve(error === null && valid));
  });
}
