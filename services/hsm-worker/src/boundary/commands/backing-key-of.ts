import { type KeyUsage, keySpecs } from '@keyfleet/shared/key-specs';
import type { BackingKey } from '../keys/backing-key.ts';
import { type CommandContext, RefusedError } from './command.ts';

/**
 * The backing key that a command names, for one usage only. `cannot-open` also if the token is another key's: it was
 * moved into this key's record.
 */
export function backingKeyOf(
  { keyId, token }: { keyId: string; token: Uint8Array },
  keyUsage: KeyUsage,
  { backingKeys, keyring }: CommandContext,
): BackingKey {
  const backingKey = backingKeys.open(token, keyring);
  if (backingKey.keyId !== keyId) throw new RefusedError('cannot-open');
  if (backingKey.keyUsage !== keyUsage) throw new RefusedError('invalid-input');
  return backingKey;
}

/** Refuses with `invalid-input` an algorithm that the key does not have. */
export function assertAlgorithm({ keySpec, keyUsage }: BackingKey, algorithm: string): void {
  const usages: Partial<Record<KeyUsage, readonly string[]>> = keySpecs[keySpec].usages;
  if (usages[keyUsage]?.includes(algorithm) !== true) throw new RefusedError('invalid-input');
}
