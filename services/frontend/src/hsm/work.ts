import type { Command, Refusal } from '@keyfleet/shared/hsm/commands';
import { activeTrace } from '@keyfleet/shared/telemetry/tracing';
import type { Channel } from './channel.ts';

/** One command on its way: it stays the same object while it moves from worker to worker. */
export class Work {
  readonly command: Command;
  readonly input: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly output: Promise<Uint8Array>;
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
  #resolve!: (output: Uint8Array) => void;
  #reject!: (error: Error) => void;
  #settled = false;

  constructor(command: Command, input: Uint8Array, deadline: number) {
    this.command = command;
    this.input = input;
    this.deadline = deadline;
    this.output = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }
  succeed(output: Uint8Array): void {
    this.#settled = true;
    this.#resolve(output);
  }
  fail(error: Error): void {
    this.#settled = true;
    this.#reject(error);
  }
}
