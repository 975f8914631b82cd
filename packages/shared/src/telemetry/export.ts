import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Log } from '../log.ts';
import type { Report } from './report.ts';
import { exportedName, sdkEnvironment, telemetryOn } from './settings.ts';

const REPORT_INTERVAL_MS = 1_000;
/** A collector that is gone does not hold up a service that stops. */
const FLUSH_BUDGET_MS = 2_000;

/** Adds what it has gathered since the report before. */
type Source = (report: Report) => void;
const sources: Source[] = [];
let thread: Worker | undefined;

export function reportFrom(source: Source): void {
  sources.push(source);
}

/** What has been gathered since it was taken before. */
export function takeReport(): Report {
  const report: Report = { counts: [], durations: [], gauges: [], spans: [] };
  for (const source of sources) source(report);
  return report;
}

/** Sends what has been gathered to the thread that exports it; without that thread it is dropped. */
export function sendReport(): void {
  const report = takeReport();
  if (Object.values(report).some(({ length }) => length > 0)) thread?.postMessage(report);
}

/** What `export-thread.ts` is started with. */
export interface ExportThreadData {
  readonly serviceName: string;
  /** Of the service, for the attributes of its resource. */
  readonly argv: readonly string[];
}

/**
 * Starts the SDK when it is asked for; dispose to flush. The SDK has a thread, and so a heap, of its own: loaded beside
 * the code that handles requests, it makes that code slower by more than all seams cost, even while it does nothing.
 */
export function startTelemetry(service: string, log: Log): AsyncDisposable {
  if (!telemetryOn) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const workerData: ExportThreadData = { serviceName: exportedName(service), argv: process.argv };
  const started = new Worker(new URL('./export-thread.ts', import.meta.url), { env: sdkEnvironment, workerData });
  thread = started;
  started.unref();
  started.on('error', (error) => log.error({ err: error }, 'telemetry failed; nothing is exported any more'));
  // Not `once()` of node:events, which rejects when the thread fails: the service must not end with it.
  const exited = new Promise((resolve) => started.once('exit', resolve));
  const timer = setInterval(sendReport, REPORT_INTERVAL_MS).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      sendReport();
      started.postMessage('stop');
      await Promise.race([exited, delay(FLUSH_BUDGET_MS)]);
    },
  };
}
