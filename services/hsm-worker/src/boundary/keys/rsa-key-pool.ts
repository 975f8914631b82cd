import { RefusedError } from '../errors.ts';
import { type KeyPair, newRsaKeyPair, type RsaBits, type RsaCaller, type RsaKeyPairs } from './key-pair.ts';

/**
 * Pairs made at the same time. Each keeps one of libuv's four threads busy; the others stay free for the disk and for
 * the signatures that sessions need.
 */
const AT_ONCE = 2;

/** Callers of one host that may wait for a pair: more than two threads make within a request's time. */
const MAX_WAITING_OF_HOST = 64;

interface Waiting {
  readonly bits: RsaBits;
  readonly caller: RsaCaller | undefined;
  readonly resolve: (pair: KeyPair) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A few fresh RSA key pairs of each size, in memory only, which save the 30 to 2000 ms that making an RSA key takes.
 *
 * An empty pool costs the caller the time of one generation. Callers wait for their turn, host by host, and one that
 * stopped waiting is skipped: no host can keep the workers' threads from the others, nor leave work behind. The pool
 * refills itself, one pair at a time, only while nobody waits. Pairs left at shutdown are lost, which is harmless.
 */
export class RsaKeyPool implements RsaKeyPairs, Disposable {
  readonly #sizes: Readonly<Record<RsaBits, number>>;
  readonly #generate: (bits: RsaBits) => Promise<KeyPair>;
  readonly #stock: Record<RsaBits, KeyPair[]> = { 2048: [], 3072: [], 4096: [] };
  /** By host; the host whose turn is next comes first. */
  readonly #waiting = new Map<unknown, Waiting[]>();
  #making = 0;
  #filling = false;
  #disposed = false;

  /** `sizes`: how many pairs to keep for each modulus length. */
  constructor(sizes: Readonly<Record<RsaBits, number>>, generate = newRsaKeyPair) {
    this.#sizes = sizes;
    this.#generate = generate;
  }

  /** Refuses with `overloaded` if too many of the caller's host wait, with `expired` if the caller stopped waiting. */
  async take(bits: RsaBits, caller?: RsaCaller): Promise<KeyPair> {
    const ready = this.#stock[bits].pop();
    if (ready !== undefined) {
      void this.fill();
      return ready;
    }
    const ofHost = this.#waiting.getOrInsertComputed(caller?.host, () => []);
    if (ofHost.length >= MAX_WAITING_OF_HOST) throw new RefusedError('overloaded');
    const { promise, resolve, reject } = Promise.withResolvers<KeyPair>();
    ofHost.push({ bits, caller, resolve, reject });
    this.#makeNext();
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

  #makeNext(): void {
    while (this.#making < AT_ONCE) {
      const next = this.#next();
      if (next === undefined) return;
      this.#making++;
      void this.#make(next);
    }
  }

  async #make({ bits, resolve, reject }: Waiting): Promise<void> {
    await this.#generate(bits).then(resolve, reject);
    this.#making--;
    this.#makeNext();
    void this.fill();
  }

  /** The next caller that still waits; those that no longer do leave the queue. */
  #next(): Waiting | undefined {
    this.#dropAbandoned();
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [host, queue] = first;
    const next = queue.shift();
    this.#waiting.delete(host);
    if (queue.length > 0) this.#waiting.set(host, queue);
    return next;
  }

  #dropAbandoned(): void {
    for (const [host, queue] of this.#waiting) {
      const left = queue.filter(({ caller, reject }) => {
        const waits = caller === undefined || caller.isWaiting();
        if (!waits) reject(new RefusedError('expired'));
        return waits;
      });
      if (left.length > 0) this.#waiting.set(host, left);
      else this.#waiting.delete(host);
    }
  }

  #missing(): RsaBits | undefined {
    if (this.#disposed || this.#making > 0) return undefined;
    return moduli.find((bits) => this.#stock[bits].length < this.#sizes[bits]);
  }
}

const moduli: readonly RsaBits[] = [2048, 3072, 4096];
