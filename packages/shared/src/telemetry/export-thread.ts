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
import type { Report, SpanRecord } from './report.ts';

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
const gauges = new Map<string, number | undefined>();

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

function setGauge(name: string, value: number | undefined): void {
  if (!gauges.has(name)) {
    meter.createObservableGauge(name).addCallback((result) => {
      const newest = gauges.get(name);
      if (newest !== undefined) result.observe(newest);
    });
  }
  gauges.set(name, value);
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
  for (const { name, value } of values) setGauge(name, value);
  for (const span of spans) addSpan(span);
}

parentPort!.on('message', (message: Report | 'stop') => {
  if (message === 'stop') void sdk.shutdown().finally(() => process.exit());
  else take(message);
});
