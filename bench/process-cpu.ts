import { readFileSync } from 'node:fs';

/** Linux: USER_HZ is 100 on every architecture that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;

/** User and system time of a process since it began, all threads, in microseconds. Source: proc_pid_stat(5), fields 14 and 15. */
export function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}
