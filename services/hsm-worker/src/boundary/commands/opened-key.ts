import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { BackingKey } from '../keys/backing-key.ts';
import { belongsTo } from '../tokens/exported-key-token.ts';
import { RefusedError } from '../errors.ts';
import type { CommandContext } from './command.ts';

/** How a command names the KMS key that it is for, and its token. */
export interface KeyOfCommand {
  readonly keyId: string;
  readonly account: string;
  readonly token: Uint8Array;
}

/** Refuses with `damaged-token` also a token of another key or account: it was moved into this key's record. */
export function openedKeyOf(
  { keyId, account, token }: KeyOfCommand,
  { backingKeys, keyring }: Pick<CommandContext, 'backingKeys' | 'keyring'>,
): BackingKey {
  const backingKey = openedKey(token, { backingKeys, keyring });
  if (backingKey.keyId !== keyId || !belongsTo(account, backingKey)) throw new RefusedError('damaged-token');
  return backingKey;
}

/**
 * The token comes from where it was stored, and the ciphertext from a caller: who is told what depends on which did not
 * open.
 */
function openedKey(token: Uint8Array, { backingKeys, keyring }: Pick<CommandContext, 'backingKeys' | 'keyring'>) {
  try {
    return backingKeys.open(token, keyring);
  } catch (error) {
    if (error instanceof RefusedError && error.refusal === 'cannot-open') throw new RefusedError('damaged-token');
    throw error;
  }
}

/** The backing key that a command names, for one usage only. */
export function backingKeyOf(key: KeyOfCommand, keyUsage: KeyUsage, context: CommandContext): BackingKey {
  const backingKey = openedKeyOf(key, context);
  if (backingKey.keyUsage !== keyUsage) throw new RefusedError('invalid-input');
  return backingKey;
}

/** Refuses with `invalid-input` an algorithm that the key does not have. */
export function assertAlgorithm(backingKey: BackingKey, algorithm: string): void {
  if (!algorithmsOf(backingKey).includes(algorithm)) throw new RefusedError('invalid-input');
}
