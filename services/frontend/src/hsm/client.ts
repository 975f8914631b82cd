import { type CommandName, commands, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import {
  type HsmCommands,
  HsmRefusedError,
  HsmUnavailableError,
  type MemberAnswer,
  type MemberCommands,
} from './commands.ts';
import { ConfirmedSealing, type ConfirmedSealingDeps, type SealingCommand } from './sealing.ts';
import { TokenFence, type TokenFenceDeps } from './token-fence.ts';

/** Each asks a worker that the pool picks at random; nothing of what the one before made is stored. */
const ATTEMPTS = 5;

export interface HsmClientDeps extends TokenFenceDeps, Omit<ConfirmedSealingDeps, 'hsm'> {
  readonly hsm: MemberCommands;
}

/**
 * The HSMs as the rest of the frontend has them. It sends no token that is not of the domain, takes none that may not be stored
 * (token-fence.ts), and gives out none that only its maker has seen (sealing.ts).
 */
export class HsmClient implements HsmCommands {
  readonly #hsm: MemberCommands;
  readonly #fence: TokenFence;
  readonly #sealing: ConfirmedSealing;

  constructor(deps: HsmClientDeps) {
    this.#hsm = deps.hsm;
    this.#fence = new TokenFence(deps);
    this.#sealing = new ConfirmedSealing({ ...deps, hsm: this.#fenced() });
  }

  execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    if (commands[name].sealsToken) {
      return this.#sealing.execute(name as SealingCommand, input as never, deadline) as Promise<OutputOf<N>>;
    }
    const { token, sourceToken, destinationToken } = input as TokenInput;
    const areKnown = this.#fence.knows(token) && this.#fence.knows(sourceToken) && this.#fence.knows(destinationToken);
    return areKnown ? this.#hsm.execute(name, input, deadline) : this.#executeWithNew(name, input, deadline);
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    return this.#hsm.executeEverywhere(name, input, deadline);
  }

  async #executeWithNew<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const { token, sourceToken, destinationToken } = input as TokenInput;
    for (const one of [token, sourceToken, destinationToken]) {
      if (one === undefined || this.#fence.knows(one) || (await this.#fence.isOfDomain(one))) continue;
      throw new HsmRefusedError('damaged-token');
    }
    return this.#hsm.execute(name, input, deadline);
  }

  #fenced(): ConfirmedSealingDeps['hsm'] {
    return {
      executeByMember: async <N extends CommandName>(
        name: N,
        input: InputOf<N>,
        deadline: number,
        notBy?: ReadonlySet<string>,
      ): Promise<MemberAnswer<N>> => {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const answer = await this.#hsm.executeByMember(name, input, deadline, notBy);
          const { output } = answer;
          if (!('token' in output) || (await this.#fence.mayStore(output.token))) return answer;
        }
        throw new HsmUnavailableError('timed-out');
      },
    };
  }
}

/** What of a command's input comes from the store. */
interface TokenInput {
  readonly token?: Uint8Array;
  readonly sourceToken?: Uint8Array;
  readonly destinationToken?: Uint8Array;
}
