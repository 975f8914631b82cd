import { execa } from 'execa';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** Without this a figure means nothing. */
export interface Machine {
  readonly date: string;
  /** Of this repository; `unknown` outside git. */
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
}

export async function machine(): Promise<Machine> {
  const git = await execa('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname, reject: false });
  return {
    date: new Date().toISOString(),
    commit: git.failed ? 'unknown' : git.stdout,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** Microseconds that all cores together have worked since the machine began. */
export function machineMicroseconds(): number {
  return workedMicroseconds(readFileSync('/proc/stat', 'utf8'));
}

/**
 * Of the first line of proc_stat(5), without idle, iowait and guests. `steal` counts: a virtual core that its host gave
 * to somebody else was no more free than a busy one.
 */
export function workedMicroseconds(stat: string): number {
  const [, user, nice, system, , , irq, softirq, steal] = stat.split(/\s+/, 9).map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) * 10_000;
}
