/** The time, injected everywhere so that tests decide it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: Date.now };

/** Counts from when the process began and never goes back: for how long something has been. */
export const monotonicClock: Clock = { now: () => performance.now() };
