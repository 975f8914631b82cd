import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type Command, commands, type CommandName, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import { HsmRefusedError, type MemberAnswer, type MemberCommands } from './commands.ts';
import type { WorkerPool } from './pool.ts';
import type { Answer } from './work.ts';

/** Typed commands over the pool, which knows only bytes. */
export class PoolCommands implements MemberCommands {
  readonly #pool: Pick<WorkerPool, 'run' | 'runEverywhere'>;
  readonly #meter = operationMeter('keyfleet.hsm.commands');

  constructor(pool: Pick<WorkerPool, 'run' | 'runEverywhere'>) {
    this.#pool = pool;
  }

  execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    return this.#inSpan(name, (command) => this.#pool.run(command, command.input.encode(input), deadline), outputOf);
  }

  executeByMember<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>> {
    const run = (command: Command): Promise<Answer> =>
      this.#pool.run(command, command.input.encode(input), deadline, notBy);
    return this.#inSpan(name, run, (of, answer) => ({ output: outputOf(of, answer), memberId: answer.memberId }));
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    const command: Command = commands[name];
    return this.#pool.runEverywhere(command, command.input.encode(input), deadline);
  }

  #inSpan<N extends CommandName, T>(
    name: N,
    run: (command: Command) => Promise<Answer>,
    read: (name: N, answer: Answer) => T,
  ): Promise<T> {
    return inSpan('hsm command', { 'keyfleet.command': name }, async () => {
      const startedAt = performance.now();
      try {
        const result = read(name, await run(commands[name]));
        this.#meter.record(name, 'ok', startedAt);
        return result;
      } catch (error) {
        this.#meter.record(name, error instanceof HsmRefusedError ? error.refusal : 'unavailable', startedAt);
        throw error;
      }
    });
  }
}

/** An answer that is none of the command's is as good as a refusal. */
function outputOf<N extends CommandName>(name: N, { output, memberId }: Answer): OutputOf<N> {
  try {
    return commands[name].output.decode(output) as OutputOf<N>;
  } catch (error) {
    throw error instanceof FormatError ? new HsmRefusedError('internal', memberId) : error;
  }
}
