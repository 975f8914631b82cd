import { fstatSync } from 'node:fs';

/** About a quarter of an hour of 1,000 requests a second: a file that gets there is rotated by nobody. */
const MOST_BYTES = 2 ** 30;
const STDERR = 2;

/** What to do about a file that grew beyond what a rotated one comes to; undefined if it did not. */
export function growthTrouble(what: string, bytes: number): string | undefined {
  if (bytes < MOST_BYTES) return undefined;
  const size = `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return `${what} has ${size} and nothing rotates it: the disk will be full (docs/operations.md, "Logs")`;
}

/**
 * Of what this process logs, where that is a file. 0 for what somebody else reads: a terminal, journald, a container's
 * runtime.
 */
export function logBytes(descriptor = STDERR): number {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFile() ? stats.size : 0;
  } catch {
    return 0;
  }
}
