/** The time, injected everywhere so that tests can set it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: Date.now };

/** Counts from process start and never goes back: for measuring durations. */
export const monotonicClock: Clock = { now: () => performance.now() };
