import type { Clock } from '@keyfleet/shared/clock';
import { type CommandName, commands } from '@keyfleet/shared/hsm/commands';
import type { Command } from '@keyfleet/shared/hsm/define-command';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import type { RequestEntry, TraceParent } from '@keyfleet/shared/hsm/frame';
import type { Caller } from './caller.ts';
import type { CommandContext, CommandHandler } from './commands/command.ts';
import { RefusedError } from './errors.ts';
import { InFlight } from './host-load.ts';

export type CommandHandlers = { readonly [N in CommandName]: CommandHandler<N> };

/** The result of a command: its encoded output, which the code that seals it overwrites, or why it was refused. */
export type Outcome = Uint8Array | Refusal;

/** A command with its types erased, as the dispatcher runs it: decode, handle, encode. */
interface Runnable {
  readonly name: CommandName;
  readonly signed: boolean;
  run(input: Uint8Array, context: CommandContext, caller: Caller): Outcome | Promise<Outcome>;
}

export interface DispatchDeps {
  readonly handlers: CommandHandlers;
  /** Undefined while the HSM belongs to no domain. */
  readonly context: () => CommandContext | undefined;
  readonly onUnknownDomainKey: () => void;
  /** A handler threw something other than a refusal: a bug. */
  readonly onFault: (command: CommandName, error: unknown) => void;
}

/**
 * Runs one command of a frame. `isSigned` checks the host's signature of the frame; it is called only where the
 * contract requires a signature.
 */
export class Dispatcher {
  readonly #deps: DispatchDeps;
  readonly #byCode = new Map<number, Runnable>();

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
    for (const name of Object.keys(commands) as CommandName[]) {
      this.#byCode.set(commands[name].code, this.#runnable(name));
    }
  }

  /** Returns a promise only for work that left the event loop. Never throws. */
  run(entry: RequestEntry, isSigned: () => boolean, caller: Caller): Outcome | Promise<Outcome> {
    const context = this.#deps.context();
    if (context === undefined) return 'no-domain';
    const command = this.#byCode.get(entry.code);
    if (command === undefined) return 'invalid-input';
    if (command.signed && !(entry.signed && isSigned())) return 'not-signed';
    return command.run(entry.input, context, caller);
  }

  #runnable<N extends CommandName>(name: N): Runnable {
    const contract: Command = commands[name];
    const handler = this.#deps.handlers[name] as (input: unknown, context: CommandContext, caller: Caller) => unknown;
    const encode = (output: unknown): Uint8Array => {
      const fields = output as Record<string, unknown>;
      try {
        return contract.output.encode(fields);
      } finally {
        // The encoding now holds what the caller gets.
        for (const secret of contract.secretOutputs) (fields[secret] as Uint8Array | undefined)?.fill(0);
      }
    };
    const refuse = (error: unknown): Refusal => this.#refusalOf(name, error);
    return {
      name,
      signed: contract.signed,
      run(bytes, context, caller) {
        let input: unknown;
        try {
          input = contract.input.decode(bytes);
        } catch {
          return 'invalid-input';
        }
        try {
          const output = handler(input, context, caller);
          return output instanceof Promise ? output.then(encode).catch(refuse) : encode(output);
        } catch (error) {
          return refuse(error);
        }
      },
    };
  }

  #refusalOf(name: CommandName, error: unknown): Refusal {
    if (!(error instanceof RefusedError)) {
      this.#deps.onFault(name, error);
      return 'internal';
    }
    if (error.refusal === 'unknown-domain-key') this.#deps.onUnknownDomainKey();
    return error.refusal;
  }
}

/** The longest synchronous work between two turns of the event loop (the last command may exceed it). */
const SLICE_MS = 8;

/** For a command whose session is over: its host retries on another member or a new session. */
export const SESSION_OVER: Refusal = 'overloaded';

/** Where a command came from and where its outcome goes. */
export interface CommandSource {
  /** Sources of one host have the same. */
  readonly host: unknown;
  readonly closed: boolean;
  /** Whether its session may still be used. */
  readonly valid: boolean;
  /** Keeps the outcome for the next `flush`. */
  settle(id: number, outcome: Outcome): void;
  /** Sends everything settled since the last flush, in one frame. */
  flush(): void;
}

/** The commands of one frame. */
export interface CommandBatch {
  readonly source: CommandSource;
  readonly entries: readonly RequestEntry[];
  /** The length of the frame. */
  readonly bytes: number;
  /** Whether the host's signature of the frame verifies. Called only for commands that need it. */
  readonly isSigned: () => boolean;
  /** Called when every command has its outcome: the frame is no longer needed. */
  readonly onDone: () => void;
}

/** Receives the result of each command, but sees neither input nor output. */
export interface CommandObserver {
  /** `code`: the command's; `refusal`: undefined on success; `startedAt`: `performance.now()` when its turn came. */
  ran(code: number, refusal: Refusal | undefined, startedAt: number, trace: TraceParent | undefined): void;
}

export interface ExecutorOptions {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly observer: CommandObserver | undefined;
}

class Job implements Caller {
  readonly batch: RunningBatch;
  readonly entry: RequestEntry;
  readonly #expiresAt: number;
  readonly #clock: Clock;

  constructor(batch: RunningBatch, entry: RequestEntry, expiresAt: number, clock: Clock) {
    this.batch = batch;
    this.entry = entry;
    this.#expiresAt = expiresAt;
    this.#clock = clock;
  }

  get host(): unknown {
    return this.batch.source.host;
  }

  isLate(now: number): boolean {
    return this.batch.source.closed || now >= this.#expiresAt;
  }

  isWaiting(): boolean {
    return this.batch.source.valid && !this.isLate(this.#clock.now());
  }
}

interface RunningBatch extends CommandBatch {
  /** Commands without an outcome. */
  left: number;
}

/**
 * Runs the commands of all streams in order of arrival, one slice per turn of the event loop, so that even a large
 * batch does not block other work. What is in flight is bounded: the excess is refused at once, not queued.
 */
export class Executor {
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #inFlight: InFlight;
  /** A short list: there is one source for each frontend. */
  #unflushed: CommandSource[] = [];
  readonly #observer: CommandObserver | undefined;
  #queue: Job[] = [];
  #scheduled = false;

  constructor(options: ExecutorOptions) {
    this.#dispatcher = options.dispatcher;
    this.#clock = options.clock;
    this.#inFlight = new InFlight(options.maxInFlight);
    this.#observer = options.observer;
  }

  get inFlight(): number {
    return this.#inFlight.commands;
  }

  submit(commands: CommandBatch): void {
    const { source, entries, bytes } = commands;
    const now = this.#clock.now();
    const room = this.#inFlight.roomIn(bytes);
    const batch = { ...commands, left: Math.min(entries.length, room) };
    this.#inFlight.add(batch.left);
    this.#inFlight.hold(bytes);
    for (const entry of entries.slice(0, room)) {
      this.#queue.push(new Job(batch, entry, now + entry.remainingMs, this.#clock));
    }
    for (const { id } of entries.slice(room)) source.settle(id, 'overloaded');
    if (batch.left === 0) this.#release(batch);
    this.#touch(source);
  }

  #run(): void {
    this.#scheduled = false;
    const end = this.#clock.now() + SLICE_MS;
    const queue = this.#queue;
    let next = 0;
    for (let now = this.#clock.now(); next < queue.length && now < end; now = this.#clock.now()) {
      this.#execute(queue[next++]!, now);
    }
    this.#queue = next === queue.length ? [] : queue.slice(next);
    const unflushed = this.#unflushed;
    this.#unflushed = [];
    for (const source of unflushed) source.flush();
    if (this.#queue.length > 0) this.#schedule();
  }

  #execute(job: Job, now: number): void {
    const { batch, entry } = job;
    const startedAt = this.#observer === undefined ? 0 : performance.now();
    const outcome = job.isLate(now) ? 'expired' : this.#outcomeOf(job);
    if (outcome instanceof Promise) {
      void outcome.then((value) => this.#finish(batch, entry, value, startedAt));
    } else {
      this.#finish(batch, entry, outcome, startedAt);
    }
  }

  /** A token may have been installed since the frame arrived: no command is started for a host that it removed. */
  #outcomeOf(job: Job): Outcome | Promise<Outcome> {
    const { source, isSigned } = job.batch;
    return source.valid ? this.#dispatcher.run(job.entry, isSigned, job) : SESSION_OVER;
  }

  #finish(batch: RunningBatch, entry: RequestEntry, outcome: Outcome, startedAt: number): void {
    const { source } = batch;
    this.#inFlight.add(-1);
    this.#observer?.ran(entry.code, typeof outcome === 'string' ? outcome : undefined, startedAt, entry.trace);
    source.settle(entry.id, outcome);
    if (--batch.left === 0) this.#release(batch);
    this.#touch(source);
  }

  #release({ bytes, onDone }: RunningBatch): void {
    this.#inFlight.hold(-bytes);
    onDone();
  }

  #touch(source: CommandSource): void {
    if (!this.#unflushed.includes(source)) this.#unflushed.push(source);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // The current turn has read every frame that has arrived: their commands run and are answered together.
    setImmediate(() => this.#run());
  }
}
