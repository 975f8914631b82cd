import { Latencies } from '../histogram/latencies.ts';
import type { GeneratorUse, LoadJob, LoadResult } from './job.ts';

interface RecorderSlice {
  readonly latencies: Latencies;
  failed: number;
}

/** Records the fate of requests that started in the measured time. Times in milliseconds of one clock. */
export class Recorder {
  readonly #from: number;
  readonly #until: number;
  readonly #sliceMs: number;
  readonly #latencies = Latencies.empty();
  readonly #lateness = Latencies.empty(2);
  readonly #waits = Latencies.empty(2);
  readonly #byOperation: Readonly<Record<string, Latencies>>;
  readonly #slices: readonly RecorderSlice[];
  readonly #failures = new Map<string, number>();
  /** Answered since the beginning, warm-up included. */
  done = 0;

  constructor(job: Pick<LoadJob, 'pools' | 'measureMs' | 'sliceMs'>, from: number) {
    this.#from = from;
    this.#until = from + job.measureMs;
    this.#sliceMs = job.sliceMs;
    const operations = job.pools.length > 1 ? job.pools.map(({ operation }) => operation) : [];
    this.#byOperation = Object.fromEntries(operations.map((operation) => [operation, Latencies.empty()]));
    this.#slices = Array.from({ length: Math.ceil(job.measureMs / job.sliceMs) }, () => ({
      latencies: Latencies.empty(2),
      failed: 0,
    }));
  }

  isMeasured(startedAt: number): boolean {
    return startedAt >= this.#from && startedAt < this.#until;
  }

  succeeded(operation: string, startedAt: number, answeredAt: number): void {
    this.done++;
    if (this.isMeasured(startedAt)) this.#record(operation, startedAt, answeredAt);
  }

  failed(failure: string, startedAt: number): void {
    this.done++;
    if (!this.isMeasured(startedAt)) return;
    this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
    const slice = this.#sliceAt(startedAt);
    if (slice) slice.failed++;
  }

  /** Unanswered so far: its latency is at least that, and without it the tail would look short. */
  unanswered(operation: string, startedAt: number, now: number): void {
    this.failed('unanswered', startedAt);
    if (this.isMeasured(startedAt)) this.#record(operation, startedAt, now);
  }

  began(intendedAt: number, now: number): void {
    if (this.isMeasured(intendedAt)) this.#lateness.record(now - intendedAt);
  }

  /** Open loop: a connection was free for what was intended to arrive then. */
  sent(intendedAt: number, now: number): void {
    if (this.isMeasured(intendedAt)) this.#waits.record(now - intendedAt);
  }

  result(use: GeneratorUse): LoadResult {
    return {
      requests: this.#latencies.count,
      seconds: (this.#until - this.#from) / 1000,
      latencies: this.#latencies.encode(),
      byOperation: Object.fromEntries(
        Object.entries(this.#byOperation).map(([operation, latencies]) => [operation, latencies.encode()]),
      ),
      slices: this.#slices.map(({ latencies, failed }) => ({ latencies: latencies.encode(), failed })),
      failures: Object.fromEntries(this.#failures),
      lateness: this.#lateness.encode(),
      waits: this.#waits.encode(),
      generators: [use],
    };
  }

  #record(operation: string, startedAt: number, answeredAt: number): void {
    const latency = answeredAt - startedAt;
    this.#latencies.record(latency);
    this.#byOperation[operation]?.record(latency);
    this.#sliceAt(startedAt)?.latencies.record(latency);
  }

  #sliceAt(startedAt: number): RecorderSlice | undefined {
    return this.#slices[Math.floor((startedAt - this.#from) / this.#sliceMs)];
  }
}
