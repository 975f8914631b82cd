import type { Clock } from '@keyfleet/shared/clock';
import { CHANGEOVER_MS, deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
import { type CommandName, commands, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { HsmRefusedError, HsmUnavailableError, type MemberAnswer, type MemberCommands } from './commands.ts';

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
 * Sends no token under a domain key that the domain does not have: workers would wait for a domain token that never comes. Takes no
 * token under a domain key that the domain does not have, or that went out of use a while ago. A worker that was removed, or is
 * cut off from the domain, may go on sealing under such a key; once nothing is stored under it it is destroyed, and what came later would
 * be lost (docs/domain.md).
 */
export class FencedCommands implements MemberCommands {
  readonly #deps: FencedCommandsDeps;
  /** Tokens that were looked at. Records are kept in memory, and their tokens with them. */
  readonly #ofDomain = new WeakSet<Uint8Array>();

  constructor(deps: FencedCommandsDeps) {
    this.#deps = deps;
  }

  execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const { token, sourceToken, destinationToken } = input as TokenInput;
    return this.#isNew(token) || this.#isNew(sourceToken) || this.#isNew(destinationToken)
      ? this.#executeWithNewTokens(name, input, deadline)
      : this.#execute(name, input, deadline);
  }

  async #executeWithNewTokens<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    deadline: number,
  ): Promise<OutputOf<N>> {
    const { token, sourceToken, destinationToken } = input as TokenInput;
    for (const one of [token, sourceToken, destinationToken]) if (this.#isNew(one)) await this.#assertOfDomain(one);
    return this.#execute(name, input, deadline);
  }

  async #execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
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
    throw new HsmUnavailableError('timed-out');
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    return this.#deps.hsm.executeEverywhere(name, input, deadline);
  }

  #isNew(token: Uint8Array | undefined): token is Uint8Array {
    return token !== undefined && !this.#ofDomain.has(token);
  }

  async #assertOfDomain(token: Uint8Array): Promise<void> {
    const isKnown = this.#deps.domainState() === undefined || (await this.#isUnderKnownKey(token));
    if (!isKnown) throw new HsmRefusedError('damaged-token');
    this.#ofDomain.add(token);
  }

  async #isUnderKnownKey(token: Uint8Array): Promise<boolean> {
    const id = findDomainKeyId(token);
    const has = (): boolean => this.#deps.domainState()?.domainKeys.some((key) => key.id === id) ?? false;
    // Workers may hear of a new domain key first. One that was dropped looks just like it, so only the domain's tokens can tell.
    if (id !== undefined && !has()) await this.#deps.refreshDomain();
    return has();
  }

  async #isInUse(token: Uint8Array): Promise<boolean> {
    if (!(await this.#isUnderKnownKey(token))) return false;
    const id = domainKeyIdOf(token);
    const since = deactivatedAt(this.#deps.domainState()!, id);
    return since === undefined || this.#deps.clock.now() - since <= CHANGEOVER_MS;
  }
}

/** What of a command's input comes from the store. */
interface TokenInput {
  readonly token?: Uint8Array;
  readonly sourceToken?: Uint8Array;
  readonly destinationToken?: Uint8Array;
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
