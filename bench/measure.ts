import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadJob, LoadResult } from './load.ts';
import { cpuMicroseconds } from './process-cpu.ts';

export interface Measurement extends LoadResult {
  /** Microseconds of CPU per request, by process; `load` is the generator itself. */
  readonly cpu: Readonly<Record<string, number>>;
}

/** Runs one closed loop and says what it cost each of the processes (name -> pid). */
export async function measure(job: LoadJob, processes: Readonly<Record<string, number>>): Promise<Measurement> {
  const load = fork(join(import.meta.dirname, 'load.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const watched = { ...processes, load: load.pid ?? 0 };
  const failed = once(load, 'exit').then(([code]) => Promise.reject(new Error(`the load generator ended (${code})`)));
  failed.catch(() => undefined);
  load.send(job);
  await Promise.race([once(load, 'message'), failed]);
  const before = readCpu(watched);
  const [result] = (await Promise.race([once(load, 'message'), failed])) as [LoadResult];
  const after = readCpu(watched);
  const cpu = Object.keys(watched).map((name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / result.requests]);
  return { ...result, cpu: Object.fromEntries(cpu) as Record<string, number> };
}

function readCpu(processes: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, cpuMicroseconds(pid)]));
}
