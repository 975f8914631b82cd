import { type ClientDuplexStream, status } from '@grpc/grpc-js';
import { randomBytes, sign } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import {
  decodeReplies,
  encodeRequests,
  FrameOpener,
  frameSized,
  FrameSealer,
  type ReplyEntry,
  type RequestEntry,
  type RequestFrame,
} from '@keyfleet/shared/hsm/frame';
import { signedCommands, StreamAccept, type StreamKeys, streamKeys, StreamOpen } from '@keyfleet/shared/hsm/session';
import { PendingWork } from './pending-work.ts';
import type { HostSession } from './session.ts';
import type { Work } from './work.ts';

/** The Execute call, with the field types of our own .proto. */
export type FrameStream = ClientDuplexStream<{ body: Uint8Array }, { body?: Uint8Array }>;

export interface ChannelEvents {
  onReply(channel: Channel, work: Work, reply: ReplyEntry): void;
  /** The stream is over, whoever ended it; `unanswered` may have been executed or not. */
  onClosed(channel: Channel, unanswered: readonly Work[]): void;
}

export interface ChannelOptions {
  readonly session: HostSession;
  /** Whether the verified domain state has a member of this id. */
  readonly isMember: (memberId: string) => boolean;
  readonly clock: Clock;
  readonly events: ChannelEvents;
}

/** The worker did not accept the session: another is needed. */
export class SessionNotAcceptedError extends Error {
  override name = 'SessionNotAcceptedError';
}

const OPEN_TIMEOUT_MS = 2000;
const MAX_REMAINING_MS = 2 ** 31;
/** A worker that owes answers and is silent for this long is asked whether it is there, ... */
const PING_AFTER_MS = 500;
/** ... and given up when it says nothing for this long: a frozen process keeps its connection open. */
const DEAD_AFTER_MS = 1000;

/** Opens a channel on a fresh Execute call. Throws `SessionNotAcceptedError`, or what the call failed with. */
export async function openChannel(stream: FrameStream, options: ChannelOptions): Promise<Channel> {
  try {
    return await firstAnswer(stream, options);
  } catch (error) {
    stream.cancel();
    if ((error as { code?: unknown }).code === status.UNAUTHENTICATED) {
      throw new SessionNotAcceptedError('the worker did not accept the session', { cause: error });
    }
    throw error;
  }
}

function firstAnswer(stream: FrameStream, options: ChannelOptions): Promise<Channel> {
  const open = StreamOpen.encode({ sessionToken: options.session.sessionToken, nonce: randomBytes(32) });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the worker did not open the stream in time')), OPEN_TIMEOUT_MS);
    // Listens for ever: without an error listener a stream that is cancelled would end the process.
    stream.on('error', reject).on('end', () => reject(new Error('the worker ended the stream')));
    stream.once('data', ({ body }) => {
      clearTimeout(timer);
      try {
        // At once, so that the channel hears everything that follows.
        resolve(channelOf(stream, { open, accept: body ?? new Uint8Array() }, options));
      } catch (error) {
        reject(error as Error);
      }
    });
    stream.write({ body: open });
  });
}

function channelOf(stream: FrameStream, messages: { open: Uint8Array; accept: Uint8Array }, options: ChannelOptions) {
  const { open, accept } = messages;
  const { memberId } = StreamAccept.decode(accept);
  if (!options.isMember(memberId)) throw new Error('not a member of the domain');
  return new Channel(stream, { memberId, keys: streamKeys(options.session.sessionKey, open, accept) }, options);
}

/** One stream of sealed frames to one worker. All commands of an event-loop turn travel in one frame. */
export class Channel {
  readonly session: HostSession;
  readonly memberId: string;
  readonly #stream: FrameStream;
  readonly #streamId: Uint8Array;
  readonly #sealer: FrameSealer;
  readonly #opener: FrameOpener;
  readonly #clock: Clock;
  readonly #events: ChannelEvents;
  #pending = new PendingWork();
  #queue: Work[] = [];
  #scheduled = false;
  #blocked = false;
  #draining = false;
  #closed = false;
  #heardAt: number;
  #pingedAt: number | undefined;

  constructor(
    stream: FrameStream,
    { memberId, keys }: { memberId: string; keys: StreamKeys },
    options: ChannelOptions,
  ) {
    this.session = options.session;
    this.memberId = memberId;
    this.#stream = stream;
    this.#streamId = keys.streamId;
    this.#sealer = new FrameSealer(keys.hostToMember);
    this.#opener = new FrameOpener(keys.memberToHost);
    this.#clock = options.clock;
    this.#events = options.events;
    this.#heardAt = options.clock.now();
    stream.on('data', ({ body }: { body?: Uint8Array }) => this.#receive(body ?? new Uint8Array()));
    stream.on('drain', () => this.#unblock());
    stream.on('error', () => this.close());
    stream.on('end', () => this.close());
  }

  get closed(): boolean {
    return this.#closed;
  }
  /** Commands that the worker owes an answer to. */
  get outstanding(): number {
    return this.#pending.size + this.#queue.length;
  }
  /** How many others one more command would share this turn's frame with. */
  get gathered(): number {
    return this.#blocked || this.#draining ? 0 : this.#queue.length;
  }

  send(work: Work): void {
    this.#queue.push(work);
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    // The turn that is reading requests or answers now ends first: whatever else it brings goes into the same frame.
    setImmediate(() => this.#flush());
  }

  /** Takes no more commands and ends when the last answer is there. */
  drain(): void {
    this.#draining = true;
    this.#endIfDrained();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.cancel();
    const unanswered = [...this.#pending, ...this.#queue].filter((work) => !work.settled);
    this.#pending = new PendingWork();
    this.#queue = [];
    this.#events.onClosed(this, unanswered);
  }

  /** Called every few milliseconds: forgets settled commands, calls `onExpired` for late ones, gives up a silent worker. */
  sweep(now: number, onExpired: (work: Work) => void): void {
    for (const work of this.#pending) if (work.deadline <= now) onExpired(work);
    this.#pending.forgetSettled();
    for (const work of this.#queue) if (work.deadline <= now) onExpired(work);
    this.#queue = this.#queue.filter((work) => !work.settled);
    this.#endIfDrained();
    if (this.#pending.size > 0) this.#watch(now);
  }

  #watch(now: number): void {
    if (this.#pingedAt !== undefined) {
      if (now - this.#pingedAt > DEAD_AFTER_MS) this.close();
    } else if (now - this.#heardAt > PING_AFTER_MS) {
      this.#pingedAt = now;
      this.#write([]);
    }
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    const now = this.#clock.now();
    if (this.#pending.size === 0) this.#heardAt = now;
    const batch = this.#queue;
    this.#queue = [];
    for (const frame of frameSized(batch, ({ input }) => input)) {
      const entries: RequestEntry[] = [];
      for (const work of frame) if (!work.settled) entries.push(this.#entryOf(work, now));
      if (entries.length > 0) this.#write(entries);
    }
  }

  #entryOf(work: Work, now: number): RequestEntry {
    const id = this.#pending.add(work);
    const { command, input, trace, deadline } = work;
    const remainingMs = Math.min(MAX_REMAINING_MS, Math.max(0, deadline - now));
    return { id, code: command.code, remainingMs, signed: command.signed, trace, input };
  }

  #write(entries: readonly RequestEntry[]): void {
    // A full buffer holds the next batch back, not this one: its commands are bounded by the pool.
    this.#blocked = !this.#stream.write({ body: this.#sealer.seal(encodeRequests(this.#signed(entries))) });
  }

  /** One signature covers all commands of the frame that need one: it costs far more than a command. */
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
    if (this.#closed) return;
    let replies: ReplyEntry[];
    try {
      replies = decodeReplies(this.#opener.open(frame));
    } catch {
      return this.close();
    }
    this.#heardAt = this.#clock.now();
    this.#pingedAt = undefined;
    for (const reply of replies) {
      const work = this.#pending.take(reply.id);
      // Nobody waits any more for one that the sweep forgot.
      if (work !== undefined && !work.settled) this.#events.onReply(this, work, reply);
    }
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.#draining && this.outstanding === 0 && !this.#closed) this.close();
  }
}
