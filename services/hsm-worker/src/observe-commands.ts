import { commands } from '@keyfleet/shared/hsm/commands';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { telemetryOn } from '@keyfleet/shared/telemetry/settings';
import { recordSpan } from '@keyfleet/shared/telemetry/tracing';
import type { CommandObserver } from './boundary/executor.ts';

/** Counts and times commands by outcome, and adds a span for traced requests; undefined if telemetry is off. */
export function commandObserver(): CommandObserver | undefined {
  if (!telemetryOn) return undefined;
  const meter = operationMeter('keyfleet.worker.commands');
  const names = new Map<number, string>(Object.values(commands).map(({ code, name }) => [code, name]));
  return {
    ran(code, refusal, startedAt, trace) {
      const name = names.get(code) ?? 'unknown';
      const outcome = refusal ?? 'ok';
      meter.record(name, outcome, startedAt);
      if (trace)
        recordSpan('worker command', trace, { 'keyfleet.command': name, 'keyfleet.outcome': outcome }, startedAt);
    },
  };
}
