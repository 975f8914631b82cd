import { setTimeout as delay } from 'node:timers/promises';
import type { BenchEvent } from '../events/catalog.ts';
import type { Generators, Timing } from '../load/generators.ts';
import type { LoadJob } from '../load/job.ts';
import type { Probes } from '../observe/probes.ts';
import { ProcessWatch } from '../observe/process-watch.ts';
import type { Target } from '../targets/target.ts';
import type { Mark, Round } from './results.ts';

export interface RoundParts {
  readonly target: Target;
  readonly job: LoadJob;
  readonly generators: Generators;
  readonly probes?: Probes | undefined;
  /** Happens after a third of the measured time. */
  readonly event?: BenchEvent | undefined;
  readonly onProgress?: (requests: number) => void;
}

const EVENT_AFTER = 1 / 3;

/** Loads the target once and says what came of it, and what it cost whom. */
export async function measureRound({ target, job, generators, probes, event, onProgress }: RoundParts): Promise<Round> {
  const watch = new ProcessWatch(() => target.processes(), [process.pid, ...generators.pids], probes);
  const load = generators.start(job, onProgress);
  const marks: Mark[] = [];
  const happened = event === undefined ? undefined : happen(event, target, load, marks);
  const failed = load.result.then(() => undefined);
  await Promise.race([failed, until(load.measureFrom)]);
  await watch.begin();
  await Promise.race([failed, until(load.measureUntil)]);
  const used = await watch.end();
  const result = await load.result;
  await happened;
  return { ...result, ...used, marks };
}

async function happen(event: BenchEvent, target: Target, timing: Timing, marks: Mark[]): Promise<void> {
  await until(timing.measureFrom + (timing.measureUntil - timing.measureFrom) * EVENT_AFTER);
  await event.run(target, (what) => marks.push({ at: now() - timing.measureFrom, what }));
}

async function until(epochMs: number): Promise<void> {
  await delay(Math.max(0, epochMs - now()));
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
