import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { TraceParent } from '../hsm/frame.ts';
import { reportFrom, sendReport } from './export.ts';
import type { Attributes, SpanRecord } from './report.ts';
import { telemetryOn, traceRule } from './settings.ts';

/** W3C Trace Context. */
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** Reported without waiting for the next report: fewer than the SDK's queue takes at once. */
const REPORTED_TOGETHER = 256;

const { spacingMs, share } = traceRule();
/** Of `performance.now()`. */
let nextTraceAt = 0;

/** A span that has not ended, or the trace that the first one is about to begin. */
interface Scope {
  readonly traceId: string;
  readonly spanId: string | undefined;
  /** Milliseconds that make `performance.now()` a time since the epoch. */
  readonly epoch: number;
}

const active = new AsyncLocalStorage<Scope>();
/**
 * Spans that run now. While there are none, nothing need be asked for the active one, which costs microseconds each
 * time.
 */
let running = 0;
const ended: SpanRecord[] = [];
if (telemetryOn) reportFrom(({ spans }) => void spans.push(...ended.splice(0)));

/**
 * Runs `work` as a request of its own. Whether it is traced is decided here, once; if it is not, neither it nor
 * anything within makes a span, which would cost many times the decision. No secret may stand in an attribute.
 */
export function inRequestSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!telemetryOn || !beginsTrace(performance.now())) return work();
  return within({ traceId: randomHex(TRACE_ID_BYTES), spanId: undefined, epoch: epochNow() }, name, attributes, work);
}

/** Runs `work` in a span of the request that it belongs to, if that is traced. No secret may stand in an attribute. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const parent = activeScope();
  return parent === undefined ? work() : within(parent, name, attributes, work);
}

/** The span that is running here, for another process to continue; undefined when the request is not traced. */
export function activeTrace(): TraceParent | undefined {
  const scope = activeScope();
  return scope?.spanId === undefined ? undefined : Buffer.from(scope.traceId + scope.spanId, 'hex');
}

/** Adds to the trace of another process what was done here from `startedAt` (`performance.now()`) until now. */
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
    // The name alone: a message may quote what the caller sent.
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
