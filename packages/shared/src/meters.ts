import { type Attributes, type Histogram, metrics } from '@opentelemetry/api';
import { telemetryOn } from './telemetry.ts';

/** Counts and times what has an operation and an outcome, such as requests at the edge or commands to an HSM. */
export interface OperationMeter {
  /** `outcome`: `ok` or the code of the exception or refusal; `startedAt`: `performance.now()` at the beginning. */
  record(operation: string, outcome: string, startedAt: number): void;
}

const noMeter: OperationMeter = { record: () => undefined };

/** `name` as in `keyfleet.requests`: makes the counter `<name>` and the histogram `<name>.duration` in milliseconds. */
export function operationMeter(name: string): OperationMeter {
  if (!telemetryOn) return noMeter;
  const meter = metrics.getMeter('keyfleet');
  const histogram = meter.createHistogram(`${name}.duration`, { unit: 'ms' });
  const series = new SeriesTable();
  meter.createObservableCounter(name).addCallback((result) => {
    // Callbacks run before the histograms are read: what is reported is complete.
    for (const one of series) {
      flush(one, histogram);
      result.observe(one.count, one.attributes);
    }
  });
  return {
    record(operation, outcome, startedAt) {
      const one = series.of(operation, outcome);
      one.count++;
      if (one.durations.push(performance.now() - startedAt) === BATCH) flush(one, histogram);
    },
  };
}

/** Recorded together: one by one, each finds the SDK's code and data out of the CPU's caches, at several times the price. */
const BATCH = 64;

function flush({ durations, attributes }: Series, histogram: Histogram): void {
  for (const duration of durations) histogram.record(duration, attributes);
  durations.length = 0;
}

interface Series {
  readonly attributes: Attributes;
  count: number;
  /** Milliseconds; those that the histogram has not been told of. */
  readonly durations: number[];
}

/** One series for each operation and outcome; both come from closed lists. */
class SeriesTable {
  readonly #byOperation = new Map<string, Map<string, Series>>();

  of(operation: string, outcome: string): Series {
    let byOutcome = this.#byOperation.get(operation);
    if (byOutcome === undefined) this.#byOperation.set(operation, (byOutcome = new Map<string, Series>()));
    let series = byOutcome.get(outcome);
    if (series === undefined) {
      series = { attributes: { operation, outcome }, count: 0, durations: [] };
      byOutcome.set(outcome, series);
    }
    return series;
  }

  *[Symbol.iterator](): Generator<Series> {
    for (const byOutcome of this.#byOperation.values()) yield* byOutcome.values();
  }
}

/** A value that is read whenever metrics are collected; undefined: there is none now. */
export function observeGauge(name: string, read: () => number | undefined): void {
  if (!telemetryOn) return;
  const gauge = metrics.getMeter('keyfleet').createObservableGauge(name);
  gauge.addCallback((result) => {
    const value = read();
    if (value !== undefined) result.observe(value);
  });
}
