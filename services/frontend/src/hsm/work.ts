import type { Command, Refusal } from '@keyfleet/shared/hsm/commands';
import { activeTrace } from '@keyfleet/shared/telemetry/tracing';
import type { Channel } from './channel.ts';

/** What came of a command, and which member did it. */
export interface Answer {
  readonly output: Uint8Array;
  readonly memberId: string;
}

/** One command on its way: it stays the same object while it moves from worker to worker. */
export class Work {
  readonly command: Command;
  readonly input: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Members that must not do it; undefined: whoever is there may. */
  readonly notBy: ReadonlySet<string> | undefined;
  readonly answer: Promise<Answer>;
  /** Of the request that asks for it. */
  readonly trace = activeTrace();
  /** Meant for the worker it was sent to: no other is asked instead. */
  pinned = false;
  /** The channel that refused it retryably, or died with it: another is tried first. */
  avoid: Channel | undefined;
  /** Why it waits, if an HSM said so. */
  refusal: Refusal | undefined;
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

  mayGoTo({ memberId }: Channel): boolean {
    return this.notBy === undefined || !this.notBy.has(memberId);
  }
  get settled(): boolean {
    return this.#settled;
  }
  succeed(answer: Answer): void {
    this.#settled = true;
    this.#resolve(answer);
  }
  fail(error: Error): void {
    this.#settled = true;
    this.#reject(error);
  }
}
