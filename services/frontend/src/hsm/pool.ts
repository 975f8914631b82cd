import type { Clock } from '@keyfleet/shared/clock';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type CommandName, commands, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Command } from '@keyfleet/shared/hsm/define-command';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { MAX_INPUT_BYTES, type ReplyEntry } from '@keyfleet/shared/hsm/frame';
import { type Protocols, protocols as ownProtocols } from '@keyfleet/shared/hsm/protocol';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import { ClusterHolders, type ClusterNames, nameOfCluster } from './cluster-holders.ts';
import type { Channel } from './channel.ts';
import { HsmRefusedError, HsmUnavailableError, type MemberAnswer, type MemberCommands } from './commands.ts';
import type { KnownDomain } from './known-domain.ts';
import { SessionKeeper } from './session-keeper.ts';
import type { HostIdentity } from './negotiation.ts';
import { type Answer, CommandRun } from './command-run.ts';
import { type WorkerClient, WorkerLink } from './worker-link.ts';

export interface WorkerPoolOptions {
  readonly workers: readonly WorkerClient[];
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
  /** Defaults to this release's. */
  readonly protocols?: Protocols;
  /** The most commands at once; beyond this, callers are throttled. */
  readonly maxInFlight: number;
  /** A worker could not be reached or did not verify; it is retried. */
  readonly onProblem: (address: string, error: unknown) => void;
}

const SWEEP_MS = 25;
/** This many commands keep a worker busy for longer than a separate frame costs either side. */
const FRAME_FILL = 32;
/** A command that was under way in this many channels that ended may be what ends them. */
const MAX_LOSSES = 3;
/**
 * A command that workers are too busy for is tried so often, within 400 ms, and from then on every 400 ms until its
 * deadline, as a burst of slow signatures needs it. Only an eighth of the places may be taken by then: otherwise one
 * account whose queues in the workers are full would take all of them.
 */
const MAX_OVERLOADS = 5;
const PATIENT_PART = 1 / 8;
/** Another worker may well run it; these refusals say nothing about the command itself. */
const retryable: ReadonlySet<Refusal> = new Set(['unknown-domain-key', 'overloaded', 'no-domain']);
/** These refusals say what a worker lacks, now or always; each of the other workers is asked once. */
const askedElsewhere: ReadonlySet<Refusal> = new Set(['no-cluster', 'cluster-away', 'cluster-sessions']);

/**
 * All workers of the domain as one. The less busy of two takes a command, and another finishes what a dead one left.
 */
export class WorkerPool implements MemberCommands, AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  readonly #links: readonly WorkerLink[];
  readonly #timer: NodeJS.Timeout;
  readonly #ready: Channel[] = [];
  /** Told when a channel is ready. */
  readonly #expecting = new Set<(isReady: true) => void>();
  #waiting: CommandRun[] = [];
  /** Where the previous command went. */
  #last: Channel | undefined;
  readonly #meter = operationMeter('keyfleet.hsm.commands');
  readonly #clusters = new ClusterHolders();
  #inFlight = 0;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    const { host, domain, clock, protocols = ownProtocols, onProblem } = options;
    const events = {
      onReply: (channel: Channel, run: CommandRun, reply: ReplyEntry) => this.#onReply(channel, run, reply),
      onClosed: (channel: Channel, unanswered: readonly CommandRun[]) => this.#onClosed(channel, unanswered),
      onReady: (channel: Channel, replaced: Channel | undefined) => this.#onReady(channel, replaced),
      onProblem,
    };
    this.#links = options.workers.map((worker) => {
      const sessions = new SessionKeeper({ host, domain, clock, negotiate: worker.negotiate });
      return new WorkerLink({ worker, sessions, domain, clock, protocols, events });
    });
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** How many workers take commands now. */
  get ready(): number {
    return this.#ready.length;
  }
  get inFlight(): number {
    return this.#inFlight;
  }

  async execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    return (await this.executeByMember(name, input, deadline)).output;
  }

  executeByMember<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>> {
    return inSpan('hsm command', { 'keyfleet.command': name }, async () => {
      const startedAt = performance.now();
      try {
        const command: Command = commands[name];
        const cluster = 'clusterId' in input ? nameOfCluster(input as ClusterNames) : undefined;
        const without = cluster === undefined ? notBy : this.#clusters.notBy(cluster, notBy);
        const run = new CommandRun(command, command.input.encode(input), deadline, without);
        run.cluster = cluster;
        const answer = await this.#run(run);
        const output = outputOf(name, answer);
        this.#meter.record(name, 'ok', startedAt);
        return { output, memberId: answer.memberId };
      } catch (error) {
        this.#meter.record(name, error instanceof HsmRefusedError ? error.refusal : 'unavailable', startedAt);
        throw error;
      }
    });
  }

  connects(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, ms, false);
    this.#expecting.add(resolve);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#expecting.delete(resolve);
    });
  }

  /** Resolves when every connected worker has replied, refused, disconnected or timed out. */
  async executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    const command: Command = commands[name];
    const answers = this.#ready.map((channel) => {
      const run = new CommandRun(command, command.input.encode(input), deadline);
      run.pinned = true;
      this.#inFlight++;
      channel.send(run);
      return run.answer;
    });
    await Promise.allSettled(answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all(this.#links.map((link) => link.close()));
    for (const run of this.#waiting) this.#fail(run, new HsmUnavailableError('timed-out'));
  }

  #run(run: CommandRun): Promise<Answer> {
    if (this.#inFlight >= this.#options.maxInFlight) return Promise.reject(new HsmUnavailableError('overloaded'));
    if (run.input.length > MAX_INPUT_BYTES) return Promise.reject(new HsmUnavailableError('too-large'));
    if (this.#closed || run.deadline <= this.#options.clock.now()) {
      return Promise.reject(new HsmUnavailableError('timed-out'));
    }
    if (run.cluster !== undefined && run.notBy !== undefined) run.elsewhere = new HsmRefusedError('no-cluster');
    this.#inFlight++;
    this.#dispatch(run);
    return run.answer;
  }

  #dispatch(run: CommandRun): void {
    const channel = this.#channelFor(run);
    if (channel !== undefined) channel.send(run);
    else if (this.#ready.length === 0) this.#waiting.push(run);
    else this.#fail(run, this.#refusalByAll(run) ?? new HsmUnavailableError('nobody-else'));
  }

  /** That no worker has a cluster is known only when all of them were asked. */
  #refusalByAll({ elsewhere }: CommandRun): HsmRefusedError | undefined {
    const isUnknown = elsewhere?.refusal === 'no-cluster' && this.#ready.length < this.#links.length;
    return isUnknown ? new HsmRefusedError('cluster-away') : elsewhere;
  }

  /**
   * Commands of one turn go to the same worker to share a frame, until a frame for another worker is worth its cost.
   */
  #channelFor(run: CommandRun): Channel | undefined {
    const { gathered = 0 } = this.#last ?? {};
    const isGathering = gathered > 0 && gathered < FRAME_FILL;
    const last = isGathering ? this.#last : undefined;
    if (last === undefined || last === run.avoid || !run.mayGoTo(last)) this.#last = this.#pick(run);
    return this.#last;
  }

  /**
   * The less busy of two random channels: as good as the least busy of all, without a herd rushing to one (Mitzenmacher
   * 2001).
   */
  #pick(run: CommandRun): Channel | undefined {
    const { avoid, notBy } = run;
    const ready = notBy === undefined ? this.#ready : this.#ready.filter((channel) => run.mayGoTo(channel));
    const first = ready[Math.floor(Math.random() * ready.length)];
    if (first === undefined || ready.length === 1) return first;
    const step = 1 + Math.floor(Math.random() * (ready.length - 1));
    const second = ready[(ready.indexOf(first) + step) % ready.length]!;
    if (first === avoid) return second;
    return second === avoid || first.outstanding <= second.outstanding ? first : second;
  }

  #onReady(channel: Channel, replaced: Channel | undefined): void {
    // It may have restarted with another configuration.
    this.#clusters.forget(channel.memberId);
    if (replaced !== undefined) this.#remove(replaced);
    this.#ready.push(channel);
    for (const hear of this.#expecting) hear(true);
    this.#releaseWaiting();
  }

  #onClosed(channel: Channel, unanswered: readonly CommandRun[]): void {
    this.#remove(channel);
    for (const run of unanswered) {
      // A command may thus run twice. That is safe for all of them: a second backing key, for example, is a sealed
      // token that is never stored, and of two keys that a cluster has under one label both decrypt.
      if (channel.broken) run.losses++;
      run.avoid = undefined;
      if (this.#closed || run.pinned || run.losses >= MAX_LOSSES) this.#fail(run, new HsmUnavailableError('timed-out'));
      else if (run.losses <= 1) this.#dispatch(run);
      // Several channels broke; the next sweep knows which are left.
      else this.#waiting.push(run);
    }
  }

  #onReply(channel: Channel, run: CommandRun, { refusal, output }: ReplyEntry): void {
    if (refusal === undefined) {
      this.#inFlight--;
      return run.succeed({ output, memberId: channel.memberId });
    }
    if (refusal === 'expired') return this.#expire(run);
    if (!run.pinned && askedElsewhere.has(refusal)) return this.#askElsewhere(channel, run, refusal);
    if (run.pinned || !retryable.has(refusal)) return this.#fail(run, new HsmRefusedError(refusal, channel.memberId));
    const isFirst = run.refusal === undefined;
    run.refusal = refusal;
    run.avoid = channel;
    if (refusal === 'overloaded' && this.#holdsBack(run)) return this.#expire(run);
    // Another worker is tried at once; after that the run waits for the next sweep, so that refusals do not circle.
    if (isFirst && this.#ready.length > 1) this.#dispatch(run);
    else this.#waiting.push(run);
  }

  /** Doubles the time until it is tried again, up to a limit; true if it was tried often enough. */
  #holdsBack(run: CommandRun): boolean {
    const { clock, maxInFlight } = this.#options;
    run.notBefore = clock.now() + SWEEP_MS * 2 ** Math.min(run.overloads, MAX_OVERLOADS - 1);
    return ++run.overloads >= MAX_OVERLOADS && this.#inFlight > maxInFlight * PATIENT_PART;
  }

  /** The last refusal is the answer, except that the lack of a cluster says less than any other refusal. */
  #askElsewhere({ memberId }: Channel, run: CommandRun, refusal: Refusal): void {
    run.notBy = new Set([...(run.notBy ?? []), memberId]);
    if (refusal !== 'no-cluster' || run.elsewhere === undefined) run.elsewhere = new HsmRefusedError(refusal, memberId);
    if (refusal === 'no-cluster' && run.cluster !== undefined) this.#clusters.lacks(run.cluster, memberId);
    this.#dispatch(run);
  }

  #fail(run: CommandRun, error: Error): void {
    if (run.settled) return;
    this.#inFlight--;
    run.fail(error);
  }

  #remove(channel: Channel): void {
    const index = this.#ready.indexOf(channel);
    if (index >= 0) this.#ready.splice(index, 1);
  }

  /** One timer for all deadlines. */
  #sweep(): void {
    const now = this.#options.clock.now();
    const onExpired = (run: CommandRun): void => this.#expire(run);
    for (const link of this.#links) link.sweep(now, onExpired);
    for (const run of this.#waiting) if (run.deadline <= now) this.#expire(run);
    this.#releaseWaiting();
  }

  #expire(run: CommandRun): void {
    this.#fail(run, new HsmUnavailableError(run.refusal === 'overloaded' ? 'overloaded' : 'timed-out'));
  }

  #releaseWaiting(): void {
    if (this.#ready.length === 0 || this.#waiting.length === 0) {
      this.#waiting = this.#waiting.filter((run) => !run.settled);
      return;
    }
    const waiting = this.#waiting.filter(({ settled }) => !settled);
    const now = this.#options.clock.now();
    this.#waiting = waiting.filter(({ notBefore }) => notBefore > now);
    for (const run of waiting) if (run.notBefore <= now) this.#dispatch(run);
  }
}

/** An output that does not fit the command counts as a refusal. */
function outputOf<N extends CommandName>(name: N, { output, memberId }: Answer): OutputOf<N> {
  try {
    return commands[name].output.decode(output) as OutputOf<N>;
  } catch (error) {
    throw error instanceof FormatError ? new HsmRefusedError('internal', memberId) : error;
  }
}
