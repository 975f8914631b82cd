import type { Clock } from '@keyfleet/shared/clock';
import type { Command, Refusal } from '@keyfleet/shared/hsm/commands';
import { MAX_INPUT_BYTES, type ReplyEntry } from '@keyfleet/shared/hsm/frame';
import type { Channel } from './channel.ts';
import { HsmRefusedError, HsmUnavailableError } from './commands.ts';
import type { KnownDomain } from './known-domain.ts';
import { SessionKeeper } from './session-keeper.ts';
import type { HostIdentity } from './session.ts';
import { type Answer, Work } from './work.ts';
import { type WorkerClient, WorkerLink } from './worker-link.ts';

export interface WorkerPoolOptions {
  readonly workers: readonly WorkerClient[];
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  /** Commands at once; above it callers are throttled. */
  readonly maxInFlight: number;
  /** A worker could not be reached or did not verify; it is tried again. */
  readonly onProblem: (address: string, error: unknown) => void;
}

const SWEEP_MS = 25;
/** So many commands keep a worker busy for longer than a frame of their own costs either side. */
const FRAME_FILL = 32;
/** A command that was under way in so many channels that ended may be what ends them. */
const MAX_LOSSES = 3;
/** Another worker may well do it; these say nothing about the command itself. */
const retryable: ReadonlySet<Refusal> = new Set(['unknown-domain-key', 'overloaded', 'no-domain']);

/** All workers of the domain as one: the less busy of two takes a command, and another finishes what a dead one left. */
export class WorkerPool implements AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  readonly #links: readonly WorkerLink[];
  readonly #timer: NodeJS.Timeout;
  readonly #ready: Channel[] = [];
  #waiting: Work[] = [];
  /** Where the last command went. */
  #last: Channel | undefined;
  #inFlight = 0;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    const { host, domain, clock, onProblem } = options;
    const sessions = new SessionKeeper({
      host,
      domain,
      clock,
      isServed: (session) => this.#ready.some((channel) => channel.session === session),
    });
    const events = {
      onReply: (channel: Channel, work: Work, reply: ReplyEntry) => this.#onReply(channel, work, reply),
      onClosed: (channel: Channel, unanswered: readonly Work[]) => this.#onClosed(channel, unanswered),
      onReady: (channel: Channel) => this.#onReady(channel),
      onProblem,
    };
    this.#links = options.workers.map((worker) => new WorkerLink({ worker, sessions, domain, clock, events }));
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** Workers that take commands now. */
  get ready(): number {
    return this.#ready.length;
  }
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Rejects with `HsmUnavailableError`, `nobody-else` when only members of `notBy` are there, and `HsmRefusedError`. `deadline`: milliseconds since the epoch.
   */
  run(command: Command, input: Uint8Array, deadline: number, notBy?: ReadonlySet<string>): Promise<Answer> {
    if (this.#inFlight >= this.#options.maxInFlight) return Promise.reject(new HsmUnavailableError('overloaded'));
    if (input.length > MAX_INPUT_BYTES) return Promise.reject(new HsmUnavailableError('too-large'));
    if (this.#closed || deadline <= this.#options.clock.now())
      return Promise.reject(new HsmUnavailableError('timed-out'));
    const work = new Work(command, input, deadline, notBy);
    this.#inFlight++;
    this.#dispatch(work);
    return work.answer;
  }

  /** Resolves when each worker of now has answered, refused, ended or let the deadline pass. */
  async runEverywhere(command: Command, input: Uint8Array, deadline: number): Promise<void> {
    const answers = this.#ready.map((channel) => {
      const work = new Work(command, input, deadline);
      work.pinned = true;
      this.#inFlight++;
      channel.send(work);
      return work.answer;
    });
    await Promise.allSettled(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all(this.#links.map((link) => link.close()));
    for (const work of this.#waiting) this.#fail(work, new HsmUnavailableError('timed-out'));
  }

  #dispatch(work: Work): void {
    const channel = this.#channelFor(work);
    if (channel !== undefined) channel.send(work);
    else if (this.#ready.length === 0) this.#waiting.push(work);
    else this.#fail(work, new HsmUnavailableError('nobody-else'));
  }

  /** Commands of one turn go to one worker, so that they share a frame, until a frame for another is worth what it costs. */
  #channelFor(work: Work): Channel | undefined {
    const { gathered = 0 } = this.#last ?? {};
    const isGathering = gathered > 0 && gathered < FRAME_FILL;
    const last = isGathering ? this.#last : undefined;
    if (last === undefined || last === work.avoid || !work.mayGoTo(last)) this.#last = this.#pick(work);
    return this.#last;
  }

  /** The less busy of two random channels: as good as the least busy of all, and no herd runs to one (Mitzenmacher 2001). */
  #pick(work: Work): Channel | undefined {
    const { avoid, notBy } = work;
    const ready = notBy === undefined ? this.#ready : this.#ready.filter((channel) => work.mayGoTo(channel));
    const first = ready[Math.floor(Math.random() * ready.length)];
    if (first === undefined || ready.length === 1) return first;
    const step = 1 + Math.floor(Math.random() * (ready.length - 1));
    const second = ready[(ready.indexOf(first) + step) % ready.length]!;
    if (first === avoid) return second;
    return second === avoid || first.outstanding <= second.outstanding ? first : second;
  }

  #onReady(channel: Channel): void {
    this.#ready.push(channel);
    this.#releaseWaiting();
  }

  #onClosed(channel: Channel, unanswered: readonly Work[]): void {
    this.#remove(channel);
    for (const work of unanswered) {
      // A command may thus run twice. All are safe so: a second backing key, for one, is a sealed token that nobody keeps.
      if (channel.broken) work.losses++;
      work.avoid = undefined;
      if (this.#closed || work.pinned || work.losses >= MAX_LOSSES)
        this.#fail(work, new HsmUnavailableError('timed-out'));
      else if (work.losses <= 1) this.#dispatch(work);
      // Several broke: the next sweep knows which are left.
      else this.#waiting.push(work);
    }
  }

  #onReply(channel: Channel, work: Work, { refusal, output }: ReplyEntry): void {
    if (refusal === undefined) {
      this.#inFlight--;
      return work.succeed({ output, memberId: channel.memberId });
    }
    if (work.pinned || !retryable.has(refusal))
      return this.#fail(
        work,
        refusal === 'expired' ? new HsmUnavailableError('timed-out') : new HsmRefusedError(refusal, channel.memberId),
      );
    const isFirst = work.refusal === undefined;
    work.refusal = refusal;
    work.avoid = channel;
    // One other worker is asked at once; after that it waits for the next sweep, so that refusals do not go round and round.
    if (isFirst && this.#ready.length > 1) this.#dispatch(work);
    else this.#waiting.push(work);
  }

  #fail(work: Work, error: Error): void {
    if (work.settled) return;
    this.#inFlight--;
    work.fail(error);
  }

  #remove(channel: Channel): void {
    const index = this.#ready.indexOf(channel);
    if (index >= 0) this.#ready.splice(index, 1);
  }

  /** One timer for all deadlines. */
  #sweep(): void {
    const now = this.#options.clock.now();
    const onExpired = (work: Work): void => this.#expire(work);
    for (const link of this.#links) link.sweep(now, onExpired);
    for (const work of this.#waiting) if (work.deadline <= now) this.#expire(work);
    this.#releaseWaiting();
  }

  #expire(work: Work): void {
    this.#fail(
      work,
      work.refusal === 'overloaded' ? new HsmUnavailableError('overloaded') : new HsmUnavailableError('timed-out'),
    );
  }

  #releaseWaiting(): void {
    if (this.#ready.length === 0 || this.#waiting.length === 0) {
      this.#waiting = this.#waiting.filter((work) => !work.settled);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) if (!work.settled) this.#dispatch(work);
  }
}
