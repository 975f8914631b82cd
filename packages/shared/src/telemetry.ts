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
 * The share of requests that may have a trace. A trace costs a good part of what its request costs, and to ask the SDK's sampler
 * costs as much as all metrics: it is asked for every request only when OTEL_TRACES_SAMPLER is set, and else for one in a hundred,
 * which it takes.
 */
export const traceableShare = environment['OTEL_TRACES_SAMPLER'] === undefined ? 0.01 : 1;

/** Starts the SDK when it is asked for; dispose to flush. Await it before anything else of the service is imported or built. */
export async function startTelemetry(serviceName: string): Promise<AsyncDisposable> {
  if (!telemetryOn) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({ serviceName: environment['OTEL_SERVICE_NAME'] ?? `keyfleet-${serviceName}` });
  sdk.start();
  return { [Symbol.asyncDispose]: () => Promise.race([sdk.shutdown(), delay(FLUSH_BUDGET_MS)]) };
}
