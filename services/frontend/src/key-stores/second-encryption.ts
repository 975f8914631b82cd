import type { KmsKey } from '../keys/kms-key.ts';
import type { Recall } from '../store/last-known.ts';
import type { Purpose } from '../xks/proxies.ts';

/** The call in which a key in a custom key store is used. */
export interface UseOf extends Omit<Purpose, 'keyArn'> {
  readonly recall: Recall;
}

/**
 * What a custom key store does to its keys' ciphertexts: it encrypts an HSM's ciphertext a second time, with a key
 * outside the HSMs. Both methods throw KmsException.
 */
export interface SecondEncryption {
  /** Turns `inner`, an HSM's ciphertext, into the caller's. */
  encrypt(key: KmsKey, inner: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array>;
  /** Returns the ciphertext that an HSM then opens. */
  decrypt(key: KmsKey, blob: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array>;
}

interface Kinds {
  readonly external: SecondEncryption;
  readonly cluster: SecondEncryption;
}

/** Chooses by the key's place; does nothing for keys outside custom key stores. */
export class SecondEncryptions implements SecondEncryption {
  readonly #kinds: Kinds;

  constructor(kinds: Kinds) {
    this.#kinds = kinds;
  }

  encrypt(key: KmsKey, inner: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array> {
    return this.#of(key)?.encrypt(key, inner, use) ?? inner;
  }

  decrypt(key: KmsKey, blob: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array> {
    return this.#of(key)?.decrypt(key, blob, use) ?? blob;
  }

  #of({ xksKeyId, clusterId }: KmsKey): SecondEncryption | undefined {
    if (xksKeyId !== undefined) return this.#kinds.external;
    return clusterId === undefined ? undefined : this.#kinds.cluster;
  }
}
