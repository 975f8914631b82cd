import type { KmsKey } from '../keys/kms-key.ts';
import type { Purpose } from '../xks/proxies.ts';

/** The call that a key in a custom key store is used for. */
export type UseOf = Omit<Purpose, 'keyArn'>;

/**
 * What a custom key store does to the ciphertext of its keys: what an HSM encrypted is encrypted once more, by what the
 * store stands for. Both throw KmsException.
 */
export interface SecondEncryption {
  /** What the caller gets for `inner`, which an HSM encrypted. */
  encrypt(key: KmsKey, inner: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array>;
  /** What an HSM then opens. */
  decrypt(key: KmsKey, blob: Uint8Array, use: UseOf): Uint8Array | Promise<Uint8Array>;
}

interface Kinds {
  readonly external: SecondEncryption;
  readonly cluster: SecondEncryption;
}

/** By where a key is; of keys that are in no custom key store nothing is done. */
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
