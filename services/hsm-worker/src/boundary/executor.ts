import type { Clock } from '@keyfleet/shared/clock';
import { type CommandName, commands } from '@keyfleet/shared/hsm/commands';
import type { Command } from '@keyfleet/shared/hsm/define-command';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import type { RequestEntry, TraceParent } from '@keyfleet/shared/hsm/frame';
import type { CommandContext, CommandHandler } from './commands/command.ts';
import { RefusedError } from './errors.ts';

export type CommandHandlers = { readonly [N in CommandName]: CommandHandler<N> };

/** What became of a command: its encoded output, which whoever seals it overwrites, or why it was refused. */
export type Outcome = Uint8Array | Refusal;

/** One command as the dispatcher runs it, whatever its types: decode, handle, encode. */
interface Runnable {
  readonly name: CommandName;
  readonly signed: boolean;
  run(input: Uint8Array, context: CommandContext): Outcome | Promise<Outcome>;
}

export interface DispatchDeps {
  readonly handlers: CommandHandlers;
  /** Undefined while the HSM belongs to no domain. */
  readonly context: () => CommandContext | undefined;
  readonly onUnknownDomainKey: () => void;
  /** A handler threw something that is no refusal: a bug. */
  readonly onFault: (command: CommandName, error: unknown) => void;
}

/**
 * Runs one command of a frame. `isSigned` checks the host's signature of the frame and is asked only where the contract
 * wants one.
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

  /** A promise only for work that left the event loop. Never throws. */
  run(entry: RequestEntry, isSigned: () => boolean): Outcome | Promise<Outcome> {
    const context = this.#deps.context();
    if (context === undefined) return 'no-domain';
    const command = this.#byCode.get(entry.code);
    if (command === undefined) return 'invalid-input';
    if (command.signed && !(entry.signed && isSigned())) return 'not-signed';
    return command.run(entry.input, context);
  }

  #runnable<N extends CommandName>(name: N): Runnable {
    const contract: Command = commands[name];
    const handler = this.#deps.handlers[name] as (input: unknown, context: CommandContext) => unknown;
    const encode = (output: unknown): Uint8Array => {
      const fields = output as Record<string, unknown>;
      try {
        return contract.output.encode(fields);
      } finally {
        // What the caller gets stands in its encoding now.
        for (const secret of contract.secretOutputs) (fields[secret] as Uint8Array | undefined)?.fill(0);
      }
    };
    const refuse = (error: unknown): Refusal => this.#refusalOf(name, error);
    return {
      name,
      signed: contract.signed,
      run(bytes, context) {
        let input: unknown;
        try {
          input = contract.input.decode(bytes);
        } catch {
          return 'invalid-input';
        }
        try {
          const output = handler(input, context);
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

/** Synchronous work between two turns of the event loop, at most (one command more can pass it). */
const SLICE_MS = 8;

/** Of a command whose session is over: its host asks another member, or on a new session. */
export const SESSION_OVER: Refusal = 'overloaded';

/** Where a command came from and where its outcome goes. */
export interface CommandSource {
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
  /** Whether the host's signature of the frame verifies. Asked only for commands that need it. */
  readonly isSigned: () => boolean;
  /** Called when every command has its outcome: nothing of the frame is needed any more. */
  readonly onDone: () => void;
}

/** Told how each command went. Sees neither input nor output. */
export interface CommandObserver {
  /**
   * `code`: of the command; `refusal`: undefined when it was done; `startedAt`: `performance.now()` when its turn came.
   */
  ran(code: number, refusal: Refusal | undefined, startedAt: number, trace: TraceParent | undefined): void;
}

export interface ExecutorOptions {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly observer: CommandObserver | undefined;
}

interface Job {
  readonly batch: RunningBatch;
  readonly entry: RequestEntry;
  readonly expiresAt: number;
}

interface RunningBatch extends CommandBatch {
  /** Commands without an outcome. */
  left: number;
}

/**
 * Runs the commands of all streams in the order they came, a slice per turn of the event loop, so that no batch however
 * large keeps the loop from other work. In flight is bounded: what is over the bound is refused at once rather than
 * queued.
 */
export class Executor {
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #maxInFlight: number;
  /** A few: there is one source for each frontend. */
  #unflushed: CommandSource[] = [];
  readonly #observer: CommandObserver | undefined;
  #queue: Job[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(options: ExecutorOptions) {
    this.#dispatcher = options.dispatcher;
    this.#clock = options.clock;
    this.#maxInFlight = options.maxInFlight;
    this.#observer = options.observer;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  submit(commands: CommandBatch): void {
    const { source, entries } = commands;
    const now = this.#clock.now();
    const room = Math.max(0, this.#maxInFlight - this.#inFlight);
    const batch = { ...commands, left: Math.min(entries.length, room) };
    for (const entry of entries.slice(0, room)) {
      this.#inFlight++;
      this.#queue.push({ batch, entry, expiresAt: now + entry.remainingMs });
    }
    for (const { id } of entries.slice(room)) source.settle(id, 'overloaded');
    if (batch.left === 0) batch.onDone();
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

  #execute({ batch, entry, expiresAt }: Job, now: number): void {
    const startedAt = this.#observer === undefined ? 0 : performance.now();
    const isLate = batch.source.closed || now >= expiresAt;
    const outcome = isLate ? 'expired' : this.#outcomeOf(batch, entry);
    if (outcome instanceof Promise) {
      void outcome.then((value) => this.#finish(batch, entry, value, startedAt));
    } else {
      this.#finish(batch, entry, outcome, startedAt);
    }
  }

  /** A token may have been installed since the frame came: whoever left by it has nothing begun any more. */
  #outcomeOf({ source, isSigned }: RunningBatch, entry: RequestEntry): Outcome | Promise<Outcome> {
    return source.valid ? this.#dispatcher.run(entry, isSigned) : SESSION_OVER;
  }

  #finish(batch: RunningBatch, entry: RequestEntry, outcome: Outcome, startedAt: number): void {
    const { source } = batch;
    this.#inFlight--;
    this.#observer?.ran(entry.code, typeof outcome === 'string' ? outcome : undefined, startedAt, entry.trace);
    source.settle(entry.id, outcome);
    if (--batch.left === 0) batch.onDone();
    this.#touch(source);
  }

  #touch(source: CommandSource): void {
    if (!this.#unflushed.includes(source)) this.#unflushed.push(source);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // The turn that ends now has read every frame that had come: what it brought runs, and is answered, together.
    setImmediate(() => this.#run());
  }
}
