import { fstatSync } from 'node:fs';

/** About a quarter of an hour of 1,000 requests a second. A file this large is not being rotated. */
const MOST_BYTES = 2 ** 30;
const STDERR = 2;

/** What to do about a file that is larger than a rotated one gets; undefined for a smaller one. */
export function growthTrouble(what: string, bytes: number): string | undefined {
  if (bytes < MOST_BYTES) return undefined;
  const size = `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return `${what} has grown to ${size} and nothing rotates it: the disk will fill up (docs/operations.md, "Logs")`;
}

/**
 * The size of this process's log, if it is a file. 0 if something else reads it: a terminal, journald, a container
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
