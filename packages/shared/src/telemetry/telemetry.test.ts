import { afterEach, expect, test, vi } from 'vitest';
import { createLog } from '../log.ts';
import { operationMeter } from './meters.ts';
import { telemetryOn, traceRule } from './settings.ts';
import { activeTrace, inRequestSpan, inSpan } from './tracing.ts';

test('telemetry is off unless the environment asks for it, and the seams then do nothing', async () => {
  expect(telemetryOn).toBe(false);
  const promise = Promise.resolve(7);
  expect(inRequestSpan('Encrypt', {}, () => promise)).toBe(promise);
  expect(inSpan('hsm command', {}, () => promise)).toBe(promise);
  expect(activeTrace()).toBeUndefined();
  expect(operationMeter('keyfleet.requests')).toBe(operationMeter('keyfleet.commands'));
  await promise;
});

test.for([
  [{}, 1_000, 1],
  [{ OTEL_TRACES_SAMPLER: 'always_on' }, 0, 1],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, 0, 0],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, 0, 0.25],
  [{ OTEL_TRACES_SAMPLER: 'always_on', OTEL_TRACES_EXPORTER: 'none' }, 0, 0],
] as const)('%o begins a trace every %i ms at most, of a share of %d', ([settings, spacingMs, share]) => {
  expect(traceRule(settings)).toEqual({ spacingMs, share });
});

test('a sampler or a ratio that is not one is said, and the default takes its place', () => {
  using warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
  expect(traceRule({ OTEL_TRACES_SAMPLER: 'sometimes' })).toEqual(traceRule({}));
  expect(traceRule({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }).share).toBe(1);
  expect(warned.mock.calls.map(([warning]) => warning)).toEqual([
    'OTEL_TRACES_SAMPLER "sometimes" is unknown: one request a second is traced, as without it',
    'OTEL_TRACES_SAMPLER_ARG "2" is not a number from 0 to 1: every request is traced',
  ]);
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** The seams as in a process started with telemetry on. */
async function withTelemetry() {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318');
  vi.resetModules();
  const { takeReport } = await import('./export.ts');
  const meters = await import('./meters.ts');
  return { takeReport, meter: meters.operationMeter('keyfleet.requests') };
}

const attributes = { operation: 'Encrypt', outcome: 'ok' };

test('every duration is reported when there are few, once', async () => {
  const { takeReport, meter } = await withTelemetry();
  for (const ago of [150_000, 250_000, 350_000]) meter.record('Encrypt', 'ok', performance.now() - ago);
  const { counts, durations } = takeReport();
  expect(counts).toEqual([{ name: 'keyfleet.requests', attributes, count: 3 }]);
  expect(durations).toMatchObject([{ name: 'keyfleet.requests.duration.milliseconds', attributes }]);
  expect([...durations[0]!.values].map((ms) => Math.floor(ms / 100_000))).toEqual([1, 2, 3]);
  expect(takeReport()).toMatchObject({ counts: [], durations: [] });
});

test('all of many requests are counted, and a fair sample is timed', async () => {
  const { takeReport, meter } = await withTelemetry();
  for (let i = 0; i < 10_000; i++) meter.record('Encrypt', 'ok', performance.now() - (i < 5_000 ? 1_000 : 9_000));
  const { counts, durations } = takeReport();
  expect(counts).toMatchObject([{ count: 10_000 }]);
  const { values } = durations[0]!;
  expect(values).toHaveLength(512);
  const late = values.filter((ms) => ms > 5_000).length / values.length;
  // Seven standard deviations.
  expect(late).toBeGreaterThan(0.35);
  expect(late).toBeLessThan(0.65);
});

test('a service whose telemetry fails says so, serves on and stops in order', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318');
  vi.stubEnv('NODE_OPTIONS', '--require /there/is/no/such/module.cjs');
  vi.resetModules();
  const { startTelemetry } = await import('./export.ts');
  const lines: string[] = [];
  const log = createLog({ name: 'test', level: 'info' }, { write: (line) => void lines.push(line) });
  {
    await using _telemetry = startTelemetry('test', log);
    await expect.poll(() => lines.join('')).toContain('telemetry failed');
  }
  expect(lines).toHaveLength(1);
});
