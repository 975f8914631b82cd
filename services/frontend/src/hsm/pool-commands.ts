import { type Command, commands, type CommandName, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import { type HsmCommands, HsmRefusedError } from './commands.ts';
import type { WorkerPool } from './pool.ts';

/** Typed commands over the pool, which knows only bytes. */
export class PoolCommands implements HsmCommands {
  readonly #pool: Pick<WorkerPool, 'run' | 'runEverywhere'>;
  readonly #meter = operationMeter('keyfleet.hsm.commands');

  constructor(pool: Pick<WorkerPool, 'run' | 'runEverywhere'>) {
    this.#pool = pool;
  }

  execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    return inSpan('hsm command', { 'keyfleet.command': name }, () => this.#execute(name, input, deadline));
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    const command: Command = commands[name];
    return this.#pool.runEverywhere(command, command.input.encode(input), deadline);
  }

  async #execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const command: Command = commands[name];
    const startedAt = performance.now();
    try {
      const output = await this.#pool.run(command, command.input.encode(input), deadline);
      this.#meter.record(name, 'ok', startedAt);
      return command.output.decode(output) as OutputOf<N>;
    } catch (error) {
      this.#meter.record(name, error instanceof HsmRefusedError ? error.refusal : 'unavailable', startedAt);
      throw error;
    }
  }
}
