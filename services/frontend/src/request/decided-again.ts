import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import { ConflictError } from '../store/store.ts';
import { timedOut } from './errors.ts';

/** About what a read and a write take. */
const PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

/**
 * What was read is no longer so when it is written: somebody else was faster. Then everything is decided again on what they wrote.
 * Throws DependencyTimeoutException when the deadline comes first.
 */
export async function decidedAgain<T>(decide: () => Promise<T>, deadline: number, clock: Clock): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // At random, so that those who were refused together do not come back together.
      await delay(Math.random() * Math.min(LONGEST_PAUSE_MS, PAUSE_MS * tries));
      if (clock.now() >= deadline) throw timedOut(error);
    }
  }
}
