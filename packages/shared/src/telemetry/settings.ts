/**
 * OpenTelemetry, off unless the standard OTEL_* settings ask for it. This is the one place that looks at the
 * environment: the SDK defines those names, and every other setting stands in the configuration file.
 */
// oxlint-disable-next-line node/no-process-env
const environment: Readonly<Record<string, string | undefined>> = process.env;
const asksForIt = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_METRICS_EXPORTER',
].some((name) => (environment[name] ?? 'none') !== 'none');

/** Decided once, so that a seam costs one comparison when telemetry is off. */
export const telemetryOn = asksForIt && environment['OTEL_SDK_DISABLED'] !== 'true';

/** Which requests are traced. */
export interface TraceRule {
  /** Milliseconds from the beginning of one trace to the next, at least. */
  readonly spacingMs: number;
  /** Of the requests that spacing leaves, from 0 to 1. */
  readonly share: number;
}

/** One trace a second, as in the default rule of AWS X-Ray: a trace costs as much as half its request. */
const defaultRule: TraceRule = { spacingMs: 1_000, share: 1 };

/**
 * The samplers of the OpenTelemetry specification. As the trace headers of callers are not followed, no request has a
 * parent.
 */
export function traceRule(settings: Readonly<Record<string, string | undefined>> = environment): TraceRule {
  const never = { spacingMs: 0, share: 0 };
  if (settings['OTEL_TRACES_EXPORTER']?.split(',').includes('none')) return never;
  const sampler = settings['OTEL_TRACES_SAMPLER'];
  switch (sampler?.replace(/^parentbased_/, '')) {
    case undefined:
      return defaultRule;
    case 'always_on':
      return { spacingMs: 0, share: 1 };
    case 'always_off':
      return never;
    case 'traceidratio':
      return { spacingMs: 0, share: ratio(settings['OTEL_TRACES_SAMPLER_ARG']) };
    default:
      process.emitWarning(`OTEL_TRACES_SAMPLER "${sampler}" is unknown: one request a second is traced, as without it`);
      return defaultRule;
  }
}

/** The specification's default, 1, stands in for what is no ratio. */
function ratio(text = ''): number {
  const share = Number.parseFloat(text);
  if (share >= 0 && share <= 1) return share;
  process.emitWarning(`OTEL_TRACES_SAMPLER_ARG "${text}" is not a number from 0 to 1: every request is traced`);
  return 1;
}

/** What the service is called in what it exports. */
export function exportedName(service: string): string {
  return environment['OTEL_SERVICE_NAME'] ?? `keyfleet-${service}`;
}

/** The SDK's: what it is told of has been chosen already. */
export const sdkEnvironment = Object.fromEntries(
  Object.entries(environment).filter(([name]) => name !== 'OTEL_TRACES_SAMPLER'),
);
