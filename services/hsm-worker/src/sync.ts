import { setTimeout as delay } from 'node:timers/promises';
import { type Client, credentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import type { Notices } from '@keyfleet/shared/notices';
import type { WorkerEvents } from './events.ts';
import type { DomainMembership } from './membership.ts';

const FETCH_TIMEOUT_MS = 5000;
/** Between two looks: what asks for one may come from anyone who reaches the worker. */
const REST_MS = 100;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface TokenSyncOptions {
  readonly membership: DomainMembership;
  readonly domainManagers: readonly string[];
  readonly notices: Notices;
  readonly pollMs: number;
  readonly events: Pick<WorkerEvents, 'tokenRefused' | 'domainManagerUnreachable'>;
}

/**
 * Looks for domain tokens when a notice says so, when something was sealed under a key we lack, and every few seconds in any case.
 * What it finds is verified inside the boundary.
 */
export class TokenSync implements AsyncDisposable {
  readonly #options: TokenSyncOptions;
  readonly #clients: readonly { readonly address: string; readonly client: Client }[];
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #looking: Promise<void> | undefined;
  #again = false;
  #reported = '';

  constructor(options: TokenSyncOptions) {
    this.#options = options;
    this.#clients = options.domainManagers.map((address) => ({ address, client: clientOf(address) }));
    this.#timer = setInterval(() => this.look(), options.pollMs);
    options.notices.subscribe('domainToken', () => this.look());
    this.look();
  }

  /** Looks now; asked while looking, once more afterwards. */
  look(): void {
    if (this.#stop.signal.aborted) return;
    this.#again = this.#looking !== undefined;
    this.#looking ??= this.#lookAndRest().finally(() => {
      this.#looking = undefined;
      if (this.#again) this.look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#timer);
    for (const { client } of this.#clients) client.close();
    await this.#looking;
  }

  async #lookAndRest(): Promise<void> {
    await this.#look();
    await delay(REST_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  /** The first domain-manager that answers; all show the same chain. */
  async #look(): Promise<void> {
    for (const { address, client } of this.#clients) {
      try {
        while (await this.#fetchPage(client));
        this.#reported = '';
        return;
      } catch (error) {
        this.#report(address, error);
      }
    }
  }

  /** Whether there may be more. */
  async #fetchPage(client: Client): Promise<boolean> {
    const { membership, events } = this.#options;
    const { generation } = membership.describe();
    const request = { after_generation: generation };
    const { tokens } = await unary(client, DomainManager.service.FetchTokens, request, FETCH_TIMEOUT_MS);
    if (tokens === undefined || tokens.length === 0) return false;
    try {
      const after = await membership.install(tokens);
      return after.generation > generation;
    } catch (error) {
      if (String(error) !== this.#reported) events.tokenRefused(error);
      this.#reported = String(error);
      return false;
    }
  }

  /** Every few seconds the same line would hide all others. */
  #report(address: string, error: unknown): void {
    const line = `${address} ${String(error)}`;
    if (this.#stop.signal.aborted || this.#reported === line) return;
    this.#reported = line;
    this.#options.events.domainManagerUnreachable(address, error);
  }
}

function clientOf(address: string): Client {
  return new DomainManager(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
}
