import type { Clock } from '@keyfleet/shared/clock';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { NobleSigners } from '../crypto/noble-thread.ts';
import type { Random } from '../crypto/random.ts';
import type { Keyring } from '../domain/keyring.ts';
import { RefusedError } from '../errors.ts';
import type { BackingKeyCache } from '../keys/backing-key-cache.ts';
import type { RsaKeyPairs } from '../keys/key-pair.ts';

/** Everything an HSM command may use: no network, no disk, no wall clock. */
export interface CommandContext {
  /**
   * As it is when it is asked for: what takes a while, as an RSA key does, must not seal under a key that a member took
   * along meanwhile.
   */
  readonly keyring: Keyring;
  readonly backingKeys: BackingKeyCache;
  readonly rsaKeyPairs: RsaKeyPairs;
  readonly noble: NobleSigners;
  readonly clock: Clock;
  /** For keys and secrets: `crypto.randomBytes`, drawn when needed and not before. */
  readonly random: Random;
  /** For public bytes that must never repeat: `newNonceSource()`, at a tenth of the cost. */
  readonly nonce: Random;
}

/**
 * The context of the HSM's commands; undefined while it has no domain keys. Who loses them meanwhile refuses with
 * `no-domain`.
 */
export function contextOf(
  hsm: { keyring(): Keyring | undefined },
  rest: Omit<CommandContext, 'keyring'>,
): () => CommandContext | undefined {
  const context: CommandContext = {
    ...rest,
    get keyring() {
      const keyring = hsm.keyring();
      if (keyring === undefined) throw new RefusedError('no-domain');
      return keyring;
    },
  };
  return () => hsm.keyring() && context;
}

/** Synchronous where cheap; a promise only for work sent to the thread pool. Refuses with `RefusedError`. */
export type CommandHandler<N extends CommandName> = (
  input: InputOf<N>,
  context: CommandContext,
) => OutputOf<N> | Promise<OutputOf<N>>;
