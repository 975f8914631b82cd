import type { Clock } from '@keyfleet/shared/clock';
import { CHANGEOVER_MS, deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type CommandName, commands, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { timedOut } from '../dependency-exceptions.ts';
import type { MemberAnswer, MemberCommands } from './commands.ts';

/** Each asks a worker that the pool picks at random; nothing of what the one before made is stored. */
const ATTEMPTS = 5;

export interface FencedCommandsDeps {
  readonly hsm: MemberCommands;
  readonly domainState: () => DomainState | undefined;
  /** Fetches newer domain tokens, if there are any. Never rejects. */
  readonly refreshDomain: () => Promise<void>;
  readonly clock: Clock;
}

/**
 * Takes no token under a domain key that the domain does not have, or that went out of use a while ago. A worker that was removed, or is
 * cut off from the domain, may go on sealing under such a key; once nothing is stored under it it is destroyed, and what came later would
 * be lost (docs/domain.md).
 */
export class FencedCommands implements MemberCommands {
  readonly #deps: FencedCommandsDeps;

  constructor(deps: FencedCommandsDeps) {
    this.#deps = deps;
  }

  async execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    if (!commands[name].sealsToken) return this.#deps.hsm.execute(name, input, deadline);
    return (await this.executeByMember(name, input, deadline)).output;
  }

  async executeByMember<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await this.#deps.hsm.executeByMember(name, input, deadline, notBy);
      const { output } = answer;
      if (!('token' in output) || (await this.#isInUse(output.token))) return answer;
    }
    throw timedOut();
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    return this.#deps.hsm.executeEverywhere(name, input, deadline);
  }

  async #isInUse(token: Uint8Array): Promise<boolean> {
    const id = findDomainKeyId(token);
    if (id === undefined) return false;
    const has = (): boolean => this.#deps.domainState()?.domainKeys.some((key) => key.id === id) ?? false;
    // Workers may hear of a new domain key first. One that was dropped looks just like it, so only the domain's tokens can tell.
    if (!has()) await this.#deps.refreshDomain();
    if (!has()) return false;
    const since = deactivatedAt(this.#deps.domainState()!, id);
    return since === undefined || this.#deps.clock.now() - since <= CHANGEOVER_MS;
  }
}

/** Undefined for what is no token: it is not taken, and another worker is asked. */
function findDomainKeyId(token: Uint8Array): string | undefined {
  try {
    return domainKeyIdOf(token);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
