import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** AWS's quota. */
export const ALIASES_PER_KEY = 50;

export function aliasQuotaExceeded(keyArn: string): KmsException {
  return new KmsException('LimitExceededException', `Key '${keyArn}' has the maximum of ${ALIASES_PER_KEY} aliases.`);
}
