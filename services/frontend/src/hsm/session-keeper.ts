import type { Clock } from '@keyfleet/shared/clock';
import { newestAfterRemoval } from '@keyfleet/shared/domain/state';
import type { KnownDomain } from './known-domain.ts';
import { type HostIdentity, type HostSession, Negotiation } from './negotiation.ts';

/** Sends a signed hello to one worker and returns its answer. */
export type Negotiate = (hello: Uint8Array) => Promise<Uint8Array>;

export interface SessionKeeperOptions {
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  readonly negotiate: Negotiate;
}

/**
 * Keeps this frontend's session with one worker: made when first needed, renewed at half its validity and after a
 * member leaves the domain, dropped when the worker refuses it. Any member could open its token, but only the one that
 * made it knows that it holds the key that this frontend was given: no worker gets a session that another made.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #current: HostSession | undefined;

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

  /** A usable session, negotiated if there is none. Throws whatever the negotiation throws. */
  async get(): Promise<HostSession> {
    const fresh = this.fresh;
    if (fresh !== undefined) return fresh;
    const negotiation = await Negotiation.start(this.#options);
    this.#current = await negotiation.finish(await this.#options.negotiate(negotiation.hello));
    return this.#current;
  }

  /** The worker refused it, as when it restarted after a rotation. */
  refused(session: HostSession): void {
    if (this.#current === session) this.#current = undefined;
  }

  /** A member that has left since then could open the session's token. */
  #isFromBeforeRemoval({ generation }: HostSession): boolean {
    const state = this.#options.domain.verified?.state;
    return state !== undefined && (newestAfterRemoval(state)?.createdGeneration ?? 0) > generation;
  }
}
