import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import type { Protocols } from '@keyfleet/shared/hsm/protocol';
import type { Channel, ChannelEvents, FrameStream } from './channel.ts';
import type { CommandRun } from './command-run.ts';
import type { KnownDomain } from './known-domain.ts';
import { openChannel, SessionNotAcceptedError } from './open-channel.ts';
import type { Negotiate, SessionKeeper } from './session-keeper.ts';

/** How to reach one worker. */
export interface WorkerClient {
  readonly address: string;
  readonly negotiate: Negotiate;
  execute(): FrameStream;
  close(): void;
}

export interface WorkerLinkOptions {
  readonly worker: WorkerClient;
  readonly sessions: SessionKeeper;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  readonly protocols: Protocols;
  readonly events: ChannelEvents & {
    /** `replaced` gets no more commands. */
    onReady(channel: Channel, replaced: Channel | undefined): void;
    onProblem(address: string, error: unknown): void;
  };
}

const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 2000;
/** After a channel that ended sooner the next one is not opened at once. A removal may end one that is seconds old. */
const SOON_MS = LAST_BACKOFF_MS;
/** How long after a member was asked for proof of a new domain token it is asked again, or half the token's age. */
const PROOF_AGAIN_MS = 500;
const ENDED_SOON = 'the channel ended soon after it was opened';

/** Keeps one channel to one worker: reopens it when it ends, and under a new session when the old one is half over. */
export class WorkerLink {
  readonly #options: WorkerLinkOptions;
  readonly #stop = new AbortController();
  readonly #draining = new Set<Channel>();
  #channel: Channel | undefined;
  #opening: FrameStream | undefined;
  #connecting: Promise<void> | undefined;
  #usedSince = 0;
  /** Attempts in a row that came to nothing: no channel, or one that ended soon. */
  #failures = 0;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#connect();
  }

  sweep(now: number, onExpired: (run: CommandRun) => void): void {
    this.#channel?.sweep(now, onExpired);
    for (const channel of this.#draining) channel.sweep(now, onExpired);
    if (this.#channel === undefined || this.#channel.session !== this.#options.sessions.fresh || this.#owesProof(now)) {
      this.#connect();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const channel of this.#draining) channel.close();
    this.#channel?.close();
    this.#opening?.cancel();
    this.#options.worker.close();
    await this.#connecting;
  }

  /** A member proves which domain token it has when it accepts a stream. */
  #owesProof(now: number): boolean {
    const { unprovenMs } = this.#options.domain;
    if (unprovenMs === undefined) return false;
    return now - this.#usedSince > Math.min(unprovenMs, Math.max(PROOF_AGAIN_MS, unprovenMs / 2));
  }

  #connect(): void {
    if (this.#stop.signal.aborted || this.#connecting !== undefined) return;
    // What failed before it counts no more: after a removal the next one is needed at once.
    if (this.#channel !== undefined && this.#hasLasted()) this.#failures = 0;
    this.#connecting = this.#connectUntilDone().finally(() => (this.#connecting = undefined));
  }

  async #connectUntilDone(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (this.#failures > 0) await this.#backOff();
      if (this.#stop.signal.aborted) return;
      try {
        const channel = await this.#open();
        if (!channel.closed) return this.#use(channel);
        this.#failed(new Error(ENDED_SOON));
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** Of the channel in use, or the last one. */
  #hasLasted(): boolean {
    return this.#options.clock.now() - this.#usedSince >= SOON_MS;
  }

  #failed(error: unknown): void {
    this.#failures++;
    if (!this.#stop.signal.aborted) this.#options.events.onProblem(this.#options.worker.address, error);
  }

  /** Full jitter, so that not all frontends meet a returning worker at once. */
  async #backOff(): Promise<void> {
    const backoff = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#failures - 1)) * Math.random();
    await delay(backoff, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  async #open(): Promise<Channel> {
    const { worker, sessions, domain, clock, protocols, events } = this.#options;
    const session = await sessions.get();
    const onClosed: ChannelEvents['onClosed'] = (channel, unanswered) => {
      // `openChannel` says so.
      if (!channel.isHeard) return;
      this.#draining.delete(channel);
      const wasCurrent = this.#channel === channel;
      if (wasCurrent) this.#channel = undefined;
      events.onClosed(channel, unanswered);
      if (!wasCurrent) return;
      if (this.#hasLasted()) this.#failures = 0;
      else this.#failed(new Error(ENDED_SOON));
      this.#connect();
    };
    try {
      this.#opening = worker.execute();
      return await openChannel(this.#opening, { session, domain, clock, protocols, events: { ...events, onClosed } });
    } catch (error) {
      if (error instanceof SessionNotAcceptedError) sessions.refused(session);
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  #use(channel: Channel): void {
    const old = this.#channel;
    this.#channel = channel;
    this.#usedSince = this.#options.clock.now();
    if (this.#stop.signal.aborted) return channel.close();
    this.#options.events.onReady(channel, old);
    if (old === undefined) return;
    this.#draining.add(old);
    old.drain();
  }
}
