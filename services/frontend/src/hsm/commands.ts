import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';

/**
 * Runs a command on some hsm-worker. Re-sent to another when one dies; throws `HsmUnavailableError` when no answer came
 * before `deadline` (milliseconds since the epoch), and `HsmRefusedError` when an HSM refused.
 */
export interface HsmCommands {
  execute<N extends CommandName>(command: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>>;
  /**
   * Runs a command on every worker that is there. One that dies or does not answer before `deadline` is left out, and
   * nobody is told: only for what merely hastens something that comes about anyway.
   */
  executeEverywhere<N extends CommandName>(command: N, input: InputOf<N>, deadline: number): Promise<void>;
}

export interface MemberAnswer<N extends CommandName> {
  readonly output: OutputOf<N>;
  readonly memberId: string;
}

/** For who must know which member of the domain answered. */
export interface MemberCommands extends HsmCommands {
  /**
   * As `execute`, by a member that is none of `notBy`; throws `HsmUnavailableError` (`nobody-else`) when no other is in
   * reach.
   */
  executeByMember<N extends CommandName>(
    command: N,
    input: InputOf<N>,
    deadline: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>>;
}

/** Why no HSM ran a command. */
const reasons = {
  'timed-out': 'timed out: no HSM answered',
  overloaded: 'more commands are in flight than the HSMs take',
  'too-large': 'the command is larger than a frame',
  /** Than those that must not answer. */
  'nobody-else': 'no other HSM is in reach',
  /** Nothing of it may be stored. */
  unconfirmed: 'no HSM confirms what another answered',
} as const;

/** No HSM ran the command, or none whose answer counts. */
export class HsmUnavailableError extends Error {
  override name = 'HsmUnavailableError';
  readonly reason: keyof typeof reasons;

  constructor(reason: keyof typeof reasons, options?: ErrorOptions) {
    super(reasons[reason], options);
    this.reason = reason;
  }
}

/**
 * An HSM answered that it will not run the command. Callers of the API see at most InvalidCiphertextException for it.
 */
export class HsmRefusedError extends Error {
  override name = 'HsmRefusedError';
  readonly refusal: Refusal;
  /** Undefined when the command was not even sent. */
  readonly memberId: string | undefined;

  constructor(refusal: Refusal, memberId?: string) {
    super(`the HSM refused: ${refusal}`);
    this.refusal = refusal;
    this.memberId = memberId;
  }
}
