import { expect, test } from 'vitest';
import { inSpan, operationMeter, telemetryOn } from './telemetry.ts';

test('telemetry is off unless the environment asks for it, and the seams then do nothing', async () => {
  expect(telemetryOn).toBe(false);
  const promise = Promise.resolve(7);
  expect(inSpan('encrypt', {}, () => promise)).toBe(promise);
  expect(operationMeter('keyfleet.requests')).toBe(operationMeter('keyfleet.commands'));
  await promise;
});
