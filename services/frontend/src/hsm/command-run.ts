import type { Command } from '@keyfleet/shared/hsm/define-command';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { activeTrace } from '@keyfleet/shared/telemetry/tracing';
import type { HsmRefusedError } from './commands.ts';

/** A command's output, and the member that produced it. */
export interface Answer {
  readonly output: Uint8Array;
  readonly memberId: string;
}

/** The way by which a command reaches a worker. */
interface Way {
  readonly memberId: string;
}

/** One command under way. It stays the same object while it moves from worker to worker. */
export class CommandRun {
  readonly command: Command;
  /** Owned by the run, which overwrites it when settled. */
  readonly input: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Members that must not run it; undefined: any may. */
  notBy: ReadonlySet<string> | undefined;
  readonly answer: Promise<Answer>;
  /** The trace of the request that asks for it. */
  readonly trace = activeTrace();
  /** Meant only for the worker it was sent to; no other is tried. */
  pinned = false;
  /** The channel that refused it with a retryable refusal, or died with it. Another is tried first. */
  avoid: Way | undefined;
  /** Why it is waiting, if an HSM said so. */
  refusal: Refusal | undefined;
  /** How often a worker was too busy for it; it waits until `notBefore` (milliseconds since the epoch) for the next. */
  overloads = 0;
  notBefore = 0;
  /** The refusal that made us ask another worker. */
  elsewhere: HsmRefusedError | undefined;
  /** The cluster it is for, if any: `nameOfCluster`. */
  cluster: string | undefined;
  /** How many channels ended without answering it. */
  losses = 0;
  #resolve!: (answer: Answer) => void;
  #reject!: (error: Error) => void;
  #settled = false;

  constructor(command: Command, input: Uint8Array, deadline: number, notBy?: ReadonlySet<string>) {
    this.command = command;
    this.input = input;
    this.deadline = deadline;
    this.notBy = notBy;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  mayGoTo({ memberId }: Way): boolean {
    return this.notBy === undefined || !this.notBy.has(memberId);
  }
  get settled(): boolean {
    return this.#settled;
  }
  succeed(answer: Answer): void {
    this.#settle();
    this.#resolve(answer);
  }
  fail(error: Error): void {
    this.#settle();
    this.#reject(error);
  }
  #settle(): void {
    this.#settled = true;
    this.input.fill(0);
  }
}

/** Answered entries at the front are trimmed once there are this many, and at least as many as all behind them. */
const TRIM_AT = 1024;

/**
 * The commands that a worker has yet to answer, by ids that count up from 0. Not a Map: one that is constantly filled
 * and emptied is copied again and again, and the old copies, once promoted, keep what was in them from being collected
 * young.
 */
export class UnansweredRuns implements Iterable<CommandRun> {
  /** The id of the first entry in `#window`. */
  #firstId = 0;
  #window: (CommandRun | undefined)[] = [];
  /** How many entries at the front of `#window` are answered. */
  #answered = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns the run's id. */
  add(run: CommandRun): number {
    this.#size++;
    return this.#firstId + this.#window.push(run) - 1;
  }

  /** Returns and forgets the run with this id; undefined if it was forgotten before. */
  take(id: number): CommandRun | undefined {
    const run = this.#window[id - this.#firstId];
    if (run === undefined) return undefined;
    this.#window[id - this.#firstId] = undefined;
    this.#size--;
    this.#trim();
    return run;
  }

  forgetSettled(): void {
    for (let index = this.#answered; index < this.#window.length; index++) {
      if (!this.#window[index]?.settled) continue;
      this.#window[index] = undefined;
      this.#size--;
    }
    this.#trim();
  }

  *[Symbol.iterator](): Generator<CommandRun> {
    for (const run of this.#window) if (run !== undefined) yield run;
  }

  #trim(): void {
    const window = this.#window;
    while (this.#answered < window.length && window[this.#answered] === undefined) this.#answered++;
    const isWorthIt = this.#size === 0 || (this.#answered >= TRIM_AT && 2 * this.#answered >= window.length);
    if (!isWorthIt) return;
    this.#firstId += this.#answered;
    this.#window = window.slice(this.#answered);
    this.#answered = 0;
  }
}
