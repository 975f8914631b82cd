import { assertWaiting } from '../caller.ts';
import { FairQueue } from '../crypto/fair-queue.ts';
import { RefusedError } from '../errors.ts';
import { type KeyPair, newRsaKeyPair, type RsaAsker, type RsaBits, type RsaKeyPairs } from './key-pair.ts';

/**
 * Pairs made, and imported ones checked, at the same time. Each keeps one of libuv's four threads busy; the others stay
 * free for the disk and for the signatures that sessions need.
 */
const AT_ONCE = 2;

/**
 * Callers of one host that may wait, and those of one of its accounts: more than two threads make pairs for within a
 * request's time of the usual sizes, and of RSA-4096.
 */
const MAX_WAITING = [64, 16];

/** The host of who has none. */
const NOBODY = 'nobody';

interface Waiting {
  readonly asker: RsaAsker | undefined;
  /** Settles the caller's promise. */
  readonly work: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

/**
 * A few fresh RSA key pairs of each size, in memory only, which save the 30 to 2000 ms that making an RSA key takes.
 *
 * An empty pool costs the caller the time of one generation. Callers wait for their turn, host by host and account by
 * account, and one that stopped waiting is skipped: neither a host nor an account can keep the workers' threads from
 * the others, nor leave work behind. To check an imported pair takes as long, and has the same turns. The pool refills
 * itself, one pair at a time, only while nobody waits. Pairs left at shutdown are lost, which is harmless.
 */
export class RsaKeyPool implements RsaKeyPairs, Disposable {
  readonly #sizes: Readonly<Record<RsaBits, number>>;
  readonly #generate: (bits: RsaBits) => Promise<KeyPair>;
  readonly #stock: Record<RsaBits, KeyPair[]> = { 2048: [], 3072: [], 4096: [] };
  readonly #waiting = new FairQueue<Waiting>(MAX_WAITING);
  #running = 0;
  #filling = false;
  #disposed = false;

  /** `sizes`: how many pairs to keep for each modulus length. */
  constructor(sizes: Readonly<Record<RsaBits, number>>, generate = newRsaKeyPair) {
    this.#sizes = sizes;
    this.#generate = generate;
  }

  /**
   * Refuses with `overloaded` if too many of the caller's host or account wait, and at its turn as `assertWaiting`.
   */
  async take(bits: RsaBits, asker?: RsaAsker): Promise<KeyPair> {
    const ready = this.#stock[bits].pop();
    if (ready !== undefined) {
      void this.fill();
      return ready;
    }
    return this.inTurn(asker, () => this.#generate(bits));
  }

  /** Refuses as `take`. */
  async inTurn<T>(asker: RsaAsker | undefined, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (!this.#add({ asker, work: () => work().then(resolve, reject), reject })) throw new RefusedError('overloaded');
    this.#beginNext();
    return promise;
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

  #beginNext(): void {
    while (this.#running < AT_ONCE) {
      const next = this.#next();
      if (next === undefined) return;
      this.#running++;
      void this.#run(next);
    }
  }

  async #run({ work }: Waiting): Promise<void> {
    await work();
    this.#running--;
    this.#beginNext();
    void this.fill();
  }

  #add(waiting: Waiting): boolean {
    const { account = NOBODY, caller } = waiting.asker ?? {};
    return this.#waiting.add([caller?.host ?? NOBODY, account], waiting);
  }

  /** The next caller that still waits; those that no longer do leave the queue. */
  #next(): Waiting | undefined {
    for (const waiting of this.#waiting.drain()) {
      try {
        assertWaiting(waiting.asker?.caller);
        this.#add(waiting);
      } catch (error) {
        waiting.reject(error);
      }
    }
    return this.#waiting.take();
  }

  #missing(): RsaBits | undefined {
    if (this.#disposed || this.#running > 0) return undefined;
    return moduli.find((bits) => this.#stock[bits].length < this.#sizes[bits]);
  }
}

const moduli: readonly RsaBits[] = [2048, 3072, 4096];
