import type { CommandName } from '@keyfleet/shared/hsm/commands';
import { inSpan, operationMeter, telemetryOn } from '@keyfleet/shared/telemetry';
import { type CommandContext, RefusedError } from './boundary/commands/command.ts';
import type { CommandHandlers } from './boundary/dispatch.ts';

type AnyHandler = (input: unknown, context: CommandContext) => unknown;

/** The handlers as they are, or, when telemetry is on, each in a span, counted and timed by outcome. Looks at no input or output. */
export function observeCommands(handlers: CommandHandlers): CommandHandlers {
  if (!telemetryOn) return handlers;
  const meter = operationMeter('keyfleet.worker.commands');
  const observed = (name: CommandName): AnyHandler => {
    const handler = handlers[name] as AnyHandler;
    return (input, context) =>
      inSpan('worker command', { 'keyfleet.command': name }, async () => {
        const startedAt = performance.now();
        try {
          const output = await handler(input, context);
          meter.record(name, 'ok', startedAt);
          return output;
        } catch (error) {
          meter.record(name, error instanceof RefusedError ? error.refusal : 'internal', startedAt);
          throw error;
        }
      });
  };
  const names = Object.keys(handlers) as CommandName[];
  return Object.fromEntries(names.map((name) => [name, observed(name)])) as unknown as CommandHandlers;
}
