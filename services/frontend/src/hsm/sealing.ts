import { timingSafeEqual } from 'node:crypto';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import { type DomainState, onlineMembers } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { newestHeaderOf } from '@keyfleet/shared/hsm/exported-key-token';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import type { Origin } from '@keyfleet/shared/key-specs';
import { HsmRefusedError, HsmUnavailableError, type MemberAnswer, type MemberCommands } from './commands.ts';

/** How long an answer waits for another member to connect, as after a channel ended. */
const SECOND_MEMBER_MS = 1_000;

/** Commands whose output holds a newly sealed token. */
export type SealingCommand = {
  [N in CommandName]: OutputOf<N> extends { readonly token: Uint8Array } ? N : never;
}[CommandName];

export interface ConfirmationEvents {
  confirmed(): void;
  /**
   * `witness` finds in a token something other than what `maker` put there or found, or nothing. One of the two is
   * broken or hostile. `witness` is the maker itself if its own answer shows that it made no new key.
   */
  contradicted(command: CommandName, maker: string, witness: string): void;
  /** A token is used though only one member has seen it, because no other can be reached. */
  unconfirmed(command: CommandName, member: string): void;
}

export interface ConfirmedSealingDeps {
  readonly hsm: Pick<MemberCommands, 'executeByMember' | 'connects'>;
  readonly domainState: () => DomainState | undefined;
  /**
   * `isOfOne` of the domain as a whole: `domainState` may lack members that are not used. A frontend with one address
   * of several hsm-workers goes on alone as well, because an earlier release may have admitted offline members as
   * others, but that is said.
   */
  readonly isDomainOfOne: () => boolean;
  readonly clock: Clock;
  /** How many hsm-workers this frontend is configured with, reachable or not. */
  readonly workers: number;
  readonly events: ConfirmationEvents;
}

type Sealed<N extends SealingCommand> = MemberAnswer<N> & {
  readonly input: InputOf<N>;
  readonly known: readonly string[];
};

/**
 * Returns no token that only its maker has seen. A broken or hostile member could seal rubbish in place of a key, and
 * once stored, that is the end of the key. So another member first opens the token and says what is in it
 * (docs/domain.md).
 */
export class ConfirmedSealing {
  readonly #deps: ConfirmedSealingDeps;

  constructor(deps: ConfirmedSealingDeps) {
    this.#deps = deps;
  }

  /**
   * Asks one member after another until a second member confirms what the first made, and its material id is not
   * `known`.
   */
  async execute<N extends SealingCommand>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    known: readonly string[] = [],
  ): Promise<OutputOf<N>> {
    const doubted = new Set<string>();
    for (;;) {
      const made = await this.#make(name, input, deadline, doubted);
      if (await this.#isConfirmed(name, { ...made, input, known }, deadline)) return made.output;
      doubted.add(made.memberId);
    }
  }

  async #make<N extends SealingCommand>(
    name: N,
    input: InputOf<N>,
    deadline: number,
    doubted: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>> {
    if (doubted.size === 0) return this.#deps.hsm.executeByMember(name, input, deadline);
    try {
      return await this.#deps.hsm.executeByMember(name, input, deadline, doubted);
    } catch (error) {
      throw isNobodyElse(error) ? new HsmUnavailableError('unconfirmed', { cause: error }) : error;
    }
  }

  async #isConfirmed<N extends SealingCommand>(name: N, sealed: Sealed<N>, deadline: number): Promise<boolean> {
    const { memberId: maker } = sealed;
    if (!isMember(this.#deps, maker)) return false;
    if (isOfKnownKey(sealed)) {
      this.#deps.events.contradicted(name, maker, maker);
      return false;
    }
    const asked = new Set([maker]);
    const startedAt = monotonicClock.now();
    for (let isDenied = false; ;) {
      const verdict = await this.#askAnother(name, sealed, { asked, deadline });
      if (verdict === undefined) {
        if (isDenied) return false;
        if (name !== 'ResealToken' && (await anotherConnects(this.#deps, { startedAt, deadline }))) continue;
        return this.#mayStandAlone(name, maker);
      }
      asked.add(verdict.witness);
      if (!isMember(this.#deps, verdict.witness)) continue;
      if (verdict.agrees) {
        this.#deps.events.confirmed();
        return true;
      }
      isDenied = true;
      if (!verdict.isOfInput) this.#deps.events.contradicted(name, maker, verdict.witness);
    }
  }

  /** Undefined if there is nobody else to ask. */
  async #askAnother<N extends SealingCommand>(
    name: N,
    sealed: Sealed<N>,
    { asked, deadline }: { asked: ReadonlySet<string>; deadline: number },
  ): Promise<Verdict | undefined> {
    try {
      return await confirmations[name](
        (command, input) => this.#deps.hsm.executeByMember(command, input, deadline, asked),
        sealed,
      );
    } catch (error) {
      if (isNobodyElse(error)) return undefined;
      if (error instanceof HsmRefusedError && error.memberId !== undefined)
        return { witness: error.memberId, agrees: false, isOfInput: ofInput.has(error.refusal) };
      throw error;
    }
  }

  /**
   * Resealing is put off, because the stored token still opens. A new key is not: if the only reachable member is
   * hostile, it harms anything asked of it.
   */
  #mayStandAlone(name: SealingCommand, maker: string): boolean {
    // It may have been removed meanwhile, and that be why nobody else is in reach: frontends make new sessions then.
    if (!isMember(this.#deps, maker)) return false;
    if (name === 'ResealToken' && !hasOneMember(this.#deps)) throw new HsmUnavailableError('nobody-else');
    if (!this.#deps.isDomainOfOne()) this.#deps.events.unconfirmed(name, maker);
    return true;
  }
}

/** By the newest state that this frontend has verified; a former or offline member's answer counts for nothing. */
export function isMember({ domainState }: Pick<ConfirmedSealingDeps, 'domainState'>, id: string): boolean {
  return onlineMembers(domainState()?.members ?? []).some(({ memberId }) => memberId === id);
}

/** Whether nobody that this frontend knows could ever be a witness. */
export function hasOneMember(deps: Pick<ConfirmedSealingDeps, 'workers' | 'isDomainOfOne'>): boolean {
  return deps.workers === 1 || deps.isDomainOfOne();
}

/**
 * Waits for a member to connect: false if none did within a second of `startedAt` (monotonic). A hostile member may
 * choose to answer when the channel to another has just ended, and have it end. Throws HsmUnavailableError if the
 * command's time is over sooner: to believe a lone member then would let it choose that moment, too.
 */
export async function anotherConnects(
  deps: Omit<ConfirmedSealingDeps, 'events'>,
  { startedAt, deadline }: { readonly startedAt: number; readonly deadline: number },
): Promise<boolean> {
  const patience = startedAt + SECOND_MEMBER_MS - monotonicClock.now();
  if (hasOneMember(deps) || patience <= 0) return false;
  const time = Math.min(patience, deadline - deps.clock.now());
  if (time > 0 && (await deps.hsm.connects(time))) return true;
  if (time < patience) throw new HsmUnavailableError('timed-out');
  return false;
}

export function isNobodyElse(error: unknown): boolean {
  return error instanceof HsmUnavailableError && error.reason === 'nobody-else';
}

interface Verdict {
  /** The member that was asked. */
  readonly witness: string;
  readonly agrees: boolean;
  /** What it denies is what the caller brought. */
  readonly isOfInput?: boolean;
}

/**
 * A witness says this of the command's input, by its own clock, domain keys and release, and nothing of the token that
 * was made: a caller can have it say so of an honest maker, by using an import token in its last millisecond, or with
 * material that members of another release take. A maker gains nothing by that: what no witness made as well is not
 * stored.
 */
const ofInput: ReadonlySet<Refusal> = new Set(['expired-import-token', 'invalid-import-token', 'incorrect-material']);

/** Asks any member that may be a witness. */
type Ask = <N extends CommandName>(command: N, input: InputOf<N>) => Promise<MemberAnswer<N>>;

type Confirmation<N extends SealingCommand> = (
  ask: Ask,
  sealed: { readonly input: InputOf<N>; readonly output: OutputOf<N> },
) => Promise<Verdict>;

/** How to ask a witness whether a token is what its maker says. A refusal means that it is not. */
const confirmations: { readonly [N in SealingCommand]: Confirmation<N> } = {
  async ResealToken(ask, { input: { token: replaces, ...account }, output: { token } }) {
    const { memberId } = await ask('CheckToken', { token, replaces, ...account });
    return { witness: memberId, agrees: true };
  },

  GenerateBackingKey: (ask, sealed) => isOfNewKey(ask, sealed, 'AWS_KMS'),

  /** A maker could seal material of its own instead, so a witness unwraps the imported material too. */
  async ImportBackingKey(ask, sealed) {
    const { output, memberId } = await ask('ImportBackingKey', sealed.input);
    if (!isSameKey(output, sealed.output)) return { witness: memberId, agrees: false };
    return isOfNewKey(ask, sealed, 'EXTERNAL');
  },

  async SealCredential(ask, { input: { secretAccessKey, ...owner }, output: { token } }) {
    const { output, memberId } = await ask('OpenCredential', { ...owner, token });
    return { witness: memberId, agrees: isEqual(output.secretAccessKey, secretAccessKey) };
  },

  async GenerateCredential(ask, { input: owner, output: { secretAccessKey, token } }) {
    const { output, memberId } = await ask('OpenCredential', { ...owner, token });
    return {
      witness: memberId,
      agrees: isEqual(Buffer.from(output.secretAccessKey), Buffer.from(secretAccessKey)),
    };
  },
};

interface NewKey {
  readonly input: InputOf<'GenerateBackingKey'>;
  readonly output: OutputOf<'GenerateBackingKey'>;
}

/**
 * Whether the maker answers a rotation with what the KMS key has already, sealed once more. A witness would find it as
 * said, and whoever has the key from before would read what is encrypted after the rotation.
 */
function isOfKnownKey({ output, known }: { output: object; known: readonly string[] }): boolean {
  return 'materialId' in output && known.includes(Buffer.from(output.materialId as Uint8Array).toString('hex'));
}

/** Everything that is stored of a key: nobody can decrypt what is encrypted under a wrong public key, for example. */
async function isOfNewKey(ask: Ask, { input, output: made }: NewKey, origin: Origin): Promise<Verdict> {
  const { keyId, account, keySpec, keyUsage } = input;
  const { output, memberId } = await ask('CheckBackingKey', { keyId, account, token: made.token });
  const isOfKind = output.keySpec === keySpec && output.keyUsage === keyUsage && originOf(made.token) === origin;
  return { witness: memberId, agrees: isOfKind && isSameKey(output, made) };
}

/**
 * As it is in the clear, which the witness's opening authenticates. Undefined in a token of an older version, in which
 * no account is bound: witnesses open stored ones, too.
 */
function originOf(token: Uint8Array): Origin | undefined {
  try {
    return newestHeaderOf(token).origin;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

interface KeyFound {
  readonly materialId: Uint8Array;
  readonly publicKey?: Uint8Array | undefined;
}

function isSameKey(a: KeyFound, b: KeyFound): boolean {
  return isEqual(a.materialId, b.materialId) && isEqual(a.publicKey, b.publicKey);
}

/** In constant time. */
export function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && timingSafeEqual(a, b);
}
