import type { Clock } from '@keyfleet/shared/clock';
import { newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { KnownDomain } from './known-domain.ts';
import { type HostIdentity, type HostSession, Negotiation } from './negotiation.ts';

/** Sends a signed hello to one worker and returns its answer. */
export type Negotiate = (hello: Uint8Array) => Promise<Uint8Array>;

export interface SessionKeeperOptions {
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  /** Whether any worker serves the session now. */
  readonly isServed: (session: HostSession) => boolean;
}

/** How often, at most, one worker that refuses a session served by others causes a new one. */
const REPLACE_EVERY_MS = 10_000;

/**
 * Keeps this frontend's one session: made when first needed, renewed at half its validity and after a member leaves the
 * domain, dropped when a worker refuses it.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #current: HostSession | undefined;
  #replacedAt = -Infinity;
  readonly #negotiating = new SingleFlight<HostSession>();

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** The session while it is fresh. */
  get fresh(): HostSession | undefined {
    const session = this.#current;
    if (session === undefined || this.#options.clock.now() >= session.renewAt || this.#isFromBeforeRemoval(session)) {
      return undefined;
    }
    return session;
  }

  /** A usable session, negotiated with the asking worker if there is none. Throws whatever the negotiation throws. */
  async get(negotiate: Negotiate): Promise<HostSession> {
    return this.fresh ?? this.#renew(negotiate);
  }

  /**
   * A worker refused the session. If no other worker serves it, the next stream makes a new one. If others do, the
   * refusing worker is behind, or accepts only sessions under a newer domain key: it makes a new session for all,
   * provided that it proves to have the newest domain token.
   */
  async refused(session: HostSession, negotiate: Negotiate): Promise<void> {
    if (this.#current !== session) return;
    if (!this.#options.isServed(session)) {
      this.#current = undefined;
      return;
    }
    const now = this.#options.clock.now();
    if (now - this.#replacedAt < REPLACE_EVERY_MS) return;
    this.#replacedAt = now;
    await this.#renew(negotiate);
  }

  /** One negotiation at a time, shared by everyone who asks meanwhile. */
  #renew(negotiate: Negotiate): Promise<HostSession> {
    return this.#negotiating.run(() => this.#negotiate(negotiate));
  }

  async #negotiate(negotiate: Negotiate): Promise<HostSession> {
    const negotiation = await Negotiation.start(this.#options);
    this.#current = await negotiation.finish(await negotiate(negotiation.hello));
    return this.#current;
  }

  /** A member that has left since then could open the session's token. */
  #isFromBeforeRemoval({ generation }: HostSession): boolean {
    const state = this.#options.domain.verified?.state;
    return state !== undefined && (newestAfterRemoval(state)?.createdGeneration ?? 0) > generation;
  }
}
