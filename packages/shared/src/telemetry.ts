import { setTimeout as delay } from 'node:timers/promises';

/** A collector that is gone does not hold up a service that stops. */
const FLUSH_BUDGET_MS = 2_000;

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

/**
 * Milliseconds from the beginning of one trace to the next, at least: one a second, as in the default rule of AWS X-Ray, since a
 * trace costs as much as half its request. When OTEL_TRACES_SAMPLER is set, that sampler is asked for every request.
 */
export const traceSpacingMs = environment['OTEL_TRACES_SAMPLER'] === undefined ? 1_000 : 0;

/** Starts the SDK when it is asked for; dispose to flush. Await it before anything else of the service is imported or built. */
export async function startTelemetry(serviceName: string): Promise<AsyncDisposable> {
  if (!telemetryOn) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({ serviceName: environment['OTEL_SERVICE_NAME'] ?? `keyfleet-${serviceName}` });
  sdk.start();
  return { [Symbol.asyncDispose]: () => Promise.race([sdk.shutdown(), delay(FLUSH_BUDGET_MS)]) };
}
