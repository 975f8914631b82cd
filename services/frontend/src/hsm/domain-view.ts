import { type Client, credentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { systemClock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import type { DomainState, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Notices } from '@keyfleet/shared/notices';

const FETCH_TIMEOUT_MS = 5000;
const POLL_MS = 3000;
/** Until the first token is there nothing works at all, so it is looked for more often. */
const FIRST_POLL_MS = 200;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface DomainViewOptions {
  readonly anchor: TrustAnchor;
  readonly domainManagers: readonly string[];
  readonly notices: Pick<Notices, 'subscribe'>;
  /** A domain-manager was not reached, or showed a token that does not verify. The view stays as it was. */
  readonly onProblem: (address: string, error: unknown) => void;
}

/** This frontend's own verified copy of the public domain state: the chain of tokens from the trust anchor, followed as it grows. */
export class DomainView implements AsyncDisposable {
  readonly #options: DomainViewOptions;
  readonly #clients: readonly { readonly address: string; readonly client: Client }[];
  #verified: VerifiedDomain | undefined;
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

  /** The newest state that was verified, and its token's hash. Undefined until the founding token was seen. */
  get verified(): VerifiedDomain | undefined {
    return this.#verified;
  }

  get state(): DomainState | undefined {
    return this.#verified?.state;
  }

  /** Looks now; asked while looking, once more afterwards. */
  look(): void {
    if (this.#stopped) return;
    this.#again = this.#looking !== undefined;
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#again) this.look();
      else if (!this.#stopped) this.#timer = setTimeout(() => this.look(), this.state ? POLL_MS : FIRST_POLL_MS);
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
    const request = { after_generation: this.state?.generation ?? 0 };
    const { tokens = [] } = await unary(client, DomainManager.service.FetchTokens, request, FETCH_TIMEOUT_MS);
    for (const bytes of tokens) {
      const token = parseToken(bytes);
      const previous = this.#verified;
      const verified =
        previous === undefined ? verifyGenesis(this.#options.anchor, token) : verifyNext(previous, token);
      assertNotFromFuture(verified, systemClock.now());
      this.#verified = verified;
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
