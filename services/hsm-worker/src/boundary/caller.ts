import { RefusedError } from './errors.ts';

/** Whoever waits for a command. */
export interface Caller {
  /** Callers of one host have the same. */
  readonly host: unknown;
  /** False once nobody would get the answer. */
  isWaiting(): boolean;
}

/**
 * For work that had to queue, when its turn comes: what nobody waits for any more is not begun. Work without a caller
 * always is. Refuses with `expired`.
 */
export function assertWaiting(caller: Pick<Caller, 'isWaiting'> | undefined): void {
  if (caller?.isWaiting() === false) throw new RefusedError('expired');
}
