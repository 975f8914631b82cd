import {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import { DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import {
  connectedStore,
  createStore,
  credential,
  externalKey,
  externalKeyStore,
  newFrontendWithProxy,
  stateOf,
} from '@keyfleet/test-support/fakes/external-key-store';
import { type FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import type { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { beforeEach, describe, expect, test } from 'vitest';

let frontend: FakeFrontend;
let proxy: FakeXksProxy;

beforeEach(() => {
  ({ frontend, proxy } = newFrontendWithProxy());
});

test('a store is created disconnected, once its proxy answers, and described without its secret', async () => {
  const { CustomKeyStoreId: id } = await createStore(frontend, 'one');
  expect(id).toMatch(/^cks-[0-9a-f]{17}$/);
  expect(proxy.requests).toEqual([
    {
      path: '/one/kms/xks/v1/health',
      body: { requestMetadata: { kmsRequestId: 'request-1', kmsOperation: 'CreateCustomKeyStore' } },
    },
  ]);
  expect(await frontend.call(DescribeCustomKeyStores, {})).toEqual({
    CustomKeyStores: [
      {
        CustomKeyStoreId: id,
        CustomKeyStoreName: 'one',
        ConnectionState: 'DISCONNECTED',
        CreationDate: frontend.now,
        CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
        XksProxyConfiguration: {
          Connectivity: 'PUBLIC_ENDPOINT',
          AccessKeyId: credential.AccessKeyId,
          UriEndpoint: 'https://xks.example.com',
          UriPath: '/one/kms/xks/v1',
        },
      },
    ],
    Truncated: false,
  });
});

test('the audit log has neither half of the credential', async () => {
  const { CustomKeyStoreId } = await createStore(frontend, 'one');
  await frontend.call(UpdateCustomKeyStore, { CustomKeyStoreId, XksProxyAuthenticationCredential: credential });
  const log = JSON.stringify(frontend.audit);
  expect(log).toContain('"xksProxyUriEndpoint":"https://xks.example.com"');
  for (const secret of Object.values(credential)) expect(log).not.toContain(secret);
});

test('names and addresses are of one store each, and ten stores are all there are', async () => {
  await createStore(frontend, 'one');
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('one'))).toMatch(/^CustomKeyStoreNameInUse/);
  const same = externalKeyStore('two', { XksProxyUriPath: '/one/kms/xks/v1' });
  expect(await frontend.refusal(CreateCustomKeyStore, same)).toMatch(/^XksProxyUriInUseException/);
  for (let i = 2; i <= 10; i++) await createStore(frontend, `store-${i}`);
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('eleven'))).toMatch(/^LimitExceeded/);
});

test('stores are listed in pages, and a marker of another list is none', async () => {
  for (const name of ['a', 'b', 'c']) await createStore(frontend, name);
  const first = await frontend.call(DescribeCustomKeyStores, { Limit: 2 });
  expect([first.CustomKeyStores?.length, first.Truncated]).toEqual([2, true]);
  const rest = await frontend.call(DescribeCustomKeyStores, { Limit: 2, Marker: first.NextMarker });
  expect(rest.CustomKeyStores?.map(({ CustomKeyStoreName }) => CustomKeyStoreName)).toEqual(['c']);
  const refusal = await frontend.refusal(DescribeCustomKeyStores, { Marker: 'nonsense' });
  expect(refusal).toBe('InvalidMarkerException: The marker is not valid.');
});

test.each([
  [{ CustomKeyStoreType: undefined }, /^ValidationException: CloudHsmClusterId is required/],
  [
    { CustomKeyStoreType: undefined, CloudHsmClusterId: 'cluster-1234abcdefg' },
    /^CloudHsmClusterNotFoundException|^ValidationException/,
  ],
  [{ XksProxyUriPath: undefined }, /^ValidationException: XksProxyUriEndpoint and XksProxyUriPath is required/],
  [{ XksProxyAuthenticationCredential: undefined }, /^ValidationException: XksProxyAuthenticationCredential/],
  [{ XksProxyConnectivity: undefined }, /^ValidationException: XksProxyConnectivity/],
  [{ KeyStorePassword: 'kmsPswd1' }, /^ValidationException: KeyStorePassword is not valid/],
  [
    {
      XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE',
      XksProxyVpcEndpointServiceName: 'com.amazonaws.vpce.us-east-1.vpce-svc-example1',
    },
    /^XksProxyVpcEndpointServiceNotFoundException/,
  ],
  [{ XksProxyUriEndpoint: 'http://xks.example.com' }, /^ValidationException/],
])('a request with %j is refused', async (overrides, refusal) => {
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('x', overrides))).toMatch(refusal);
});

test('while it is connected, a store takes another name, path and credential, and no other endpoint', async () => {
  const id = await connectedStore(frontend);
  const next = { AccessKeyId: 'Z'.repeat(20), RawSecretAccessKey: 'q'.repeat(43) };
  await frontend.call(UpdateCustomKeyStore, {
    CustomKeyStoreId: id,
    NewCustomKeyStoreName: 'renamed',
    XksProxyUriPath: '/new/kms/xks/v1',
    XksProxyAuthenticationCredential: next,
  });
  expect(proxy.requests.at(-1)?.path).toBe('/new/kms/xks/v1/health');
  expect(await stateOf(frontend, id)).toMatchObject({
    CustomKeyStoreName: 'renamed',
    ConnectionState: 'CONNECTED',
    XksProxyConfiguration: { AccessKeyId: next.AccessKeyId, UriPath: '/new/kms/xks/v1' },
  });
  const elsewhere = { CustomKeyStoreId: id, XksProxyUriEndpoint: 'https://other.example.com' };
  expect(await frontend.refusal(UpdateCustomKeyStore, elsewhere)).toMatch(/^CustomKeyStoreInvalidStateException/);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: id });
  await frontend.call(UpdateCustomKeyStore, elsewhere);
  expect((await stateOf(frontend, id)).XksProxyConfiguration?.UriEndpoint).toBe('https://other.example.com');
});

test('a store is deleted when it is disconnected and has no keys', async () => {
  const id = await connectedStore(frontend);
  const { KeyId } = await externalKey(frontend, id);
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId: id })).toMatch(/^CustomKeyStoreInvalidState/);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: id });
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId: id })).toMatch(/^CustomKeyStoreHasCMKs/);
  await frontend.call(ScheduleKeyDeletion, { KeyId });
  expect((await frontend.call(DescribeKey, { KeyId })).KeyMetadata?.KeyState).toBe('PendingDeletion');
  const key = await frontend.store.findKey('us-east-1', KeyId);
  await frontend.store.deleteKey(key!, { id: 'a', text: '{}' });
  await frontend.call(DeleteCustomKeyStore, { CustomKeyStoreId: id });
  expect(await frontend.call(DescribeCustomKeyStores, {})).toEqual({ CustomKeyStores: [], Truncated: false });
});

describe('a caller', () => {
  const operations = [
    ConnectCustomKeyStore,
    DeleteCustomKeyStore,
    DescribeCustomKeyStores,
    DisconnectCustomKeyStore,
    UpdateCustomKeyStore,
  ];

  test('that asks of a store that is not there hears so', async () => {
    const notFound = 'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.';
    for (const operation of operations) {
      expect(await frontend.refusal(operation, { CustomKeyStoreId: 'cks-1' })).toBe(notFound);
    }
  });

  test('that may not ask is refused, and another account sees no store', async () => {
    const id = await connectedStore(frontend);
    const nobody = user('bob', { policies: [] });
    for (const operation of operations) {
      const refusal = await frontend.refusal(operation, { CustomKeyStoreId: id }, { caller: nobody });
      expect(refusal).toMatch(/^AccessDeniedException/);
    }
    const other = { caller: user('eve', { accountId: '999999999999' }) };
    expect(await frontend.call(DescribeCustomKeyStores, {}, other)).toMatchObject({ CustomKeyStores: [] });
    expect(await frontend.refusal(DisconnectCustomKeyStore, { CustomKeyStoreId: id }, other)).toMatch(/NotFound/);
  });
});
