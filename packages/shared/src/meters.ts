import { type Attributes, metrics } from '@opentelemetry/api';
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
  const durations = meter.createHistogram(`${name}.duration`, { unit: 'ms' });
  const series = new SeriesTable();
  // Added up here and read when metrics are collected: the histogram alone costs as much as one may.
  meter.createObservableCounter(name).addCallback((result) => {
    for (const { attributes, count } of series) result.observe(count, attributes);
  });
  return {
    record(operation, outcome, startedAt) {
      const one = series.of(operation, outcome);
      one.count++;
      durations.record(performance.now() - startedAt, one.attributes);
    },
  };
}

interface Series {
  readonly attributes: Attributes;
  count: number;
}

/** One series for each operation and outcome; both come from closed lists. */
class SeriesTable {
  readonly #byOperation = new Map<string, Map<string, Series>>();

  of(operation: string, outcome: string): Series {
    let byOutcome = this.#byOperation.get(operation);
    if (byOutcome === undefined) this.#byOperation.set(operation, (byOutcome = new Map<string, Series>()));
    let series = byOutcome.get(outcome);
    if (series === undefined) byOutcome.set(outcome, (series = { attributes: { operation, outcome }, count: 0 }));
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
