import { assertWaiting, type Caller } from '../caller.ts';
import { RefusedError } from '../errors.ts';
import { FairQueue } from './fair-queue.ts';

/**
 * Jobs in OpenSSL's thread pool at once. Of the slowest, RSA-4096's 7 ms, so many keep four threads busy for 56 ms,
 * which is what the handshake of a session may wait. Of the fastest, so many keep them busy until the event loop's next
 * turn.
 */
const AT_ONCE = 32;

/** How many jobs may wait per account and per key: of RSA-4096, a key's are a second of work. */
const MAX_WAITING = [1024, 512];

/** Whose job it is. */
export interface Lane {
  readonly account: string;
  readonly keyId: string;
}

/**
 * The work of customers' keys in OpenSSL's thread pool, which takes it in order of arrival. Before it accounts take
 * turns, as do the keys of an account, so that one tenant's load delays another by what is in the pool.
 */
export class PoolTurns {
  readonly #waiting = new FairQueue<() => void>(MAX_WAITING);
  #running = 0;

  /** Refuses with `overloaded` when too many jobs of the account or the key wait, as `assertWaiting` at its turn. */
  async run<T>(lane: Lane, caller: Pick<Caller, 'isWaiting'> | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#running < AT_ONCE) this.#running++;
    else await this.#turnOf(lane);
    try {
      assertWaiting(caller);
      return await work();
    } finally {
      this.#giveTurn();
    }
  }

  #turnOf({ account, keyId }: Lane): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#waiting.add([account, keyId], resolve)) throw new RefusedError('overloaded');
    return promise;
  }

  #giveTurn(): void {
    const next = this.#waiting.take();
    if (next === undefined) this.#running--;
    else next();
  }
}
