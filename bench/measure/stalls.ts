import type { Point } from './results.ts';

/** The longest that an event loop was held up in a round, where a probe saw it. */
export interface Stall {
  readonly scenario: string;
  readonly target: string;
  readonly process: string;
  readonly ms: number;
}

/** One for each process and round, the longest first. */
export function stallsOf(points: readonly Point[]): Stall[] {
  const all = points.flatMap(({ scenario, target, rounds }) =>
    rounds.flatMap(({ processes }) =>
      Object.entries(processes).flatMap(([process, { probe }]) =>
        probe === undefined ? [] : [{ scenario, target, process, ms: probe.delayLongest }],
      ),
    ),
  );
  return all.toSorted((a, b) => b.ms - a.ms);
}
