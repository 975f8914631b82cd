import { expect, test, vi } from 'vitest';
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
  const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
  expect(traceRule({ OTEL_TRACES_SAMPLER: 'sometimes' })).toEqual(traceRule({}));
  expect(traceRule({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }).share).toBe(1);
  expect(warned.mock.calls.map(([warning]) => warning)).toEqual([
    'OTEL_TRACES_SAMPLER "sometimes" is unknown: one request a second is traced, as without it',
    'OTEL_TRACES_SAMPLER_ARG "2" is not a number from 0 to 1: every request is traced',
  ]);
});
