import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { GeneratorMessage, LoadJob, LoadResult, LoadShare } from './job.ts';
import { mergeResults } from './merge.ts';

/** Until every process has its job and its connections' objects. */
const LEAD_MS = 150;
/** One of so many cores makes load, unless told otherwise. */
const CORES_PER_GENERATOR = 4;

/** Milliseconds of the Unix epoch. */
export interface Timing {
  readonly beginAt: number;
  readonly measureFrom: number;
  readonly measureUntil: number;
}

export interface RunningLoad extends Timing {
  readonly result: Promise<LoadResult>;
}

export function usualGenerators(): number {
  return Math.max(1, Math.floor(availableParallelism() / CORES_PER_GENERATOR));
}

/** The processes that make load. They outlive jobs, so that their code is compiled before a measurement. */
export class Generators implements Disposable {
  readonly #processes: readonly ChildProcess[];

  constructor(count: number) {
    const main = join(import.meta.dirname, 'generator.ts');
    this.#processes = Array.from({ length: count }, () =>
      fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' }),
    );
  }

  get pids(): readonly number[] {
    return this.#processes.map(({ pid }) => pid ?? 0);
  }

  /** One job at a time. `onProgress` hears how many requests were answered since the beginning. */
  start(job: LoadJob, onProgress: (requests: number) => void = () => undefined): RunningLoad {
    const beginAt = performance.timeOrigin + performance.now() + LEAD_MS;
    const done: number[] = [];
    const shares = sharesOf(job, this.#processes.length, beginAt);
    const results = shares.map((share, index) =>
      runShare(this.#processes[index]!, share, (requests) => {
        done[index] = requests;
        onProgress(done.reduce((sum, one) => sum + one, 0));
      }),
    );
    const measureFrom = beginAt + job.warmupMs;
    const result = Promise.all(results).then(mergeResults);
    return { beginAt, measureFrom, measureUntil: measureFrom + job.measureMs, result };
  }

  [Symbol.dispose](): void {
    for (const process of this.#processes) if (process.connected) process.disconnect();
  }
}

/** Connections and arrivals are dealt out evenly; a process that would get no connection takes no part. */
export function sharesOf(job: LoadJob, processes: number, beginAt: number): LoadShare[] {
  const { connections } = job.loop;
  const step = Math.min(processes, connections);
  return Array.from({ length: step }, (_, first) => {
    const own = Math.floor(connections / step) + (first < connections % step ? 1 : 0);
    return { ...job, loop: { ...job.loop, connections: own }, arrivals: { first, step }, beginAt };
  });
}

function runShare(
  process: ChildProcess,
  share: LoadShare,
  onProgress: (requests: number) => void,
): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      process.off('message', onMessage).off('exit', onExit);
      finish();
    };
    const onExit = (code: number | null) => settle(() => reject(new Error(`a load generator ended (${code})`)));
    const onMessage = (message: GeneratorMessage) => {
      if (message.kind === 'progress') onProgress(message.requests);
      else if (message.kind === 'result') settle(() => resolve(message.result));
      else settle(() => reject(new Error(message.message)));
    };
    process.on('message', onMessage).on('exit', onExit);
    process.send(share);
  });
}
