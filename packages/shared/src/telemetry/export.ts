import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Log } from '../log.ts';
import type { Report } from './report.ts';
import { exportedName, sdkEnvironment, telemetryOn } from './settings.ts';

const REPORT_INTERVAL_MS = 1_000;
/** A missing collector does not delay a service that stops. */
const FLUSH_BUDGET_MS = 2_000;

/** Adds what it has gathered since the previous report. */
type Source = (report: Report) => void;
const sources: Source[] = [];
let thread: Worker | undefined;

export function reportFrom(source: Source): void {
  sources.push(source);
}

/** Everything gathered since the previous call. */
export function takeReport(): Report {
  const report: Report = { counts: [], durations: [], gauges: [], spans: [] };
  for (const source of sources) source(report);
  return report;
}

/** Sends what was gathered to the export thread; without that thread it is dropped. */
export function sendReport(): void {
  const report = takeReport();
  if (Object.values(report).some(({ length }) => length > 0)) thread?.postMessage(report);
}

/** The start data of `export-thread.ts`. */
export interface ExportThreadData {
  readonly serviceName: string;
  /** The service's, for the attributes of its resource. */
  readonly argv: readonly string[];
}

/**
 * Starts the SDK if telemetry is asked for; dispose to flush. The SDK has its own thread, and so its own heap: loaded
 * beside the code that handles requests, it slows that code down more than all the seams together, even while idle.
 */
export function startTelemetry(service: string, log: Log): AsyncDisposable {
  if (!telemetryOn) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const workerData: ExportThreadData = { serviceName: exportedName(service), argv: process.argv };
  const started = new Worker(new URL('./export-thread.ts', import.meta.url), { env: sdkEnvironment, workerData });
  thread = started;
  started.unref();
  started.on('error', (error) => log.error({ err: error }, 'telemetry failed; nothing is exported any more'));
  // Not `once()` of node:events, which rejects if the thread fails: the service must not end with it.
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
