import type { Clock } from '@keyfleet/shared/clock';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { Caller } from '../caller.ts';
import type { NobleSigners } from '../crypto/noble-thread.ts';
import type { PoolTurns } from '../crypto/pool-turns.ts';
import type { Random } from '../crypto/random.ts';
import type { Keyring } from '../domain/keyring.ts';
import { RefusedError } from '../errors.ts';
import { type BackingKey, type BackingKeyCache, belongsTo } from '../keys/backing-keys.ts';
import type { RsaKeyPairs } from '../keys/key-pair.ts';
import type { Cluster } from '../pkcs11/cluster.ts';

/**
 * Everything an HSM command may use: no network (except what a cluster's module does in its own process), no disk, no
 * wall clock.
 */
export interface CommandContext {
  /**
   * The keyring at the time of access: slow work, such as making an RSA key, must not seal under a domain key that a
   * member took with it meanwhile.
   */
  readonly keyring: Keyring;
  readonly backingKeys: BackingKeyCache;
  readonly rsaKeyPairs: RsaKeyPairs;
  readonly noble: NobleSigners;
  readonly poolTurns: Pick<PoolTurns, 'run'>;
  /** By the id that customers use. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly clock: Clock;
  /** For keys and secrets: `crypto.randomBytes`, drawn only when needed. */
  readonly random: Random;
  /** For public bytes that must never repeat: `newNonceSource()`, at a tenth of the cost. */
  readonly nonce: Random;
}

/**
 * The context of the HSM's commands; undefined while it has no domain keys. If the HSM loses them meanwhile, access
 * refuses with `no-domain`.
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

/**
 * Synchronous where cheap; a promise only for work sent to the thread pool. Refuses with `RefusedError`. `caller`: who
 * waits for the result, for work that has to queue; not optional, so that a handler made of another cannot forget it.
 */
export type CommandHandler<N extends CommandName> = (
  input: InputOf<N>,
  context: CommandContext,
  caller: Caller | undefined,
) => OutputOf<N> | Promise<OutputOf<N>>;

/** How a command names its KMS key and the key's token. */
export interface KeyOfCommand {
  readonly keyId: string;
  readonly account: string;
  readonly token: Uint8Array;
}

/**
 * Refuses with `damaged-token` also for a token of another key or account: somebody moved it into this key's record.
 */
export function openedKeyOf(
  { keyId, account, token }: KeyOfCommand,
  { backingKeys, keyring }: Pick<CommandContext, 'backingKeys' | 'keyring'>,
): BackingKey {
  const backingKey = openedKey(token, { backingKeys, keyring });
  if (backingKey.keyId !== keyId || !belongsTo(account, backingKey)) throw new RefusedError('damaged-token');
  return backingKey;
}

/**
 * The token comes from storage and the ciphertext from a caller: which of them did not open decides who is told what.
 */
function openedKey(token: Uint8Array, { backingKeys, keyring }: Pick<CommandContext, 'backingKeys' | 'keyring'>) {
  try {
    return backingKeys.open(token, keyring);
  } catch (error) {
    if (error instanceof RefusedError && error.refusal === 'cannot-open') throw new RefusedError('damaged-token');
    throw error;
  }
}

/** The backing key that a command names, if its usage is `keyUsage`. */
export function backingKeyOf(key: KeyOfCommand, keyUsage: KeyUsage, context: CommandContext): BackingKey {
  const backingKey = openedKeyOf(key, context);
  if (backingKey.keyUsage !== keyUsage) throw new RefusedError('invalid-input');
  return backingKey;
}

/** Refuses with `invalid-input` if the key does not have the algorithm. */
export function assertAlgorithm(backingKey: BackingKey, algorithm: string): void {
  if (!algorithmsOf(backingKey).includes(algorithm)) throw new RefusedError('invalid-input');
}
