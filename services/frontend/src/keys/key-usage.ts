import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { KmsKey } from './kms-key.ts';

/** Throws InvalidKeyUsageException unless the key is for `usage`. `operation` is named as AWS names it. */
export function assertUsage(key: KmsKey, usage: KeyUsage, operation: string): void {
  if (key.keyUsage === usage) return;
  throw new KmsException(
    'InvalidKeyUsageException',
    `${key.arn} key usage is ${key.keyUsage} which is not valid for ${operation}.`,
  );
}

/** Throws InvalidKeyUsageException unless the key has `algorithm`. */
export function assertAlgorithm(key: KmsKey, algorithm: string): void {
  if (algorithmsOf(key).includes(algorithm)) return;
  throw new KmsException(
    'InvalidKeyUsageException',
    `Algorithm ${algorithm} is incompatible with key spec ${key.keySpec}.`,
  );
}
