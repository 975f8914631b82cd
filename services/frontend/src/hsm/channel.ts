import { sign } from 'node:crypto';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '@keyfleet/shared/clock';
import { type DomainState, isMember, type Member, onlineMembers } from '@keyfleet/shared/domain/state';
import {
  FrameOpener,
  FrameSealer,
  frameSized,
  type ReplyEntry,
  type RequestEntry,
  type RequestFrame,
} from '@keyfleet/shared/hsm/frame';
import { signedCommands } from '@keyfleet/shared/hsm/session';
import type { FrameLayout, Protocols } from '@keyfleet/shared/hsm/protocol';
import type { StreamKeys } from '@keyfleet/shared/hsm/stream-keys';
import { type CommandRun, UnansweredRuns } from './command-run.ts';
import type { KnownDomain } from './known-domain.ts';
import type { HostSession } from './negotiation.ts';

/** The Execute call, typed by our own .proto. */
export type FrameStream = ClientDuplexStream<{ body: Uint8Array }, { body?: Uint8Array }>;

/** What a member proved when it accepted a stream. */
export interface OpenedStream {
  readonly member: Member;
  readonly layout: FrameLayout;
  readonly keys: StreamKeys;
}

export interface ChannelEvents {
  onReply(channel: Channel, run: CommandRun, reply: ReplyEntry): void;
  /** The stream has ended, whoever ended it. The commands in `unanswered` may or may not have been executed. */
  onClosed(channel: Channel, unanswered: readonly CommandRun[]): void;
}

export interface ChannelOptions {
  readonly session: HostSession;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  readonly protocols: Protocols;
  readonly events: ChannelEvents;
}

const MAX_REMAINING_MS = 2 ** 31;
/** A worker that owes answers and has been silent this long is pinged, ... */
const PING_AFTER_MS = 500;
/** ... and given up after this long: a frozen process keeps its connection open. */
const DEAD_AFTER_MS = 1000;
/**
 * A channel with nothing to say writes an empty frame so often. A worker ends the most silent of a host's streams when
 * they are too many, and a hostile member can make them many, but write on none.
 */
const SILENT_MS = 1000;

/** One stream of sealed frames to one worker. All commands of one event-loop turn travel in one frame. */
export class Channel {
  readonly session: HostSession;
  /** The member that proved to be at the other end. */
  readonly #member: Member;
  readonly #domain: KnownDomain;
  readonly #stream: FrameStream;
  readonly #layout: FrameLayout;
  readonly #streamId: Uint8Array;
  readonly #sealer: FrameSealer;
  readonly #opener: FrameOpener;
  readonly #clock: Clock;
  readonly #events: ChannelEvents;
  #unanswered = new UnansweredRuns();
  #queue: CommandRun[] = [];
  #scheduled = false;
  #blocked = false;
  #draining = false;
  #closed = false;
  #broken = false;
  readonly #heard = Promise.withResolvers<void>();
  #isHeard = false;
  /** The newest domain state that includes the member. */
  #memberOf: DomainState | undefined;
  #heardAt: number;
  #pingedAt: number | undefined;
  #writtenAt = 0;

  constructor(stream: FrameStream, { member, layout, keys }: OpenedStream, options: ChannelOptions) {
    this.session = options.session;
    this.#member = member;
    this.#domain = options.domain;
    this.#stream = stream;
    this.#layout = layout;
    this.#streamId = keys.streamId;
    this.#sealer = new FrameSealer(keys.hostToMember);
    this.#opener = new FrameOpener(keys.memberToHost);
    this.#clock = options.clock;
    this.#events = options.events;
    this.#heardAt = options.clock.now();
    stream.on('data', ({ body }: { body?: Uint8Array }) => this.#receive(body ?? new Uint8Array()));
    stream.on('drain', () => this.#unblock());
    stream.on('error', () => this.#break());
    stream.on('end', () => this.close());
    // Proves that we have the keys. The message that opened the stream may be a replay, and a worker soon ends the
    // stream of a stranger.
    this.#write([]);
  }

  get memberId(): string {
    return this.#member.memberId;
  }
  get closed(): boolean {
    return this.#closed;
  }
  /** Whether it ended abnormally: a command under way may be the cause. */
  get broken(): boolean {
    return this.#broken;
  }
  /** Whether the member has shown that it has the keys of the stream: it answers the first frame, which is empty. */
  get isHeard(): boolean {
    return this.#isHeard;
  }
  /** When it has. Stays pending if the stream ends before. */
  get heard(): Promise<void> {
    return this.#heard.promise;
  }
  /** How many commands the worker has yet to answer. */
  get outstanding(): number {
    return this.#unanswered.size + this.#queue.length;
  }
  /** How many other commands would share this turn's frame with one more. */
  get gathered(): number {
    return this.#blocked || this.#draining ? 0 : this.#queue.length;
  }

  send(run: CommandRun): void {
    this.#queue.push(run);
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    // The current turn finishes first: whatever other requests or answers it reads go into the same frame.
    setImmediate(() => this.#flush());
  }

  /** Takes no more commands and ends after the last answer. */
  drain(): void {
    this.#draining = true;
    this.#endIfDrained();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.cancel();
    const unanswered = [...this.#unanswered, ...this.#queue].filter((run) => !run.settled);
    this.#unanswered = new UnansweredRuns();
    this.#queue = [];
    this.#events.onClosed(this, unanswered);
  }

  /** Ends if the member has left the domain or is offline by it, or the session has expired; `true` if it has ended. */
  closeIfOver(now: number): boolean {
    const state = this.#domain.verified?.state;
    if (state !== this.#memberOf) {
      if (state === undefined || !isMember({ members: onlineMembers(state.members) }, this.#member)) this.close();
      else this.#memberOf = state;
    }
    if (now >= this.session.expiresAt) this.close();
    return this.#closed;
  }

  /**
   * Called every few milliseconds: forgets settled commands, calls `onExpired` for late ones, and gives up a silent
   * worker.
   */
  sweep(now: number, onExpired: (run: CommandRun) => void): void {
    if (this.closeIfOver(now)) return;
    for (const run of this.#unanswered) if (run.deadline <= now) onExpired(run);
    this.#unanswered.forgetSettled();
    for (const run of this.#queue) if (run.deadline <= now) onExpired(run);
    this.#queue = this.#queue.filter((run) => !run.settled);
    this.#endIfDrained();
    if (this.#unanswered.size > 0) this.#watch(now);
    else if (!this.#closed && !this.#blocked && now - this.#writtenAt >= SILENT_MS) this.#write([]);
  }

  #break(): void {
    this.#broken = true;
    this.close();
  }

  #watch(now: number): void {
    if (this.#pingedAt !== undefined) {
      if (now - this.#pingedAt > DEAD_AFTER_MS) this.#break();
    } else if (now - this.#heardAt > PING_AFTER_MS) {
      this.#pingedAt = now;
      this.#write([]);
    }
  }

  #flush(): void {
    this.#scheduled = false;
    const now = this.#clock.now();
    if (this.closeIfOver(now)) return;
    if (this.#unanswered.size === 0) this.#heardAt = now;
    const batch = this.#queue;
    this.#queue = [];
    for (const frame of frameSized(batch, ({ input }) => input)) {
      const entries: RequestEntry[] = [];
      for (const run of frame) if (!run.settled) entries.push(this.#entryOf(run, now));
      if (entries.length > 0) this.#write(entries);
    }
  }

  #entryOf(run: CommandRun, now: number): RequestEntry {
    const id = this.#unanswered.add(run);
    const { command, input, trace, deadline } = run;
    const remainingMs = Math.min(MAX_REMAINING_MS, Math.max(0, deadline - now));
    return { id, code: command.code, remainingMs, signed: command.signed, trace, input };
  }

  #write(entries: readonly RequestEntry[]): void {
    this.#writtenAt = this.#clock.now();
    // A full buffer delays the next batch, not this one, whose commands the pool bounds.
    const plain = this.#layout.encodeRequests(this.#signed(entries));
    this.#blocked = !this.#stream.write({ body: this.#sealer.seal(plain) });
    plain.fill(0);
  }

  /** One signature covers all commands in the frame that need one: a signature costs far more than a command. */
  #signed(entries: readonly RequestEntry[]): RequestFrame {
    const commands = entries.filter(({ signed }) => signed);
    if (commands.length === 0) return { entries, signature: undefined };
    const { sessionId, delegatedKey } = this.session;
    const statement = signedCommands({ sessionId, streamId: this.#streamId }, commands);
    return { entries, signature: sign(null, statement, delegatedKey) };
  }

  #unblock(): void {
    this.#blocked = false;
    if (this.#queue.length > 0) this.#flush();
  }

  #receive(frame: Uint8Array): void {
    const now = this.#clock.now();
    if (this.closeIfOver(now)) return;
    let replies: ReplyEntry[];
    try {
      replies = this.#layout.decodeReplies(this.#opener.open(frame));
    } catch {
      return this.#break();
    }
    this.#heardAt = now;
    this.#isHeard = true;
    this.#heard.resolve();
    this.#pingedAt = undefined;
    for (const reply of replies) {
      const run = this.#unanswered.take(reply.id);
      // If the sweep has forgotten the run, nothing waits for its answer any more.
      if (run !== undefined && !run.settled) this.#events.onReply(this, run, reply);
    }
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.#draining && this.outstanding === 0 && !this.#closed) this.close();
  }
}
