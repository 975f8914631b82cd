import type { Clock } from '@keyfleet/shared/clock';
import { newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { KnownDomain } from './known-domain.ts';
import { type HostIdentity, type HostSession, Negotiation } from './negotiation.ts';

/** Sends a signed hello to one worker and brings its answer. */
export type Negotiate = (hello: Uint8Array) => Promise<Uint8Array>;

export interface SessionKeeperOptions {
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  /** Whether any worker serves the session now. */
  readonly isServed: (session: HostSession) => boolean;
}

/** While others serve the session, one worker that does not take it gets a new one made so often at most. */
const REPLACE_EVERY_MS = 10_000;

/**
 * Keeps the one session of this frontend: made when first needed, renewed at half its validity and when a member left
 * the domain, dropped when a worker refuses it.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #current: HostSession | undefined;
  #replacedAt = -Infinity;
  readonly #negotiating = new SingleFlight<HostSession>();

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** The session, while it is fresh. */
  get fresh(): HostSession | undefined {
    const session = this.#current;
    if (session === undefined || this.#options.clock.now() >= session.renewAt || this.#isFromBeforeRemoval(session)) {
      return undefined;
    }
    return session;
  }

  /** A usable session; negotiates with the asking worker if there is none. Throws what the negotiation throws. */
  async get(negotiate: Negotiate): Promise<HostSession> {
    return this.fresh ?? this.#renew(negotiate);
  }

  /**
   * A worker did not accept it. If no other does, a new one is made for the next stream. If others do, that worker lags
   * behind, or takes only sessions under a newer domain key: it makes a new one for all, if it proves to have the
   * newest domain token.
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

  /** One negotiation at a time: whoever asks meanwhile shares it. */
  #renew(negotiate: Negotiate): Promise<HostSession> {
    return this.#negotiating.run(() => this.#negotiate(negotiate));
  }

  async #negotiate(negotiate: Negotiate): Promise<HostSession> {
    const negotiation = await Negotiation.start(this.#options);
    this.#current = await negotiation.finish(await negotiate(negotiation.hello));
    return this.#current;
  }

  /** Whoever left since could open its token. */
  #isFromBeforeRemoval({ generation }: HostSession): boolean {
    const state = this.#options.domain.verified?.state;
    return state !== undefined && (newestAfterRemoval(state)?.createdGeneration ?? 0) > generation;
  }
}
