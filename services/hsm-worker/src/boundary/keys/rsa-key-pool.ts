import { type KeyPair, newRsaKeyPair, type RsaBits, type RsaKeyPairs } from './key-pair.ts';

/**
 * A few fresh RSA key pairs of each size, in memory only, which save the 30 to 2000 ms that making an RSA key takes.
 *
 * The pool makes one pair at a time, on one of libuv's threads, and only while nobody waits for a pair: an empty pool
 * costs the caller the time of one generation, and the next caller nothing extra. Pairs left at shutdown are lost,
 * which is harmless.
 */
export class RsaKeyPool implements RsaKeyPairs, Disposable {
  readonly #sizes: Readonly<Record<RsaBits, number>>;
  readonly #generate: (bits: RsaBits) => Promise<KeyPair>;
  readonly #stock: Record<RsaBits, KeyPair[]> = { 2048: [], 3072: [], 4096: [] };
  #waiting = 0;
  #filling = false;
  #disposed = false;

  /** `sizes`: how many pairs to keep for each modulus length. */
  constructor(sizes: Readonly<Record<RsaBits, number>>, generate = newRsaKeyPair) {
    this.#sizes = sizes;
    this.#generate = generate;
  }

  async take(bits: RsaBits): Promise<KeyPair> {
    const ready = this.#stock[bits].pop();
    if (ready !== undefined) {
      void this.fill();
      return ready;
    }
    this.#waiting++;
    try {
      return await this.#generate(bits);
    } finally {
      this.#waiting--;
      void this.fill();
    }
  }

  /** Fills the pool. Resolves when it is full, or when filling gives way to a caller that waits for a pair. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      for (let bits = this.#missing(); bits !== undefined; bits = this.#missing()) {
        this.#stock[bits].push(await this.#generate(bits));
      }
    } catch {
      // The next caller makes its own pair, and gets the error if that fails too.
    } finally {
      this.#filling = false;
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const bits of moduli) this.#stock[bits] = [];
  }

  #missing(): RsaBits | undefined {
    if (this.#disposed || this.#waiting > 0) return undefined;
    return moduli.find((bits) => this.#stock[bits].length < this.#sizes[bits]);
  }
}

const moduli: readonly RsaBits[] = [2048, 3072, 4096];
