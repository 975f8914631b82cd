import { reportFrom } from './export.ts';
import type { Attributes } from './report.ts';
import { telemetryOn } from './settings.ts';

/**
 * The maximum number of durations reported per series: a fair sample of those since the previous report. Each costs the
 * SDK a microsecond, and a histogram of this many says as much as one of all.
 */
const SAMPLE = 512;

/**
 * Counts all operations and times a fair sample, by operation and outcome: requests at the edge, for example, or
 * commands to an HSM.
 */
export interface OperationMeter {
  /** `outcome`: `ok` or the code of the exception or refusal; `startedAt`: `performance.now()` at the start. */
  record(operation: string, outcome: string, startedAt: number): void;
}

const noMeter: OperationMeter = { record: () => undefined };

/**
 * `name` as in `keyfleet.requests`: creates the counter `<name>` and the histogram `<name>.duration.milliseconds`. The
 * unit is in the name because OpenTelemetry's exporter for Prometheus, unlike a collector, adds none.
 */
export function operationMeter(name: string): OperationMeter {
  if (!telemetryOn) return noMeter;
  const series = new SeriesTable();
  reportFrom(({ counts, durations }) => {
    for (const each of series) {
      const { attributes, count } = each;
      if (count === 0) continue;
      counts.push({ name, attributes, count });
      durations.push({ name: `${name}.duration.milliseconds`, attributes, values: each.sample.slice(0, count) });
      each.count = 0;
    }
  });
  return {
    record(operation, outcome, startedAt) {
      const one = series.of(operation, outcome);
      const count = one.count++;
      // Vitter's algorithm R: every duration has the same chance to be in the sample.
      const at = count < SAMPLE ? count : Math.floor(Math.random() * (count + 1));
      if (at < SAMPLE) one.sample[at] = performance.now() - startedAt;
    },
  };
}

interface Series {
  readonly attributes: Attributes;
  /** Since the previous report. */
  count: number;
  /** In milliseconds; as many as `count` says, if there is room. */
  readonly sample: Float64Array;
}

/** One series for each operation and outcome, both from closed lists. */
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

/**
 * Counts rare events, by their outcome. Those of `outcomes` are reported as zero before they happen: else Prometheus
 * takes the first one for something that it has missed, and sees no increase.
 */
export function outcomeCounter<Outcome extends string>(
  name: string,
  outcomes: readonly Outcome[] = [],
): (outcome: Outcome) => void {
  if (!telemetryOn) return () => undefined;
  const counted = new Map<Outcome, number>(outcomes.map((outcome) => [outcome, 0]));
  reportFrom(({ counts }) => {
    for (const [outcome, count] of counted) counts.push({ name, attributes: { outcome }, count });
    counted.clear();
  });
  return (outcome) => void counted.set(outcome, (counted.get(outcome) ?? 0) + 1);
}

/** A value read for every report; undefined if there is none now, which is NaN if there was one before. */
export function observeGauge(name: string, read: () => number | undefined): void {
  if (telemetryOn) reportFrom(({ gauges }) => void gauges.push({ name, attributes: {}, value: read() }));
}

/** Values of several things of one kind, read for every report. What is not read any more has no value: NaN. */
export function observeGauges(name: string, read: () => Iterable<readonly [Attributes, number]>): void {
  if (!telemetryOn) return;
  reportFrom(({ gauges }) => {
    for (const [attributes, value] of read()) gauges.push({ name, attributes, value });
  });
}
