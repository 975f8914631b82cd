import type { Clock } from '@keyfleet/shared/clock';
import { CHANGEOVER_MS, deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type CommandName, commands, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import {
  type HsmCommands,
  HsmRefusedError,
  HsmUnavailableError,
  type MemberAnswer,
  type MemberCommands,
} from './commands.ts';
import { ConfirmedSealing, type ConfirmedSealingDeps, type SealingCommand } from './sealing.ts';

/** Each asks a worker that the pool picks at random; nothing of what the one before made is stored. */
const ATTEMPTS = 5;

interface HsmClientDeps extends TokenFenceDeps, Omit<ConfirmedSealingDeps, 'hsm'> {
  readonly hsm: MemberCommands;
}

/**
 * The HSMs as the rest of the frontend has them. It sends no token that is not of the domain, takes none that may not
 * be stored (`TokenFence`), and gives out none that only its maker has seen (sealing.ts).
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

interface TokenFenceDeps {
  readonly domainState: () => DomainState | undefined;
  /** Fetches newer domain tokens, if there are any. Never rejects. */
  readonly refreshDomain: () => Promise<void>;
  readonly clock: Clock;
}

/** Which tokens are sent to workers, and which are taken from them: by the domain key that they are sealed under. */
class TokenFence {
  readonly #deps: TokenFenceDeps;
  /** Tokens that were looked at. Records are kept in memory, and their tokens with them. */
  readonly #ofDomain = new WeakSet<Uint8Array>();

  constructor(deps: TokenFenceDeps) {
    this.#deps = deps;
  }

  /** Whether it was found to be of the domain before. */
  knows(token: Uint8Array | undefined): boolean {
    return token === undefined || this.#ofDomain.has(token);
  }

  /**
   * Whether it is under a domain key that the domain has. For any other, workers would wait for a domain token that
   * never comes. While no domain is known, no worker is used either.
   */
  async isOfDomain(token: Uint8Array): Promise<boolean> {
    const isKnown = this.#deps.domainState() === undefined || (await this.#isUnderKnownKey(token));
    if (isKnown) this.#ofDomain.add(token);
    return isKnown;
  }

  /**
   * Whether a token that was sealed now may be stored: under a domain key that is in use, or was a moment ago. A worker
   * that was removed, or is cut off from the domain, may go on sealing under another; once nothing is stored under it
   * it is destroyed, and what came later would be lost (docs/domain.md).
   */
  async mayStore(token: Uint8Array): Promise<boolean> {
    if (!(await this.#isUnderKnownKey(token))) return false;
    const since = deactivatedAt(this.#deps.domainState()!, domainKeyIdOf(token));
    return since === undefined || this.#deps.clock.now() - since <= CHANGEOVER_MS;
  }

  async #isUnderKnownKey(token: Uint8Array): Promise<boolean> {
    const id = findDomainKeyId(token);
    const has = (): boolean => this.#deps.domainState()?.domainKeys.some((key) => key.id === id) ?? false;
    // Workers may hear of a new domain key first. One that was dropped looks just like it, so only the domain's tokens
    // can tell.
    if (id !== undefined && !has()) await this.#deps.refreshDomain();
    return has();
  }
}

/** Undefined for what is no token. */
function findDomainKeyId(token: Uint8Array): string | undefined {
  try {
    return domainKeyIdOf(token);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
