import type { Clock } from '../clock.ts';
import type { Operator } from '../domain/state.ts';
import { SingleFlight } from '../single-flight.ts';
import type { RedisClient } from './connect.ts';
import type { DurableWrites } from './durable-writes.ts';
import { isAcceptedBy, isTimely } from './store-acceptance.ts';
import { giveIdentity, raiseMark, readStoreIdentity, type StoreIdentity } from './store-identity.ts';

const LOOK_EVERY_MS = 1_000;
const RUNBOOK = 'Nothing is answered from it until it is put right: docs/recovery.md, "The store is not as it was"';

/** The store's identity or losses forbid using it; no request is to blame. Logged once, where it is found. */
export class StoreRefusedError extends Error {
  override name = 'StoreRefusedError';
}

interface Known {
  readonly id: string;
  /** The highest mark acknowledged to this service. */
  readonly mark: number;
  /** When this service first saw it. */
  readonly since: number;
}

interface VerifiedTokens {
  /** Of the newest. */
  readonly generation: number;
  /** Of one that the store has something else in the place of. */
  readonly lost?: number | undefined;
}

export interface StoreGuardOptions {
  readonly domain: string;
  /** Every connection to the store. Routine looks use the first. */
  readonly clients: readonly RedisClient[];
  readonly writes: DurableWrites;
  readonly clock: Clock;
  /** The newest generation of the domain that this service has verified; 0 while there is none. */
  readonly generation: () => number;
  /**
   * Finds out whether the store holds that token and those before it, and not something else in their places. Resolves
   * to the generation of one that it lacks. `isFirst`: nobody has looked through this connection yet.
   */
  readonly findLost?: (client: RedisClient, isFirst: boolean) => Promise<number | undefined>;
  /** The operators of that generation, one of whom must have signed that another store is accepted. */
  readonly operators: () => readonly Operator[];
  /** Whether an acknowledged write must be there forever. If not, an older state is no problem. */
  readonly keepsWrites: boolean;
  /**
   * Whether to give an identity to a store from before stores had one, or with something else in its place. Only one
   * kind of service does, and only before it knows the store.
   */
  readonly givesIdentity?: boolean;
  /** Called once for each problem found. */
  readonly onRefused: (problem: StoreRefusedError) => void;
  /** Operators accepted another or an older store as the successor of these, one of which is the known one. */
  readonly onAccepted: (follows: readonly string[]) => void;
}

/**
 * Whether the store is the one that this service knows and still holds what it wrote: not another store, not emptied,
 * not an older copy. A connection is trusted only after a look through it, since it may lead to a different store than
 * the previous one.
 */
export class StoreGuard implements Disposable {
  readonly #options: StoreGuardOptions;
  readonly #seen = new Set<RedisClient>();
  readonly #looking: ReadonlyMap<RedisClient, SingleFlight<void>>;
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #known: Known | undefined;
  #problem: StoreRefusedError | undefined;
  #wrote = false;

  constructor(options: StoreGuardOptions) {
    this.#options = options;
    this.#looking = new Map(options.clients.map((client) => [client, new SingleFlight()]));
    for (const client of options.clients) {
      const forget = (): void => {
        this.#seen.delete(client);
        this.#looking.get(client)?.forget();
      };
      const look = (): void => void this.#look(client).catch(() => {});
      client.on('close', forget).on('ready', look);
      this.#stop.signal.addEventListener('abort', () => client.off('close', forget).off('ready', look));
    }
    this.#timer = setInterval(() => void this.#tick().catch(() => {}), LOOK_EVERY_MS).unref();
  }

  /** What is wrong with the store, and what to do; undefined if no problem is known. */
  get problem(): string | undefined {
    return this.#problem?.message;
  }

  /** The identity of the store that this service knows; '' if it knows none. */
  get id(): string {
    return this.#known?.id ?? '';
  }

  /**
   * Throws StoreRefusedError, or the connection's error; any error for one that is none of `clients`. Returns a promise
   * only if nobody has looked through the connection yet, which is rare.
   */
  assertOurs(client: RedisClient): void | Promise<void> {
    if (!this.#seen.has(client)) return this.#look(client).then(() => this.assertFit());
    this.assertFit();
  }

  /** As far as is known now. Throws StoreRefusedError. */
  assertFit(): void {
    if (this.#problem) throw this.#problem;
  }

  /** A write was acknowledged: the store's mark rises within a second. */
  wrote(): void {
    this.#wrote = this.#options.keepsWrites;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  async #tick(): Promise<void> {
    await this.#look(this.#options.clients[0]!);
    if (this.#problem !== undefined || !this.#wrote || this.#known === undefined) return;
    this.#wrote = false;
    const { domain, writes } = this.#options;
    const { id, since } = this.#known;
    const mark = Number(await writes.write(domain, (client) => raiseMark(client, domain, id)));
    if (this.#known?.id === id) this.#known = { id, mark: Math.max(mark, this.#known.mark), since };
  }

  /** A look that began on a lost connection decides nothing. */
  #look(client: RedisClient): Promise<void> {
    return this.#looking.get(client)!.run(() => this.#see(client));
  }

  async #see(client: RedisClient): Promise<void> {
    const { domain, generation, findLost, givesIdentity = false } = this.#options;
    // Read before the look, which need not see what is written meanwhile.
    const [known, floor] = [this.#known, generation()];
    let seen = await readStoreIdentity(client, domain);
    if (givesIdentity && known === undefined && seen.id === '' && seen.generation > 0) {
      await giveIdentity(client, domain);
      seen = await readStoreIdentity(client, domain);
    }
    const lost = await findLost?.(client, !this.#seen.has(client));
    if (client.status !== 'ready') throw new Error('the connection to Redis was lost');
    this.#seen.add(client);
    this.#judge(seen, known, { generation: floor, lost });
  }

  #judge(seen: StoreIdentity, known: Known | undefined, tokens: VerifiedTokens): void {
    const now = this.#options.clock.now();
    const succeeds = known !== undefined && seen.id !== known.id && this.#succeeds(seen, known);
    const accepted = succeeds && isTimely(seen, known.since, now);
    if (accepted) {
      this.#known = { id: seen.id, mark: 0, since: now };
      this.#options.onAccepted(seen.follows);
    } else if (this.#known === undefined && seen.id !== '') this.#known = { id: seen.id, mark: 0, since: now };
    const untimely = succeeds ? `, and its acceptance is dated ${new Date(seen.acceptedAt).toISOString()}` : '';
    const trouble = accepted ? undefined : troubleWith(seen, known, tokens);
    const before = this.#problem?.message;
    this.#problem =
      trouble === undefined ? undefined : new StoreRefusedError(`Redis: ${trouble}${untimely}. ${RUNBOOK}`);
    if (this.#problem !== undefined && this.#problem.message !== before) this.#options.onRefused(this.#problem);
  }

  #succeeds(seen: StoreIdentity, known: Known): boolean {
    const { domain, operators } = this.#options;
    const { id, follows, acceptedAt } = seen;
    return follows.includes(known.id) && isAcceptedBy(operators(), { domain, id, follows, acceptedAt }, seen);
  }
}

/** Why the store that was looked at cannot be the known one; undefined if it can. */
export function troubleWith(
  seen: StoreIdentity,
  known: Known | undefined,
  { generation, lost }: VerifiedTokens,
): string | undefined {
  const lacksTokens = seen.generation < generation;
  const tokens = `it holds domain tokens up to generation ${seen.generation}, and generation ${generation} was verified`;
  const before = known === undefined ? 'before' : `before (${known.id})`;
  if (seen.hasOtherId && (known !== undefined || seen.generation > 0)) {
    return `something else stands in the place of the identity that it had ${before}`;
  }
  if (seen.id === '' && (known !== undefined || lacksTokens)) {
    const isEmpty = seen.generation === 0 && !seen.hasNoList;
    return isEmpty ? 'it was emptied' : `it carries no identity, and did ${before}`;
  }
  if (known !== undefined && seen.id !== known.id) return `it is another store (${seen.id}) than ${before}`;
  if (known !== undefined && seen.mark < known.mark) {
    return `it went back to an older state: acknowledged writes are lost (mark ${seen.mark}, was ${known.mark})`;
  }
  if (lacksTokens && seen.hasNoList) return 'something else stands in the place of the domain tokens';
  if (lacksTokens) return `it went back to an older state: ${tokens}`;
  return lost === undefined ? undefined : `it lacks domain token ${lost}, and has something else in its place`;
}
