import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';

/**
 * Runs a command on any hsm-worker, and on another if one dies. Throws `HsmUnavailableError` if no answer came before
 * `deadline` (milliseconds since the epoch), and `HsmRefusedError` if an HSM refused.
 */
export interface HsmCommands {
  /** `known`: the material ids that the record of a KMS key lists already. No new key that is made for it has one. */
  execute<N extends CommandName>(
    command: N,
    input: InputOf<N>,
    deadline: number,
    known?: readonly string[],
  ): Promise<OutputOf<N>>;
  /**
   * Runs a command on every connected worker. A worker that dies or does not answer before `deadline` is silently left
   * out, so this suits only what hastens something that happens anyway.
   */
  executeEverywhere<N extends CommandName>(command: N, input: InputOf<N>, deadline: number): Promise<void>;
}

export interface MemberAnswer<N extends CommandName> {
  readonly output: OutputOf<N>;
  readonly memberId: string;
}

/** For callers that must know which member of the domain answered. */
export interface MemberCommands extends HsmCommands {
  /**
   * Like `execute`, by a member not in `notBy`. Throws `HsmUnavailableError` (`nobody-else`) if no other can be
   * reached.
   */
  executeByMember<N extends CommandName>(
    command: N,
    input: InputOf<N>,
    deadline: number,
    notBy?: ReadonlySet<string>,
  ): Promise<MemberAnswer<N>>;
  /** Whether a member connects within `ms`, another one or one again. */
  connects(ms: number): Promise<boolean>;
}

/** Why no HSM ran a command. */
const reasons = {
  'timed-out': 'timed out: no HSM answered',
  overloaded: 'more commands are in flight than the HSMs take',
  'too-large': 'the command is larger than a frame',
  /** Other than those that must not answer. */
  'nobody-else': 'no other HSM is in reach',
  /** None of it may be stored. */
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

/** An HSM refused to run the command. API callers see at most InvalidCiphertextException for it. */
export class HsmRefusedError extends Error {
  override name = 'HsmRefusedError';
  readonly refusal: Refusal;
  /** Undefined if the command was not even sent. */
  readonly memberId: string | undefined;
  /** Whether a second member refused alike. */
  readonly isConfirmed: boolean;

  constructor(refusal: Refusal, memberId?: string, isConfirmed = false) {
    super(`the HSM refused: ${refusal}`);
    this.refusal = refusal;
    this.memberId = memberId;
    this.isConfirmed = isConfirmed;
  }
}
