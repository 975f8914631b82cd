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
import { ConfirmedOpening, type OpeningCommand } from './opening.ts';
import { ConfirmedSealing, type ConfirmedSealingDeps, hasOneMember, type SealingCommand } from './sealing.ts';

/** Each attempt asks a random worker from the pool; nothing that an earlier attempt made is stored. */
const ATTEMPTS = 5;

interface HsmClientDeps extends TokenFenceDeps, Omit<ConfirmedSealingDeps, 'hsm'> {
  readonly hsm: MemberCommands;
}

/** Whose the credentials are that nobody signs with: the secrets that all frontends share (docs/decisions/0004). */
export const FLEET_PRINCIPAL = 'keyfleet:frontends';

/**
 * The HSMs as the rest of the frontend sees them. The client sends only tokens of the domain, accepts only those that
 * may be stored (`TokenFence`), and returns none that only its maker has seen (sealing.ts). No secret that frontends
 * share, and no public key, is what a single member says (opening.ts).
 */
export class HsmClient implements HsmCommands {
  readonly #hsm: MemberCommands;
  readonly #hasOneMember: () => boolean;
  readonly #fence: TokenFence;
  readonly #sealing: ConfirmedSealing;
  readonly #opening: ConfirmedOpening;

  constructor(deps: HsmClientDeps) {
    this.#hsm = deps.hsm;
    this.#hasOneMember = () => hasOneMember(deps);
    this.#fence = new TokenFence(deps);
    this.#sealing = new ConfirmedSealing({ ...deps, hsm: this.#fenced() });
    this.#opening = new ConfirmedOpening(deps);
  }

  execute<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    known?: readonly string[],
  ): Promise<OutputOf<N>> {
    if (commands[name].sealsToken) {
      return this.#sealing.execute(name as SealingCommand, input as never, deadline, known) as Promise<OutputOf<N>>;
    }
    const { token, sourceToken, destinationToken } = input as TokenInput;
    const areKnown = this.#fence.knows(token) && this.#fence.knows(sourceToken) && this.#fence.knows(destinationToken);
    return areKnown ? this.#executeKnown(name, input, deadline) : this.#executeWithNew(name, input, deadline);
  }

  /** What one member says that a secret is, other than `notBy`: whoever asks hears another if it matters. */
  async openCredential(
    input: InputOf<'OpenCredential'>,
    deadline: number,
    notBy: string | undefined,
  ): Promise<OutputOf<'OpenCredential'> & { readonly memberId: string }> {
    if (notBy !== undefined && this.#hasOneMember()) throw new HsmUnavailableError('nobody-else');
    if (!this.#fence.knows(input.token)) await this.#assertOfDomain(input);
    const others = notBy === undefined ? undefined : new Set([notBy]);
    const { output, memberId } = await this.#hsm.executeByMember('OpenCredential', input, deadline, others);
    return { ...output, memberId };
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    return this.#hsm.executeEverywhere(name, input, deadline);
  }

  async #executeWithNew<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    await this.#assertOfDomain(input as TokenInput);
    return this.#executeKnown(name, input, deadline);
  }

  async #assertOfDomain({ token, sourceToken, destinationToken }: TokenInput): Promise<void> {
    for (const one of [token, sourceToken, destinationToken]) {
      if (one === undefined || this.#fence.knows(one) || (await this.#fence.isOfDomain(one))) continue;
      throw new HsmRefusedError('damaged-token');
    }
  }

  #executeKnown<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const isForTwo =
      name === 'DescribeBackingKey' ||
      (name === 'OpenCredential' && (input as InputOf<'OpenCredential'>).principal === FLEET_PRINCIPAL);
    if (!isForTwo) return this.#hsm.execute(name, input, deadline);
    return this.#opening.execute(name as OpeningCommand, input as never, deadline) as Promise<OutputOf<N>>;
  }

  #fenced(): ConfirmedSealingDeps['hsm'] {
    return {
      connects: (ms) => this.#hsm.connects(ms),
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

/** The parts of a command's input that come from the store. */
interface TokenInput {
  readonly token?: Uint8Array;
  readonly sourceToken?: Uint8Array;
  readonly destinationToken?: Uint8Array;
}

interface TokenFenceDeps {
  readonly domainState: () => DomainState | undefined;
  /** Fetches newer domain tokens if there are any. Never rejects. */
  readonly refreshDomain: () => Promise<void>;
  readonly clock: Clock;
}

/** Decides which tokens may go to workers and come from them, by the domain key that seals them. */
class TokenFence {
  readonly #deps: TokenFenceDeps;
  /** Tokens already checked. Records are cached, and their tokens with them. */
  readonly #ofDomain = new WeakSet<Uint8Array>();

  constructor(deps: TokenFenceDeps) {
    this.#deps = deps;
  }

  /** Whether the token has already been found to be of the domain. */
  knows(token: Uint8Array | undefined): boolean {
    return token === undefined || this.#ofDomain.has(token);
  }

  /**
   * Whether the token is sealed under one of the domain's keys. For any other key, workers would wait for a domain
   * token that never comes. While no domain is known, no worker is used either.
   */
  async isOfDomain(token: Uint8Array): Promise<boolean> {
    const isKnown = this.#deps.domainState() === undefined || (await this.#isUnderKnownKey(token));
    if (isKnown) this.#ofDomain.add(token);
    return isKnown;
  }

  /**
   * Whether a newly sealed token may be stored: its domain key must be in use now or have been a moment ago, and not be
   * retired. A worker that was removed, or is cut off from the domain, may go on sealing under another key. Once
   * nothing stored is sealed under that key, the key is destroyed, and anything stored later would be lost
   * (docs/domain.md).
   */
  async mayStore(token: Uint8Array): Promise<boolean> {
    if (!(await this.#isUnderKnownKey(token))) return false;
    const [state, id] = [this.#deps.domainState()!, domainKeyIdOf(token)];
    if (state.domainKeys.some((key) => key.id === id && key.status === 'retired')) return false;
    const since = deactivatedAt(state, id);
    return since === undefined || this.#deps.clock.now() - since <= CHANGEOVER_MS;
  }

  async #isUnderKnownKey(token: Uint8Array): Promise<boolean> {
    const id = findDomainKeyId(token);
    const has = (): boolean => this.#deps.domainState()?.domainKeys.some((key) => key.id === id) ?? false;
    // Workers may learn of a new domain key first. A dropped key looks the same from here, so only the domain's tokens
    // can tell them apart.
    if (id !== undefined && !has()) await this.#deps.refreshDomain();
    return has();
  }
}

/** Undefined for anything that is not a token. */
function findDomainKeyId(token: Uint8Array): string | undefined {
  try {
    return domainKeyIdOf(token);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
