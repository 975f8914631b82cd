import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** A key has one policy, and this is its name. */
export const DEFAULT_POLICY = 'default';

/** Throws NotFoundException for any other name. */
export function assertDefaultPolicy(name: string): void {
  if (name !== DEFAULT_POLICY) throw new KmsException('NotFoundException', 'No such policy exists');
}
