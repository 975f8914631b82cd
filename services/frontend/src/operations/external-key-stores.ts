import type { CreateCustomKeyStore, UpdateCustomKeyStore } from '@keyfleet/shared/api/custom-key-stores';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import {
  type ConnectionError,
  type ExternalKeyStore,
  type KeyStores,
  principalOfStore,
  type XksProxy,
} from '../key-stores/key-store.ts';
import { XksError } from '../xks/problems.ts';
import { invalid, scopeOf, type StoreWork, wrongState } from './store-work.ts';

/** The parts specific to an external key store. Throws unless its proxy answers. */
export async function newXksProxy(
  input: InputOf<typeof CreateCustomKeyStore>,
  { id, before }: { id: string; before: KeyStores },
  work: StoreWork,
): Promise<Pick<ExternalKeyStore, 'type' | 'xks'>> {
  assertExternal(input);
  const { XksProxyUriEndpoint: uriEndpoint, XksProxyUriPath: uriPath } = input;
  if (uriEndpoint === undefined || uriPath === undefined) throw required('XksProxyUriEndpoint and XksProxyUriPath');
  if (input.XksProxyAuthenticationCredential === undefined) throw required('XksProxyAuthenticationCredential');
  assertUriFree(before, { uriEndpoint, uriPath });
  const credential = await sealed(input.XksProxyAuthenticationCredential, id, work);
  const xks = { uriEndpoint, uriPath, ...credential };
  await checkHealth({ id, xks }, 'CreateCustomKeyStore', work);
  return { type: 'EXTERNAL_KEY_STORE', xks };
}

/** Throws unless the changes are allowed now and the proxy answers. */
export async function changedXksProxy(
  input: InputOf<typeof UpdateCustomKeyStore>,
  { before, store }: { before: KeyStores; store: ExternalKeyStore },
  work: StoreWork,
): Promise<Pick<ExternalKeyStore, 'xks'>> {
  assertChanges(input, store);
  const { XksProxyUriEndpoint: uriEndpoint = store.xks.uriEndpoint, XksProxyUriPath: uriPath = store.xks.uriPath } =
    input;
  const others = { ...before, stores: before.stores.filter(({ id }) => id !== store.id) };
  assertUriFree(others, { uriEndpoint, uriPath });
  const given = input.XksProxyAuthenticationCredential;
  const credential = given && (await sealed(given, store.id, work));
  const xks = { ...store.xks, uriEndpoint, uriPath, ...credential };
  const isElsewhere = uriEndpoint !== store.xks.uriEndpoint || uriPath !== store.xks.uriPath;
  if (isElsewhere || credential) await checkHealth({ id: store.id, xks }, 'UpdateCustomKeyStore', work);
  return { xks };
}

/** Why the proxy cannot be used; undefined if it can. */
export async function xksConnectionErrorOf(
  { id, xks }: ExternalKeyStore,
  { call, deps }: StoreWork,
): Promise<ConnectionError | undefined> {
  const { requestId, deadline } = call;
  const purpose = { operation: 'ConnectCustomKeyStore', requestId, deadline };
  try {
    await deps.proxies.checkHealth({ ...scopeOf(call), storeId: id, xks }, purpose);
    return undefined;
  } catch (error) {
    if (error instanceof XksError) return error.connectionError;
    throw error;
  }
}

function assertExternal(input: InputOf<typeof CreateCustomKeyStore>): void {
  for (const member of ['CloudHsmClusterId', 'TrustAnchorCertificate', 'KeyStorePassword'] as const) {
    if (input[member] !== undefined) throw invalid(`${member} is not valid for CustomKeyStoreType EXTERNAL_KEY_STORE.`);
  }
  if (input.XksProxyConnectivity === undefined) throw required('XksProxyConnectivity');
  assertConnectivity(input);
}

type Connectivity = Pick<
  InputOf<typeof CreateCustomKeyStore>,
  'XksProxyConnectivity' | 'XksProxyVpcEndpointServiceName' | 'XksProxyVpcEndpointServiceOwner'
>;

/** Deployments have no VPC endpoint services. */
function assertConnectivity(input: Connectivity): void {
  const { XksProxyConnectivity: connectivity, XksProxyVpcEndpointServiceName: service } = input;
  if (connectivity === 'VPC_ENDPOINT_SERVICE') {
    if (service === undefined) throw required('XksProxyVpcEndpointServiceName');
    const message = `The VPC endpoint service ${service} does not exist.`;
    throw new KmsException('XksProxyVpcEndpointServiceNotFoundException', message);
  }
  if (service === undefined && input.XksProxyVpcEndpointServiceOwner === undefined) return;
  throw invalid('A VPC endpoint service is not valid for XksProxyConnectivity PUBLIC_ENDPOINT.');
}

/**
 * While a store is connected, only its name, path and credential may change (KMS API Reference,
 * "UpdateCustomKeyStore").
 */
function assertChanges(input: InputOf<typeof UpdateCustomKeyStore>, store: ExternalKeyStore): void {
  for (const member of ['CloudHsmClusterId', 'KeyStorePassword'] as const) {
    if (input[member] !== undefined) throw invalid(`${member} is not valid for CustomKeyStoreType EXTERNAL_KEY_STORE.`);
  }
  assertConnectivity(input);
  const needsRest = input.XksProxyUriEndpoint !== undefined || input.XksProxyConnectivity !== undefined;
  const mayStay = !needsRest && store.state === 'CONNECTED';
  if (store.state !== 'DISCONNECTED' && !mayStay) {
    throw wrongState(store, 'updated', 'DISCONNECTED');
  }
}

function assertUriFree(
  { stores }: KeyStores,
  { uriEndpoint, uriPath }: Pick<XksProxy, 'uriEndpoint' | 'uriPath'>,
): void {
  const isUsed = stores.some(
    (store) =>
      store.type === 'EXTERNAL_KEY_STORE' && store.xks.uriEndpoint === uriEndpoint && store.xks.uriPath === uriPath,
  );
  if (!isUsed) return;
  const message = `The proxy URI ${uriEndpoint}${uriPath} is that of another external key store.`;
  throw new KmsException('XksProxyUriInUseException', message);
}

type Credential = NonNullable<InputOf<typeof CreateCustomKeyStore>['XksProxyAuthenticationCredential']>;

/** The secret is kept only as an HSM's token. */
async function sealed(
  { AccessKeyId: accessKeyId, RawSecretAccessKey }: Credential,
  storeId: string,
  { call, deps }: StoreWork,
): Promise<Pick<XksProxy, 'accessKeyId' | 'token'>> {
  const principal = principalOfStore({ ...scopeOf(call), storeId });
  const secretAccessKey = Buffer.from(RawSecretAccessKey);
  const input = { accessKeyId, principal, secretAccessKey };
  try {
    const { token } = await deps.hsm.execute('SealCredential', input, call.deadline);
    return { accessKeyId, token };
  } finally {
    secretAccessKey.fill(0);
  }
}

async function checkHealth(
  { id, xks }: Pick<ExternalKeyStore, 'id' | 'xks'>,
  operation: 'CreateCustomKeyStore' | 'UpdateCustomKeyStore',
  { call, deps }: StoreWork,
): Promise<void> {
  const { requestId, deadline } = call;
  try {
    await deps.proxies.checkHealth({ ...scopeOf(call), storeId: id, xks }, { operation, requestId, deadline });
  } catch (error) {
    throw error instanceof XksError ? error.toldBy(operation) : error;
  }
}

function required(members: string): KmsException {
  return invalid(`${members} is required for CustomKeyStoreType EXTERNAL_KEY_STORE.`);
}
