import type { RunObserver } from '../measure/bench-run.ts';
import type { Work } from '../measure/plan.ts';
import type { Point } from '../measure/results.ts';
import { type PointSummary, summarize } from '../measure/summary.ts';
import { rows, searchRow, workTitle } from './table.ts';

/** Prints the table as the run proceeds; on a terminal, its progress too. */
export class Terminal implements RunObserver {
  readonly #out: NodeJS.WriteStream;
  #statusShown = false;
  /** By load: the first target's. */
  readonly #first = new Map<string, { target: string; summary: PointSummary }>();

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  work(work: Work): void {
    this.#first.clear();
    this.print(workTitle(work));
  }

  status(line: string): void {
    if (!this.#out.isTTY) return;
    this.#out.write(`\r\u001b[2K  ${line.slice(0, this.#out.columns - 3)}`);
    this.#statusShown = true;
  }

  point(point: Point): void {
    // A part of the peak is another rate for each target.
    const { loop } = point;
    const load = `${loop.kind === 'open' ? loop.asked : loop.connections} ${point.during ?? ''}`;
    const known = this.#first.get(load);
    if (!known) this.#first.set(load, { target: point.target, summary: summarize(point) });
    const first = known === undefined || known.target === point.target ? undefined : known.summary;
    for (const row of rows(point, first)) this.print(row);
  }

  search(result: Parameters<RunObserver['search']>[0]): void {
    this.print(searchRow(result));
  }

  note(line: string): void {
    this.print(`  ${line}`);
  }

  print(line: string): void {
    if (this.#statusShown) this.#out.write('\r\u001b[2K');
    this.#statusShown = false;
    this.#out.write(`${line}\n`);
  }
}
