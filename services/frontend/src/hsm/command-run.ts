import type { Command } from '@keyfleet/shared/hsm/define-command';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { activeTrace } from '@keyfleet/shared/telemetry/tracing';

/** What came of a command, and which member did it. */
export interface Answer {
  readonly output: Uint8Array;
  readonly memberId: string;
}

/** What a command goes to a worker by. */
interface Way {
  readonly memberId: string;
}

/** One command on its way: it stays the same object while it moves from worker to worker. */
export class CommandRun {
  readonly command: Command;
  /** Its own: overwritten when it is settled. */
  readonly input: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Members that must not do it; undefined: whoever is there may. */
  notBy: ReadonlySet<string> | undefined;
  readonly answer: Promise<Answer>;
  /** Of the request that asks for it. */
  readonly trace = activeTrace();
  /** Meant for the worker it was sent to: no other is asked instead. */
  pinned = false;
  /** The channel that refused it retryably, or died with it: another is tried first. */
  avoid: Way | undefined;
  /** Why it waits, if an HSM said so. */
  refusal: Refusal | undefined;
  /** What a worker answered that another was asked for instead. */
  elsewhere: Error | undefined;
  /** That it is for, if it is for one. */
  clusterId: string | undefined;
  /** Channels that ended with it unanswered. */
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

/** Answered entries at the front are cut off when there are so many, and as many as all behind them. */
const TRIM_AT = 1024;

/**
 * Commands that a worker owes an answer to, by ids that rise one by one from 0. Not a Map: one that is filled and
 * emptied all the time is copied again and again, and the copies left behind, once they are old, keep what was in them
 * from being collected young.
 */
export class UnansweredRuns implements Iterable<CommandRun> {
  /** The id of the first in `#window`. */
  #firstId = 0;
  #window: (CommandRun | undefined)[] = [];
  /** How many at the front of `#window` are answered. */
  #answered = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns its id. */
  add(run: CommandRun): number {
    this.#size++;
    return this.#firstId + this.#window.push(run) - 1;
  }

  /** The run of this id, which is forgotten; undefined if it was before. */
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
