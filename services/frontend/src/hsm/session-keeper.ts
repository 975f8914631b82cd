import type { Clock } from '@keyfleet/shared/clock';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { type HostIdentity, type HostSession, Negotiation } from './session.ts';

/** Sends a signed hello to one worker and brings its answer. */
export type Negotiate = (hello: Uint8Array) => Promise<Uint8Array>;

export interface SessionKeeperOptions {
  readonly host: HostIdentity;
  /** The verified state; undefined until the first token was fetched. */
  readonly domainState: () => DomainState | undefined;
  readonly clock: Clock;
  /** Whether any worker serves the session now. */
  readonly isServed: (session: HostSession) => boolean;
}

/** Keeps the one session of this frontend: made when first needed, renewed at half its validity, dropped when a worker refuses it. */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  #current: HostSession | undefined;
  #negotiating: Promise<HostSession> | undefined;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** The session, while it is fresh. */
  get fresh(): HostSession | undefined {
    return this.#current !== undefined && this.#options.clock.now() < this.#current.renewAt ? this.#current : undefined;
  }

  /** A usable session; negotiates with the asking worker if there is none. Throws what the negotiation throws. */
  async get(negotiate: Negotiate): Promise<HostSession> {
    return this.fresh ?? this.renew(negotiate);
  }

  /** One negotiation at a time: whoever asks meanwhile shares it. */
  renew(negotiate: Negotiate): Promise<HostSession> {
    this.#negotiating ??= this.#negotiate(negotiate).finally(() => (this.#negotiating = undefined));
    return this.#negotiating;
  }

  /** A worker did not accept it. While others do, it is that worker which lags behind; else a new one is made for the next stream. */
  refused(session: HostSession): void {
    if (this.#current === session && !this.#options.isServed(session)) this.#current = undefined;
  }

  async #negotiate(negotiate: Negotiate): Promise<HostSession> {
    const { host, domainState, clock } = this.#options;
    const domain = domainState()?.domain;
    if (domain === undefined) throw new Error('no verified domain state yet');
    const negotiation = new Negotiation({ domain, host, clock });
    const answer = await negotiate(negotiation.hello);
    // Read again: the state may have moved on while the worker answered.
    this.#current = negotiation.finish(answer, domainState()!);
    return this.#current;
  }
}
