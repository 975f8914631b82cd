/**
 * OpenTelemetry, off unless the standard OTEL_* settings ask for it. Nothing else reads the environment: the SDK
 * defines those names, and every other setting is in the configuration file.
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

/** Decided once, so that a seam costs one comparison while telemetry is off. */
export const telemetryOn = asksForIt && environment['OTEL_SDK_DISABLED'] !== 'true';

/** Which requests are traced. */
export interface TraceRule {
  /** Minimum time between the starts of two traces, in milliseconds. */
  readonly spacingMs: number;
  /** The share of the requests left by the spacing, from 0 to 1. */
  readonly share: number;
}

/** One trace a second, as in the default rule of AWS X-Ray: a trace costs half as much as its request. */
const defaultRule: TraceRule = { spacingMs: 1_000, share: 1 };

/**
 * The samplers of the OpenTelemetry specification. No request has a parent, because callers' trace headers are not
 * followed.
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

/** A text that is not a ratio means the specification's default, 1. */
function ratio(text = ''): number {
  const share = Number.parseFloat(text);
  if (share >= 0 && share <= 1) return share;
  process.emitWarning(`OTEL_TRACES_SAMPLER_ARG "${text}" is not a number from 0 to 1: every request is traced`);
  return 1;
}

/** The service's name in what it exports. */
export function exportedName(service: string): string {
  return environment['OTEL_SERVICE_NAME'] ?? `keyfleet-${service}`;
}

/** For the SDK: it must not sample again what was already chosen. */
export const sdkEnvironment = Object.fromEntries(
  Object.entries(environment).filter(([name]) => name !== 'OTEL_TRACES_SAMPLER'),
);
