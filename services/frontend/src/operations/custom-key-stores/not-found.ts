import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** A deployment has no custom key stores, so every id names one that is not there. */
export function customKeyStoreNotFound(customKeyStoreId: string): KmsException {
  return new KmsException('CustomKeyStoreNotFoundException', `Custom key store ${customKeyStoreId} does not exist.`);
}
