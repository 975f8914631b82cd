import { reportFrom } from './export.ts';
import type { Attributes } from './report.ts';
import { telemetryOn } from './settings.ts';

/**
 * Durations that are reported at most of one series, a fair sample of what there was since the report before. Each
 * costs the SDK a microsecond; a histogram of so many says as much as one of all.
 */
const SAMPLE = 512;

/**
 * Counts all and times a fair sample of what has an operation and an outcome, such as requests at the edge or commands
 * to an HSM.
 */
export interface OperationMeter {
  /** `outcome`: `ok` or the code of the exception or refusal; `startedAt`: `performance.now()` at the beginning. */
  record(operation: string, outcome: string, startedAt: number): void;
}

const noMeter: OperationMeter = { record: () => undefined };

/** `name` as in `keyfleet.requests`: makes the counter `<name>` and the histogram `<name>.duration` in milliseconds. */
export function operationMeter(name: string): OperationMeter {
  if (!telemetryOn) return noMeter;
  const series = new SeriesTable();
  reportFrom(({ counts, durations }) => {
    for (const each of series) {
      const { attributes, count } = each;
      if (count === 0) continue;
      counts.push({ name, attributes, count });
      durations.push({ name: `${name}.duration`, attributes, values: each.sample.slice(0, count) });
      each.count = 0;
    }
  });
  return {
    record(operation, outcome, startedAt) {
      const one = series.of(operation, outcome);
      const count = one.count++;
      // Vitter's algorithm R: whatever came is in the sample with the same chance.
      const at = count < SAMPLE ? count : Math.floor(Math.random() * (count + 1));
      if (at < SAMPLE) one.sample[at] = performance.now() - startedAt;
    },
  };
}

interface Series {
  readonly attributes: Attributes;
  /** Since the last report. */
  count: number;
  /** Milliseconds; as many as `count` says, if there is room. */
  readonly sample: Float64Array;
}

/** One series for each operation and outcome; both come from closed lists. */
class SeriesTable {
  readonly #byOperation = new Map<string, Map<string, Series>>();

  of(operation: string, outcome: string): Series {
    let byOutcome = this.#byOperation.get(operation);
    if (byOutcome === undefined) this.#byOperation.set(operation, (byOutcome = new Map<string, Series>()));
    let series = byOutcome.get(outcome);
    if (series === undefined) {
      series = { attributes: { operation, outcome }, count: 0, sample: new Float64Array(SAMPLE) };
      byOutcome.set(outcome, series);
    }
    return series;
  }

  *[Symbol.iterator](): Generator<Series> {
    for (const byOutcome of this.#byOperation.values()) yield* byOutcome.values();
  }
}

/** Counts what is rare, by its outcome. */
export function outcomeCounter(name: string): (outcome: string) => void {
  if (!telemetryOn) return () => undefined;
  const counted = new Map<string, number>();
  reportFrom(({ counts }) => {
    for (const [outcome, count] of counted) counts.push({ name, attributes: { outcome }, count });
    counted.clear();
  });
  return (outcome) => void counted.set(outcome, (counted.get(outcome) ?? 0) + 1);
}

/** A value that is read for every report; undefined: there is none now. */
export function observeGauge(name: string, read: () => number | undefined): void {
  if (telemetryOn) reportFrom(({ gauges }) => void gauges.push({ name, value: read() }));
}
