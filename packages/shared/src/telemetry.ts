import { type Attributes, metrics, type Span, SpanStatusCode, trace } from '@opentelemetry/api';

/**
 * OpenTelemetry, off unless the standard OTEL_* settings ask for it. This is the one place that looks at the environment: the
 * SDK defines those names, and every other setting stands in the configuration file.
 */
// oxlint-disable-next-line node/no-process-env
const environment = process.env;
const asksForIt = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_METRICS_EXPORTER',
].some((name) => (environment[name] ?? 'none') !== 'none');

/** Decided once, so that a seam costs one comparison when telemetry is off. */
export const telemetryOn = asksForIt && environment['OTEL_SDK_DISABLED'] !== 'true';

/** Starts the SDK when it is asked for; dispose to flush. Await it before anything else of the service is imported or built. */
export async function startTelemetry(serviceName: string): Promise<AsyncDisposable> {
  if (!telemetryOn) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({ serviceName: environment['OTEL_SERVICE_NAME'] ?? `keyfleet-${serviceName}` });
  sdk.start();
  return { [Symbol.asyncDispose]: () => sdk.shutdown() };
}

/** Runs `work` in a span, which ends with it and records its failure. No secret may stand in an attribute. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!telemetryOn) return work();
  return trace.getTracer('keyfleet').startActiveSpan(name, { attributes }, (span) => recordOutcome(span, work));
}

async function recordOutcome<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The name alone: a message may quote what the caller sent.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'unknown' });
    throw error;
  } finally {
    span.end();
  }
}

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
  const count = meter.createCounter(name);
  const durations = meter.createHistogram(`${name}.duration`, { unit: 'ms' });
  return {
    record(operation, outcome, startedAt) {
      const attributes = { operation, outcome };
      count.add(1, attributes);
      durations.record(performance.now() - startedAt, attributes);
    },
  };
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
