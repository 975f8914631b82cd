import { type KeyPair, newRsaKeyPair, type RsaBits, type RsaKeyPairs } from './key-pair.ts';

/**
 * A few fresh RSA key pairs of each size, in memory only, so that making an RSA key does not take its 30 to 2000 ms.
 *
 * One pair at a time is made ahead, on one of libuv's threads, and only while nobody waits for one: an empty pool costs
 * the caller the time of a generation, and the next caller nothing more. What is in it at the end is lost, which is
 * harmless.
 */
export class RsaKeyPool implements RsaKeyPairs, Disposable {
  readonly #sizes: Readonly<Record<RsaBits, number>>;
  readonly #generate: (bits: RsaBits) => Promise<KeyPair>;
  readonly #stock: Record<RsaBits, KeyPair[]> = { 2048: [], 3072: [], 4096: [] };
  #waiting = 0;
  #filling = false;
  #disposed = false;

  /** `sizes`: how many pairs to keep of each modulus length. */
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

  /** Fills the pool; resolves when it is full, or when somebody waits for a pair and filling gives way. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      for (let bits = this.#missing(); bits !== undefined; bits = this.#missing()) {
        this.#stock[bits].push(await this.#generate(bits));
      }
    } catch {
      // Whoever asks next makes a pair for itself, and is told if that fails too.
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
