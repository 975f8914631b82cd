import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import type { DomainManagerEvents } from './events.ts';
import type { LeaseStore } from './store/store.ts';

const LEASE_MS = 5_000;
const INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 5_000;
/**
 * Between two rounds, however often it is woken: whoever publishes notices may do that without end. Each round asks
 * each worker to describe itself, and a worker takes a hundred such calls a second from an address.
 */
const REST_MS = 100;
/** Whatever a round waits for has a deadline of seconds. After this time another replica has long had the lease. */
export const ENDLESS_MS = 60_000;
/** Whoever else can lead asks for the lease meanwhile. */
export const STAND_BACK_MS = 2 * MAX_INTERVAL_MS;
/** How long it leads before it stands back once more: nobody else may be there. */
export const LEAD_ANYWAY_MS = 300_000;

export interface LeaderOptions {
  readonly lease: LeaseStore;
  /** This replica's name. */
  readonly replica: string;
  /** Why this replica cannot lead now, whatever it does. */
  readonly unfit: () => Promise<string | undefined>;
  /** Why another one should lead, if there is one, by what this replica saw in its rounds. */
  readonly hindered: () => string | undefined;
  /** Does whatever its findings call for now. Must be safe while another replica does the same. */
  readonly round: () => Promise<void>;
  readonly events: DomainManagerEvents;
  readonly monotonicClock: Clock;
}

/**
 * Runs `round` repeatedly while this replica has the lease. The lease only avoids duplicate work: if two replicas both
 * believe they lead, the token store's compare-and-append puts them in order.
 */
export class Leader implements AsyncDisposable {
  readonly #options: LeaderOptions;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #alarm = new AbortController();
  #leads = false;
  #unfit: string | undefined;
  #stoodBack: { readonly at: number; readonly why?: string } = { at: -Infinity };
  #failures = 0;
  #isEndless = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Whether this replica did the newest round, as far as it knows: what it saw is of no use when another leads. */
  get leads(): boolean {
    return this.#leads && this.#failures === 0 && !this.#isEndless;
  }

  /** Something changed: start the next round at once, but for the rest after the last one. */
  wake(): void {
    this.#alarm.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.#options.lease.releaseLease(this.#options.replica).catch(() => {});
  }

  async #run(): Promise<void> {
    const { lease, replica, events } = this.#options;
    while (!this.#stop.signal.aborted) {
      // Renewed before the round: changes during it are examined in the next one.
      this.#alarm = new AbortController();
      try {
        const holds = (await this.#isFit()) && (await lease.holdLease(replica, LEASE_MS));
        if (this.#leads !== holds) events.leadershipChanged(replica, holds);
        this.#leads = holds;
        if (holds) await this.#round();
        if (this.#failures > 0) events.worksAgain(this.#failures);
        this.#failures = 0;
      } catch (error) {
        const failures = ++this.#failures;
        // Logged at each doubling, so that an hour without Redis makes a dozen lines, not an hour of them.
        if (Number.isInteger(Math.log2(failures))) events.roundFailed(error, failures);
      }
      await this.#pause(Math.min(INTERVAL_MS * 2 ** Math.min(this.#failures, 4), MAX_INTERVAL_MS));
    }
  }

  async #round(): Promise<void> {
    const { round, events } = this.#options;
    const isEndless = (): void => {
      this.#isEndless = true;
      events.roundEndless(ENDLESS_MS);
    };
    const timer = setTimeout(isEndless, ENDLESS_MS).unref();
    try {
      await round();
    } finally {
      clearTimeout(timer);
      this.#isEndless = false;
    }
  }

  /** One that cannot lead lets another do it at once. */
  async #isFit(): Promise<boolean> {
    const { lease, replica, unfit, events } = this.#options;
    const reason = (await unfit()) ?? this.#standsBackFor();
    if (reason !== undefined && reason !== this.#unfit) events.cannotLead(replica, reason);
    this.#unfit = reason;
    if (reason !== undefined && this.#leads) await lease.releaseLease(replica);
    return reason === undefined;
  }

  #standsBackFor(): string | undefined {
    const now = this.#options.monotonicClock.now();
    if (this.#leads && now >= this.#stoodBack.at + LEAD_ANYWAY_MS) {
      const why = this.#options.hindered();
      if (why !== undefined) this.#stoodBack = { at: now, why };
    }
    return now < this.#stoodBack.at + STAND_BACK_MS ? this.#stoodBack.why : undefined;
  }

  async #pause(ms: number): Promise<void> {
    const stop = this.#stop.signal;
    await delay(REST_MS, undefined, { signal: stop }).catch(() => {});
    await delay(ms - REST_MS, undefined, { signal: AbortSignal.any([stop, this.#alarm.signal]) }).catch(() => {});
  }
}
