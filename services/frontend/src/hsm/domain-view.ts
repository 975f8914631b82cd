import { type Client, credentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { systemClock } from '@keyfleet/shared/clock';
import { assertComesBy, assertNotFromFuture, follow, reaches } from '@keyfleet/shared/domain/chain';
import { type DomainState, isMember, type Member, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint, TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';
import type { DomainFloor } from './domain-floor.ts';
import type { KnownDomain } from './known-domain.ts';

const FETCH_TIMEOUT_MS = 5000;
const POLL_MS = 3000;
/** Until the first token is there nothing works at all, so it is looked for more often. */
const FIRST_POLL_MS = 200;
/** How long a newer token, which a member has, may take to be found. */
const BEHIND_MS = 5000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface DomainViewOptions {
  readonly anchor: TrustAnchor;
  readonly floor: DomainFloor;
  readonly domainManagers: readonly string[];
  readonly notices: Pick<Notices, 'subscribe'>;
  /** A domain-manager was not reached, or showed a token that does not verify. The view stays as it was. */
  readonly onProblem: (address: string, error: unknown) => void;
}

/** A member proved to have a token that this frontend does not find. */
interface Newer {
  readonly member: Member;
  readonly generation: number;
  /** By `performance.now()`. */
  readonly since: number;
}

/**
 * This frontend's own verified copy of the public domain state: the chain of tokens from the trust anchor, followed as it grows. It
 * relies on nothing before its floor and the trust anchor's checkpoint, nor on a chain that a member has seen go on elsewhere.
 */
export class DomainView implements KnownDomain, AsyncDisposable {
  readonly #options: DomainViewOptions;
  readonly #clients: readonly { readonly address: string; readonly client: Client }[];
  #verified: VerifiedDomain | undefined;
  #newer: readonly Newer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: DomainViewOptions) {
    this.#options = options;
    this.#clients = options.domainManagers.map((address) => ({ address, client: clientOf(address) }));
    options.notices.subscribe('domainToken', () => this.look());
    this.look();
  }

  /** The newest state that was verified, and its token's hash. Undefined while `problem` says why. */
  get verified(): VerifiedDomain | undefined {
    return this.problem === undefined ? this.#verified : undefined;
  }

  /** Why there is no state to rely on; undefined when there is one. */
  get problem(): string | undefined {
    const verified = this.#verified;
    if (verified === undefined) return 'no verified domain token yet';
    const { generation } = verified.state;
    for (const lowest of this.#checkpoints()) {
      if (reaches(verified, lowest)) continue;
      return `the domain-managers show domain token ${generation}, and token ${lowest.generation} was known here before`;
    }
    const newer = this.#newer.find((one) => this.#isMissing(one));
    return (
      newer && `${newer.member.memberId} has domain token ${newer.generation}, and none after ${generation} is found`
    );
  }

  get state(): DomainState | undefined {
    return this.verified?.state;
  }

  /** Whoever is behind may not know who was removed, so it stops; a member that lies can do this until it is removed. */
  noteNewer(member: Member, generation: number): void {
    const others = this.#newer.filter((one) => one.member.memberId !== member.memberId);
    const before = this.#newer.find((one) => one.member.memberId === member.memberId);
    this.#newer = [...others, { member, generation, since: before?.since ?? performance.now() }];
    this.look();
  }

  #isMissing({ member, generation, since }: Newer): boolean {
    const { state } = this.#verified!;
    return generation > state.generation && isMember(state, member) && performance.now() - since > BEHIND_MS;
  }

  #checkpoints(): Checkpoint[] {
    const { anchor, floor } = this.#options;
    return [anchor.checkpoint, floor.lowest].filter((one) => one !== undefined);
  }

  /** Looks now; asked while looking, once more afterwards. */
  look(): void {
    if (this.#stopped) return;
    this.#again = this.#looking !== undefined;
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#again) this.look();
      else if (!this.#stopped) this.#timer = setTimeout(() => this.look(), this.#verified ? POLL_MS : FIRST_POLL_MS);
    });
  }

  /** Resolves when a look has ended, whatever it found. */
  refresh(): Promise<void> {
    this.look();
    return this.#looking ?? Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const { client } of this.#clients) client.close();
    await this.#looking;
  }

  /** The first domain-manager whose answer verifies. */
  async #look(): Promise<void> {
    for (const { address, client } of this.#clients) {
      try {
        while (await this.#follow(client));
        return;
      } catch (error) {
        if (!this.#stopped) this.#options.onProblem(address, error);
      }
    }
  }

  /** Whether there may be more. Throws for a token that does not verify, and keeps what was verified before it. */
  async #follow(client: Client): Promise<boolean> {
    const request = { after_generation: this.#verified?.state.generation ?? 0 };
    const { tokens = [] } = await unary(client, DomainManager.service.FetchTokens, request, FETCH_TIMEOUT_MS);
    const { anchor, floor } = this.#options;
    for (const bytes of tokens) {
      const verified = follow(anchor, this.#verified, parseToken(bytes));
      assertComesBy(floor.lowest, verified);
      assertNotFromFuture(verified, systemClock.now());
      await floor.raise(verified);
      this.#verified = verified;
      this.#newer = this.#newer.filter(({ generation }) => generation > verified.state.generation);
    }
    return tokens.length > 0;
  }
}

function clientOf(address: string): Client {
  return new DomainManager(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
}
