import type { HsmCommands } from '../hsm/commands.ts';
import { commandKeyOf, currentBackingKey } from './backing-keys.ts';
import type { KmsKey } from './kms-key.ts';

/** Public keys from records, as HSMs find them in the records' tokens. */
export class PublicKeys {
  readonly #hsm: Pick<HsmCommands, 'execute'>;
  /** By token: opening a key pair takes milliseconds. */
  #matched = new WeakMap<Uint8Array, Uint8Array>();

  constructor(hsm: Pick<HsmCommands, 'execute'>) {
    this.#hsm = hsm;
  }

  /**
   * The record's public key, only if HSMs find the same in the token. Whoever writes to the store could otherwise put
   * in a key of their own and read what is encrypted under it.
   */
  async of(key: KmsKey, deadline: number): Promise<Uint8Array> {
    const { publicKey, token } = currentBackingKey(key);
    if (!publicKey) throw new Error(`the record of ${key.arn} has no public key`);
    if (this.#matched.get(token) === publicKey) return publicKey;
    const matched = this.#matched;
    const { publicKey: own } = await this.#hsm.execute('DescribeBackingKey', commandKeyOf(key), deadline);
    if (own === undefined || Buffer.compare(own, publicKey) !== 0) {
      throw new Error(`the record of ${key.arn} has a different public key from its key material`);
    }
    matched.set(token, publicKey);
    return publicKey;
  }

  /** A member has left: where nobody else was in reach, its word alone was taken. */
  forget(): void {
    this.#matched = new WeakMap();
  }
}
