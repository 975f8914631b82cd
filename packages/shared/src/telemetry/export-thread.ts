import { parentPort, workerData } from 'node:worker_threads';
import {
  type Counter,
  type Histogram,
  type HrTime,
  metrics,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { ExportThreadData } from './export.ts';
import type { Attributes, Gauge, Report, SpanRecord } from './report.ts';

// The thread of a service in which the OpenTelemetry SDK runs: it passes the service's reports to the SDK.

const { serviceName, argv } = workerData as ExportThreadData;
process.argv = [...argv];

let recorded: SpanRecord | undefined;
const sdk = new NodeSDK({
  serviceName,
  // The service chooses the ids, because another process may know them already.
  idGenerator: {
    generateTraceId: () => recorded?.traceId ?? '',
    generateSpanId: () => recorded?.spanId ?? '',
  },
});
sdk.start();
const meter = metrics.getMeter('keyfleet');
const tracer = trace.getTracer('keyfleet');

const counters = new Map<string, Counter>();
const histograms = new Map<string, Histogram>();
/** By name and attributes. The SDK goes on with what it observed last: that there is no value any more is NaN. */
const gauges = new Map<string, Map<string, { readonly attributes: Attributes; value: number }>>();

function counter(name: string): Counter {
  let found = counters.get(name);
  if (found === undefined) counters.set(name, (found = meter.createCounter(name)));
  return found;
}

function histogram(name: string): Histogram {
  let found = histograms.get(name);
  if (found === undefined) histograms.set(name, (found = meter.createHistogram(name, { unit: 'ms' })));
  return found;
}

/** `values`: all that there are now. */
function takeGauges(values: readonly Gauge[]): void {
  for (const series of gauges.values()) for (const one of series.values()) one.value = Number.NaN;
  for (const { name, attributes, value } of values) {
    if (value !== undefined) gauge(name).set(JSON.stringify(attributes), { attributes, value });
  }
}

function gauge(name: string) {
  let found = gauges.get(name);
  if (found === undefined) {
    const series = (found = new Map<string, { readonly attributes: Attributes; value: number }>());
    gauges.set(name, series);
    meter.createObservableGauge(name).addCallback((result) => {
      for (const { attributes, value } of series.values()) result.observe(value, attributes);
    });
  }
  return found;
}

function addSpan(span: SpanRecord): void {
  const { traceId, parentSpanId, parentIsRemote: isRemote } = span;
  const parent =
    parentSpanId === undefined
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED, isRemote });
  recorded = span;
  const added = tracer.startSpan(span.name, { attributes: span.attributes, startTime: hrTime(span.startedAt) }, parent);
  if (span.error !== undefined) added.setStatus({ code: SpanStatusCode.ERROR, message: span.error });
  added.end(hrTime(span.endedAt));
}

/** A bare number could be taken for one of this thread's `performance.now()`. */
function hrTime(milliseconds: number): HrTime {
  const seconds = Math.trunc(milliseconds / 1000);
  return [seconds, Math.trunc((milliseconds - seconds * 1000) * 1e6)];
}

function take({ counts, durations, gauges: values, spans }: Report): void {
  for (const { name, attributes, count } of counts) counter(name).add(count, attributes);
  for (const { name, attributes, values: each } of durations) {
    const taken = histogram(name);
    for (const value of each) taken.record(value, attributes);
  }
  takeGauges(values);
  for (const span of spans) addSpan(span);
}

parentPort!.on('message', (message: Report | 'stop') => {
  if (message === 'stop') void sdk.shutdown().finally(() => process.exit());
  else take(message);
});
