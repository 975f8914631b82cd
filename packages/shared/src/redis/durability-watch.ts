import { ConfigError } from '../config.ts';
import { SingleFlight } from '../single-flight.ts';
import type { RedisClient } from './connect.ts';
import type { Durability } from './durability.ts';
import { SilenceWatch } from './silence-watch.ts';

const ASK_EVERY_MS = 10_000;
const LISTEN_EVERY_MS = 1_000;

/**
 * The durability of the Redis currently behind the connection. It is checked on every new connection, which may lead to
 * another node after a failover, and every few seconds, because a running Redis can be reconfigured to lose data.
 */
export class DurabilityWatch implements Disposable {
  readonly #client: RedisClient;
  readonly #check: () => Promise<Durability>;
  readonly #onRefused: (refusal: ConfigError) => void;
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #silence: SilenceWatch;
  #known: Durability | ConfigError | undefined;
  #asking = new SingleFlight<void>();

  /**
   * `check`: throws ConfigError if this Redis may lose acknowledged writes. `onRefused`: called when a reason for that
   * appears or changes.
   */
  constructor(client: RedisClient, check: () => Promise<Durability>, onRefused: (refusal: ConfigError) => void) {
    this.#client = client;
    this.#check = check;
    this.#onRefused = onRefused;
    client.on('close', this.#forget).on('ready', this.#ask);
    this.#silence = new SilenceWatch(client);
    this.#timers = [setInterval(this.#ask, ASK_EVERY_MS).unref(), setInterval(this.#listen, LISTEN_EVERY_MS).unref()];
  }

  /** Why nothing may be written to this Redis; undefined if it may be written, or that is not known yet. */
  get refusal(): string | undefined {
    return this.#known instanceof ConfigError ? this.#known.message : undefined;
  }

  /** How many replicas must have a write, as far as known; 0 if unknown. */
  get replicas(): number {
    return this.#known === undefined || this.#known instanceof ConfigError ? 0 : this.#known.replicas;
  }

  /**
   * For a write that begins now. Throws ConfigError if this Redis may lose what it acknowledged, and the connection's
   * error if it does not answer.
   */
  async current(): Promise<Durability> {
    if (this.#known === undefined) await this.#look();
    if (this.#known instanceof ConfigError) throw this.#known;
    const known = this.#known!;
    const { replicas } = this.#silence;
    return known.replicas > 0 && replicas > known.replicas ? { replicas } : known;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#client.off('close', this.#forget).off('ready', this.#ask);
  }

  readonly #forget = (): void => {
    this.#known = undefined;
    this.#asking = new SingleFlight();
  };

  readonly #ask = (): void => {
    this.#look().catch(() => {});
  };

  readonly #listen = (): void => {
    if (this.replicas > 0) this.#silence.look().catch(() => {});
  };

  /** A check that began on a lost connection decides nothing. */
  #look(): Promise<void> {
    const asking = this.#asking;
    return asking.run(async () => {
      const known = await this.#checked();
      if (!(known instanceof ConfigError) && known.replicas > 0) await this.#silence.look();
      if (this.#asking !== asking) throw new Error('the connection to Redis was lost');
      const before = this.refusal;
      this.#known = known;
      if (known instanceof ConfigError && known.message !== before) this.#onRefused(known);
    });
  }

  async #checked(): Promise<Durability | ConfigError> {
    try {
      return await this.#check();
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
  }
}
