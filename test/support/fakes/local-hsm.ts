import type { CommandContext, CommandHandler } from '@keyfleet/hsm-worker/boundary/commands/command';
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { RefusedError } from '@keyfleet/hsm-worker/boundary/errors';
import { randomBytes } from 'node:crypto';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { type HsmCommands, HsmRefusedError } from '@keyfleet/frontend/hsm/commands';
import { testContext } from '../command-context.ts';

/** The HSM's own commands in this process: all is real but the channel. */
export class LocalHsm implements HsmCommands {
  readonly executed: CommandName[] = [];
  now = 0;
  readonly #context: CommandContext = testContext({
    clock: { now: () => this.now },
    random: randomBytes,
    nonce: randomBytes,
  });

  async execute<N extends CommandName>(command: N, input: InputOf<N>): Promise<OutputOf<N>> {
    this.executed.push(command);
    try {
      return await (handlers[command] as CommandHandler<N>)(input, this.#context, undefined);
    } catch (error) {
      throw error instanceof RefusedError ? new HsmRefusedError(error.refusal) : error;
    }
  }

  async executeEverywhere<N extends CommandName>(command: N, input: InputOf<N>): Promise<void> {
    await this.execute(command, input);
  }
}
