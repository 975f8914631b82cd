import { setTimeout as delay } from 'node:timers/promises';

/**
 * A master that hands over is followed by the next within this (docs/kubernetes.md). With the other work of a request
 * it is less than `requestTimeout`: what is done late is done while somebody waits for it.
 */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 100;

/** ioredis' words for a command that was not sent; and what Redis answers for a moment, having carried out nothing. */
const notDone = /^(?:Stream isn't writeable|READONLY|NOREPLICAS|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)/;
/** ioredis' words for a command whose answer was lost with the connection. */
const lost = /^(?:Connection is closed|Command aborted due to connection close)/;

export function wasNotMade({ message }: Error): boolean {
  return notDone.test(message);
}

export function wasNotRead(error: Error): boolean {
  return wasNotMade(error) || lost.test(error.message);
}

/** Asks Redis again while `mayRepeat` says that nothing was done, since another master may follow at any moment. */
export async function patiently<T>(ask: () => Promise<T>, mayRepeat: (error: Error) => boolean): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Error) || !mayRepeat(error) || performance.now() >= until) throw error;
      await delay(PAUSE_MS);
    }
  }
}
