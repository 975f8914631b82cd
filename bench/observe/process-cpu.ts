import type { TestCluster } from '@keyfleet/test-support/cluster';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** Linux: USER_HZ is 100 on every architecture that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;

/**
 * User and system time of a process since it began, all threads, in microseconds. Source: proc_pid_stat(5), fields 14
 * and 15.
 */
export function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}

/** By name: the frontend, the hsm-workers, and whatever else is asked for. */
export function pidsOf(cluster: TestCluster, ...others: readonly string[]): Record<string, number> {
  const names = ['frontend', ...cluster.home.workerNames, ...others];
  return Object.fromEntries(names.map((name) => [name, cluster.pid(name) ?? 0]));
}

const IDLE_CHECK_MS = 500;
const IDLE_SHARE = 0.05;

/**
 * Waits, up to `budgetMs`, until the processes use next to nothing: workers fill their pools of RSA keys after a start.
 */
export async function untilIdle(pids: readonly number[], budgetMs: number): Promise<void> {
  const used = () => pids.reduce((sum, pid) => sum + cpuMicroseconds(pid), 0);
  const deadline = Date.now() + budgetMs;
  for (let before = used(); Date.now() < deadline;) {
    await setTimeout(IDLE_CHECK_MS);
    const now = used();
    if (now - before < IDLE_SHARE * IDLE_CHECK_MS * 1000) return;
    before = now;
  }
}
