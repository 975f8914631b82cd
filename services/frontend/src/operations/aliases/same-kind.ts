import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import type { KmsKey } from '../../keys/kms-key.ts';

/** Throws ValidationException: an application that uses an alias must not find another kind of key behind it. */
export function assertSameKind(aliasName: string, current: KmsKey, next: KmsKey): void {
  if (current.keyUsage !== next.keyUsage) {
    throw new KmsException(
      'ValidationException',
      `Alias ${aliasName} cannot be changed from a CMK with key usage ${current.keyUsage} to a CMK with key usage ${next.keyUsage}. The key usage of the current CMK and the new CMK must be the same.`,
    );
  }
  const [from, to] = [typeOf(current.keySpec), typeOf(next.keySpec)];
  if (from !== to) {
    throw new KmsException(
      'ValidationException',
      `Alias ${aliasName} cannot be changed from a ${from} key to a ${to} key. The type of the current key and the new key must be the same.`,
    );
  }
}

function typeOf(keySpec: KeySpec): string {
  const { kind } = keySpecs[keySpec];
  return kind === 'symmetric' ? 'SYMMETRIC' : kind === 'hmac' ? 'HMAC' : 'ASYMMETRIC';
}
