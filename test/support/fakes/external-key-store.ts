import {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  DescribeCustomKeyStores,
} from '@keyfleet/shared/api/custom-key-stores';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { FakeFrontend } from './frontend.ts';
import { FakeXksProxy } from './xks-proxy.ts';

export const credential = { AccessKeyId: 'A2B3C4D5E6F7A2B3C4D5', RawSecretAccessKey: 'kZ'.repeat(22) };

/** A frontend whose external key stores all have this proxy. */
export function newFrontendWithProxy() {
  const [frontend, proxy] = [new FakeFrontend(), new FakeXksProxy()];
  frontend.answerOfProxy = async (call) => proxy.answer(call);
  return { frontend, proxy };
}

/** A well-formed request for a store. */
export function externalKeyStore(name: string, overrides: object = {}) {
  return {
    CustomKeyStoreName: name,
    CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
    XksProxyUriEndpoint: 'https://xks.example.com',
    XksProxyUriPath: `/${name}/kms/xks/v1`,
    XksProxyAuthenticationCredential: credential,
    XksProxyConnectivity: 'PUBLIC_ENDPOINT',
    ...overrides,
  };
}

export function createStore(frontend: FakeFrontend, name: string, overrides: object = {}) {
  return frontend.call(CreateCustomKeyStore, externalKeyStore(name, overrides));
}

export async function stateOf(frontend: FakeFrontend, CustomKeyStoreId: string | undefined) {
  return (await frontend.call(DescribeCustomKeyStores, { CustomKeyStoreId })).CustomKeyStores![0]!;
}

/** Makes a store and connects it. */
export async function connectedStore(frontend: FakeFrontend, name = 'store'): Promise<string> {
  const { CustomKeyStoreId: id } = await createStore(frontend, name);
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId: id });
  return id!;
}

export async function externalKey(frontend: FakeFrontend, storeId: string, xksKeyId = 'key-1') {
  const input = { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: storeId, XksKeyId: xksKeyId };
  return (await frontend.call(CreateKey, input)).KeyMetadata!;
}
