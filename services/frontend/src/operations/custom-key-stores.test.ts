import {
  ConnectCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { expect, test } from 'vitest';

const frontend = new FakeFrontend();
const notFound = 'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.';

test('there are no custom key stores, and a named one is not found', async () => {
  expect(await frontend.call(DescribeCustomKeyStores, {})).toEqual({ CustomKeyStores: [], Truncated: false });
  const request = { CustomKeyStoreId: 'cks-1' };
  for (const operation of [
    ConnectCustomKeyStore,
    DeleteCustomKeyStore,
    DescribeCustomKeyStores,
    DisconnectCustomKeyStore,
    UpdateCustomKeyStore,
  ]) {
    expect(await frontend.refusal(operation, request)).toBe(notFound);
  }
});

test('a list that is never truncated has handed out no marker', async () => {
  const refusal = await frontend.refusal(DescribeCustomKeyStores, { Marker: 'nonsense' });
  expect(refusal).toBe('InvalidMarkerException: The marker is not valid.');
});
