import type { Clock } from '@keyfleet/shared/clock';
import type { CommandName, InputOf, OutputOf, Refusal } from '@keyfleet/shared/hsm/commands';
import type { NobleSignatures } from '../crypto/noble-thread.ts';
import type { Keyring } from '../domain/keyring.ts';
import type { BackingKeyCache } from '../keys/backing-key-cache.ts';
import type { RsaKeyPairs } from '../keys/key-pair.ts';

/** Random bytes; injected so that a test build can make known keys. */
export type Random = (length: number) => Buffer;

/** All that a command may use. There is no network, no disk and no wall clock in it. */
export interface CommandContext {
  readonly keyring: Keyring;
  readonly backingKeys: BackingKeyCache;
  readonly rsaKeyPairs: RsaKeyPairs;
  readonly noble: NobleSignatures;
  readonly clock: Clock;
  /** For keys and secrets: `crypto.randomBytes`, drawn when they are needed and not before. */
  readonly random: Random;
  /** For what is public and must only never repeat: `newNonceSource()`, which costs a tenth. */
  readonly nonce: Random;
}

/** Synchronous where cheap; a promise only for work sent to the thread pool. */
export type CommandHandler<N extends CommandName> = (
  input: InputOf<N>,
  context: CommandContext,
) => OutputOf<N> | Promise<OutputOf<N>>;

/** Thrown by a handler; its code is all that leaves the boundary. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}
