import { setTimeout as delay } from 'node:timers/promises';
import type { DomainManagerEvents } from './events.ts';
import type { LeaseStore } from './store/store.ts';

const LEASE_MS = 5_000;
const INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 5_000;

export interface LeaderOptions {
  readonly lease: LeaseStore;
  /** This replica's name. */
  readonly replica: string;
  /** Does what is to be done now, from what it finds. Must be safe while another replica does the same. */
  readonly round: () => Promise<void>;
  readonly events: DomainManagerEvents;
}

/**
 * Runs `round` again and again while this replica has the lease. The lease only keeps replicas from doing the same
 * work: two that both believe they lead are put in order by the compare-and-append of the token store.
 */
export class Leader implements AsyncDisposable {
  readonly #options: LeaderOptions;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #alarm = new AbortController();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Something changed: the next round comes at once. */
  wake(): void {
    this.#alarm.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.#options.lease.releaseLease(this.#options.replica).catch(() => {});
  }

  async #run(): Promise<void> {
    const { lease, replica, round, events } = this.#options;
    let leads = false;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      // Renewed before the round: what happens during it is looked at in the next.
      this.#alarm = new AbortController();
      try {
        const holds = await lease.holdLease(replica, LEASE_MS);
        if (leads !== holds) events.leadershipChanged(replica, holds);
        leads = holds;
        if (leads) await round();
        if (failures > 0) events.worksAgain(failures);
        failures = 0;
      } catch (error) {
        failures++;
        // Once per doubling, so that an hour without Redis is a dozen lines and not an hour of them.
        if (Number.isInteger(Math.log2(failures))) events.roundFailed(error, failures);
      }
      await this.#pause(Math.min(INTERVAL_MS * 2 ** Math.min(failures, 4), MAX_INTERVAL_MS));
    }
  }

  async #pause(ms: number): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#alarm.signal]);
    await delay(ms, undefined, { signal }).catch(() => {});
  }
}
