import { type Command, commands, type CommandName, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import type { HsmCommands } from './commands.ts';
import type { WorkerPool } from './pool.ts';

/** Typed commands over the pool, which knows only bytes. */
export class PoolCommands implements HsmCommands {
  readonly #pool: Pick<WorkerPool, 'run'>;

  constructor(pool: Pick<WorkerPool, 'run'>) {
    this.#pool = pool;
  }

  async execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const command: Command = commands[name];
    const output = await this.#pool.run(command, command.input.encode(input), deadline);
    return command.output.decode(output) as OutputOf<N>;
  }
}
