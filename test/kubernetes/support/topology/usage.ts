import { readdirSync, readFileSync } from 'node:fs';
import type { Topology } from './topology.ts';

/** Of _SC_CLK_TCK, 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** What the containers of a kind use, the highest of its Pods. */
export interface Usage {
  /** `redis/sentinel` */
  readonly container: string;
  /** 1 is a core. */
  readonly cores: number;
  /** Resident, at most since it started. */
  readonly memoryMiB: number;
}

/** Measures while `during` runs. What probes run in a container does not count. */
export async function usageOf(topology: Topology, during: () => Promise<unknown>): Promise<Usage[]> {
  const containers = topology
    .pods()
    .flatMap((pod) => [...pod.containers].map(([name, { pid }]) => ({ container: `${pod.app}/${name}`, pid: pid! })));
  const before = containers.map(({ pid }) => secondsOf(pid));
  const startedAt = performance.now();
  await during();
  const elapsed = (performance.now() - startedAt) / 1000;
  const all = containers.map(({ container, pid }, index) => ({
    container,
    cores: (secondsOf(pid) - before[index]!) / elapsed,
    memoryMiB: peakOf(pid),
  }));
  return [...Map.groupBy(all, ({ container }) => container)].map(([container, pods]) => ({
    container,
    cores: Math.max(...pods.map(({ cores }) => cores)),
    memoryMiB: Math.max(...pods.map(({ memoryMiB }) => memoryMiB)),
  }));
}

/** proc_pid_stat(5): utime and stime, also of the programs that it has started. */
function secondsOf(pid: number): number {
  const times = withChildren(pid).map((one) => {
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return times.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** proc_pid_status(5): VmHWM. */
function peakOf(pid: number): number {
  const peaks = withChildren(pid).map((one) =>
    Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0),
  );
  return Math.round(peaks.reduce((sum, kib) => sum + kib, 0) / KIB);
}

function withChildren(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' '),
  );
  return [pid, ...children.filter((child) => child !== '').flatMap((child) => withChildren(Number(child)))];
}

/** `512Mi` or `2Gi`. */
export function mebibytes(quantity: string): number {
  return Number.parseInt(quantity, 10) * (quantity.endsWith('Gi') ? 1024 : 1);
}
