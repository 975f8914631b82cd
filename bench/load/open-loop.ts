import type { Connection } from '../wire/endpoint.ts';
import { callOnce, type Limits } from './caller.ts';
import type { Recorder } from './recorder.ts';
import type { Requests } from './requests.ts';
import type { Schedule } from './schedule.ts';

const TICK_MS = 1;

/**
 * Requests arrive when the schedule says, and wait for a free connection if there is none. Each latency counts from the
 * intended arrival: a server that stalls for a second delays everything that arrives meanwhile, and all of that is
 * recorded (no coordinated omission).
 */
export class OpenLoopRun {
  readonly #idle: Connection<unknown>[];
  readonly #all: readonly Connection<unknown>[];
  readonly #requests: Requests;
  readonly #recorder: Recorder;
  readonly #schedule: Schedule;
  readonly #limits: Limits;
  readonly #arrived: number[] = [];
  #started = 0;
  #finished: () => void = () => undefined;
  #failed: (error: unknown) => void = () => undefined;

  constructor(
    connections: readonly Connection<unknown>[],
    parts: { requests: Requests; recorder: Recorder; schedule: Schedule; limits: Limits },
  ) {
    this.#all = connections;
    this.#idle = [...connections];
    this.#requests = parts.requests;
    this.#recorder = parts.recorder;
    this.#schedule = parts.schedule;
    this.#limits = parts.limits;
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#finished = resolve;
      this.#failed = reject;
      this.#tick();
    });
  }

  #tick(): void {
    const now = performance.now();
    this.#send(now);
    const isOver = this.#schedule.next >= this.#limits.until;
    if (isOver && this.#started === this.#arrived.length && this.#idle.length === this.#all.length) {
      return this.#finished();
    }
    if (now >= this.#limits.giveUpAt) return this.#giveUp(now);
    setTimeout(() => this.#tick(), TICK_MS);
  }

  #send(now: number): void {
    for (;;) {
      if (this.#schedule.next >= this.#limits.until) break;
      const intendedAt = this.#schedule.takeDue(now);
      if (intendedAt === undefined) break;
      this.#recorder.began(intendedAt, now);
      this.#arrived.push(intendedAt);
    }
    while (this.#started < this.#arrived.length) {
      const connection = this.#idle.pop();
      if (connection === undefined) return;
      const intendedAt = this.#arrived[this.#started++]!;
      this.#recorder.sent(intendedAt, now);
      this.#call(connection, intendedAt).catch(this.#failed);
    }
  }

  async #call(connection: Connection<unknown>, intendedAt: number): Promise<void> {
    await callOnce(connection, this.#requests, this.#recorder, intendedAt);
    this.#idle.push(connection);
    const now = performance.now();
    if (now < this.#limits.giveUpAt) this.#send(now);
  }

  #giveUp(now: number): void {
    for (const connection of this.#all) connection[Symbol.dispose]();
    for (const intendedAt of this.#arrived.slice(this.#started)) {
      this.#recorder.sent(intendedAt, now);
      this.#recorder.unanswered(this.#requests.next().operation, intendedAt, now);
    }
    // What was on its way hears of the end in this turn.
    setImmediate(this.#finished);
  }
}
