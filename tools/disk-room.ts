import { statfsSync } from 'node:fs';
import { StartError } from './start-error.ts';

/** Less room than this is none: the store of an empty cluster takes more. */
const FULL_BYTES = 1_048_576;

/** Whether the disk of `path` is full. */
export function isDiskFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < FULL_BYTES;
}

/** Why a cluster did not start: a service without room says what it could not do then, which may be anything. */
export function toldWithRoom(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError' || !isDiskFull(path)) return error;
  return new StartError(`the disk of ${path} is full: ${error.message}`, { cause: error });
}
