import { expect, test } from 'vitest';
import { operationMeter } from './meters.ts';
import { telemetryOn } from './telemetry.ts';
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
