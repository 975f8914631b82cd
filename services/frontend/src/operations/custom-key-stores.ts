import type {
  ConnectCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Handler } from './handler.ts';
import { invalidMarker } from './markers.ts';

type NamesOneStore =
  | typeof ConnectCustomKeyStore
  | typeof DeleteCustomKeyStore
  | typeof DisconnectCustomKeyStore
  | typeof UpdateCustomKeyStore;

/** Connect, delete, disconnect, update: what a deployment without custom key stores answers to each. */
export const onNoStore: Handler<NamesOneStore, object> = async ({ CustomKeyStoreId }) => {
  throw customKeyStoreNotFound(CustomKeyStoreId);
};

export const describeCustomKeyStores: Handler<typeof DescribeCustomKeyStores, object> = async (input) => {
  const named = input.CustomKeyStoreId ?? input.CustomKeyStoreName;
  if (named !== undefined) throw customKeyStoreNotFound(named);
  // A list that is never truncated hands out no markers.
  if (input.Marker !== undefined) throw invalidMarker();
  return { CustomKeyStores: [], Truncated: false };
};

/** A deployment has no custom key stores, so every id names one that is not there. */
export function customKeyStoreNotFound(customKeyStoreId: string): KmsException {
  return new KmsException('CustomKeyStoreNotFoundException', `Custom key store ${customKeyStoreId} does not exist.`);
}
