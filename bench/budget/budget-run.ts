import { BenchRun, type RunObserver } from '../measure/bench-run.ts';
import type { PreparedTarget } from '../measure/prepared-target.ts';
import type { Point } from '../measure/results.ts';
import type { Generators } from '../load/generators.ts';
import type { Probes } from '../observe/probes.ts';
import { parseOptions } from '../options.ts';

export interface BudgetParts {
  readonly targets: readonly PreparedTarget[];
  readonly generators: Generators;
  readonly probes: Probes;
  readonly observer: RunObserver;
}

/** Slices of 100 ms: fine enough to find the first thousand requests. */
export const SLICE_MS = 100;

/** The pieces of one budget: each is what the same options of `npm run bench` would measure, on the same servers. */
export class BudgetRun {
  readonly #parts: BudgetParts;
  readonly points: Point[] = [];

  constructor(parts: BudgetParts) {
    this.#parts = parts;
  }

  has(target: string): boolean {
    return this.#parts.targets.some((one) => one.target.name === target);
  }

  /**
   * `names`: of the targets that take turns; those that are not there are left out. `during`: what sets these points
   * apart from others of the same scenario, in a report.
   */
  async measure(names: readonly string[], settings: string, during?: string): Promise<Point[]> {
    const options = parseOptions(settings.split(' '));
    if (options === 'help') throw new TypeError('a budget has no help');
    const targets = this.#parts.targets.filter(({ target }) => names.includes(target.name));
    const run = new BenchRun({ ...this.#parts, options, targets, sliceMs: SLICE_MS });
    await run.run();
    const points = during === undefined ? run.points : run.points.map((point) => ({ ...point, during }));
    this.points.push(...points);
    return points;
  }
}
