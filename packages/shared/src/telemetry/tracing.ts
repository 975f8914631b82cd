import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { TraceParent } from '../hsm/frame.ts';
import { reportFrom, sendReport } from './export.ts';
import type { Attributes, SpanRecord } from './report.ts';
import { telemetryOn, traceRule } from './settings.ts';

/** W3C Trace Context. */
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/**
 * Once this many have ended, they are reported without waiting for the next report: fewer than the SDK's queue takes at
 * once.
 */
const REPORTED_TOGETHER = 256;

const { spacingMs, share } = traceRule();
/** In terms of `performance.now()`. */
let nextTraceAt = 0;

/** A span in progress, or the trace that its first span is about to begin. */
interface Scope {
  readonly traceId: string;
  readonly spanId: string | undefined;
  /** Add these milliseconds to turn `performance.now()` into a time since the epoch. */
  readonly epoch: number;
}

const active = new AsyncLocalStorage<Scope>();
/**
 * The number of spans in progress. While it is zero, the active one need not be looked up, which costs microseconds
 * each time.
 */
let running = 0;
const ended: SpanRecord[] = [];
if (telemetryOn) reportFrom(({ spans }) => void spans.push(...ended.splice(0)));

/**
 * Runs `work` as a separate request. Whether it is traced is decided here, once. If it is not, neither it nor anything
 * within makes a span, which would cost many times the decision. Attributes must contain no secret.
 */
export function inRequestSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!telemetryOn || !beginsTrace(performance.now())) return work();
  return within({ traceId: randomHex(TRACE_ID_BYTES), spanId: undefined, epoch: epochNow() }, name, attributes, work);
}

/** Runs `work` in a span of its request, if that is traced. Attributes must contain no secret. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const parent = activeScope();
  return parent === undefined ? work() : within(parent, name, attributes, work);
}

/** The current span, for another process to continue; undefined if the request is not traced. */
export function activeTrace(): TraceParent | undefined {
  const scope = activeScope();
  return scope?.spanId === undefined ? undefined : Buffer.from(scope.traceId + scope.spanId, 'hex');
}

/** Adds to another process's trace what was done here from `startedAt` (`performance.now()`) until now. */
export function recordSpan(name: string, parent: TraceParent, attributes: Attributes, startedAt: number): void {
  const ids = Buffer.from(parent).toString('hex');
  const epoch = epochNow();
  end({
    name,
    traceId: ids.slice(0, 2 * TRACE_ID_BYTES),
    spanId: randomHex(SPAN_ID_BYTES),
    parentSpanId: ids.slice(2 * TRACE_ID_BYTES),
    parentIsRemote: true,
    startedAt: epoch + startedAt,
    endedAt: epoch + performance.now(),
    attributes,
    error: undefined,
  });
}

async function within<T>(parent: Scope, name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const { traceId, spanId: parentSpanId, epoch } = parent;
  const spanId = randomHex(SPAN_ID_BYTES);
  const startedAt = epoch + performance.now();
  let error: string | undefined;
  running++;
  try {
    return await active.run({ traceId, spanId, epoch }, work);
  } catch (thrown) {
    // Only the name: a message may quote what the caller sent.
    error = thrown instanceof Error ? thrown.name : 'unknown';
    throw thrown;
  } finally {
    running--;
    const endedAt = epoch + performance.now();
    end({ name, traceId, spanId, parentSpanId, parentIsRemote: false, startedAt, endedAt, attributes, error });
  }
}

function end(span: SpanRecord): void {
  if (ended.push(span) >= REPORTED_TOGETHER) sendReport();
}

function beginsTrace(now: number): boolean {
  if (now < nextTraceAt || Math.random() >= share) return false;
  nextTraceAt = now + spacingMs;
  return true;
}

function activeScope(): Scope | undefined {
  return running === 0 ? undefined : active.getStore();
}

function epochNow(): number {
  return Date.now() - performance.now();
}

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}
