import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import type { TraceParent } from './hsm/frame.ts';
import { telemetryOn, traceSpacingMs } from './telemetry.ts';

const TRACE_ID_BYTES = 16;

const tracer = trace.getTracer('keyfleet');

/** Spans that run now. While there are none, nothing need be asked for the context, which costs microseconds each time. */
let running = 0;
/** Of `performance.now()`. */
let nextTraceAt = 0;

/**
 * Runs `work` as a request of its own. Whether it is traced is decided here, once; if it is not, neither it nor anything within
 * makes a span or a context, which would cost many times the decision. No secret may stand in an attribute.
 */
export function inRequestSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!telemetryOn || performance.now() < nextTraceAt) return work();
  nextTraceAt = performance.now() + traceSpacingMs;
  const span = tracer.startSpan(name, undefined, ROOT_CONTEXT);
  return span.isRecording() ? within(span.setAttributes(attributes), work) : work();
}

/** Runs `work` in a span of the request that it belongs to, if that is traced. No secret may stand in an attribute. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (running === 0 || trace.getActiveSpan() === undefined) return work();
  return within(tracer.startSpan(name, { attributes }), work);
}

/** The span that is running here, for another process to continue; undefined when the request is not traced. */
export function activeTrace(): TraceParent | undefined {
  const span = running === 0 ? undefined : trace.getActiveSpan();
  if (span === undefined) return undefined;
  const { traceId, spanId } = span.spanContext();
  return Buffer.from(traceId + spanId, 'hex');
}

/** Adds to the trace of another process what was done here from `startedAt` (`performance.now()`) until now. */
export function recordSpan(name: string, parent: TraceParent, attributes: Attributes, startedAt: number): void {
  const ids = Buffer.from(parent).toString('hex');
  const remote = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: ids.slice(0, TRACE_ID_BYTES * 2),
    spanId: ids.slice(TRACE_ID_BYTES * 2),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
  tracer.startSpan(name, { attributes, startTime: startedAt }, remote).end(performance.now());
}

async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  running++;
  try {
    return await context.with(trace.setSpan(context.active(), span), work);
  } catch (error) {
    // The name alone: a message may quote what the caller sent.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'unknown' });
    throw error;
  } finally {
    span.end();
    running--;
  }
}
