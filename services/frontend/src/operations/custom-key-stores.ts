import { randomBytes } from 'node:crypto';
import type {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  CustomKeyStore as CustomKeyStoreShape,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import type { z } from 'zod';
import { type CustomKeyStore, findKeyStore, type KeyStores, type XksProxy } from '../key-stores/key-store.ts';
import { XksError } from '../xks/problems.ts';
import { principalOfStore } from '../xks/proxies.ts';
import type { Call, Deps, Handler } from './handler.ts';

/** AWS's quota, for an account's Region. */
export const KEY_STORES = 10;
const DEFAULT_LIMIT = 1000;

type StoreDeps = Pick<Deps, 'keyStores' | 'proxies' | 'hsm' | 'clock'>;

export const createCustomKeyStore: Handler<typeof CreateCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  assertExternal(input);
  const before = await deps.keyStores.find(scopeOf(call));
  if (before.stores.length >= KEY_STORES) {
    throw new KmsException('LimitExceededException', `The account has the maximum of ${KEY_STORES} custom key stores.`);
  }
  assertNameFree(before, input.CustomKeyStoreName);
  const id = `cks-${randomBytes(9).toString('hex').slice(1)}`;
  const { XksProxyUriEndpoint: uriEndpoint, XksProxyUriPath: uriPath } = input;
  if (uriEndpoint === undefined || uriPath === undefined) throw required('XksProxyUriEndpoint and XksProxyUriPath');
  if (input.XksProxyAuthenticationCredential === undefined) throw required('XksProxyAuthenticationCredential');
  assertUriFree(before, { uriEndpoint, uriPath });
  const credential = await sealed(input.XksProxyAuthenticationCredential, id, { call, deps });
  const store: CustomKeyStore = {
    id,
    name: input.CustomKeyStoreName,
    createdAt: deps.clock.now(),
    state: 'DISCONNECTED',
    type: 'EXTERNAL_KEY_STORE',
    xks: { uriEndpoint, uriPath, ...credential },
  };
  await checkHealth(store, 'CreateCustomKeyStore', { call, deps });
  await deps.keyStores.replace(before, [...before.stores, store]);
  return { CustomKeyStoreId: id };
};

export const updateCustomKeyStore: Handler<typeof UpdateCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  const { before, store } = await loadStore(input.CustomKeyStoreId, call, deps);
  assertChanges(input, store);
  const name = input.NewCustomKeyStoreName ?? store.name;
  if (name !== store.name) assertNameFree(before, name);
  const { XksProxyUriEndpoint: uriEndpoint = store.xks.uriEndpoint, XksProxyUriPath: uriPath = store.xks.uriPath } =
    input;
  const others = { ...before, stores: before.stores.filter(({ id }) => id !== store.id) };
  assertUriFree(others, { uriEndpoint, uriPath });
  const given = input.XksProxyAuthenticationCredential;
  const credential = given && (await sealed(given, store.id, { call, deps }));
  const changed = { ...store, name, xks: { ...store.xks, uriEndpoint, uriPath, ...credential } };
  const isElsewhere = uriEndpoint !== store.xks.uriEndpoint || uriPath !== store.xks.uriPath;
  if (isElsewhere || credential) await checkHealth(changed, 'UpdateCustomKeyStore', { call, deps });
  await deps.keyStores.replace(before, replaced(before, changed));
  return {};
};

export const deleteCustomKeyStore: Handler<typeof DeleteCustomKeyStore, Pick<Deps, 'keyStores'>> = async (
  { CustomKeyStoreId },
  call,
  deps,
) => {
  const { before, store } = await loadStore(CustomKeyStoreId, call, deps);
  if (store.state !== 'DISCONNECTED') throw wrongState(store, 'deleted', 'DISCONNECTED');
  if (await deps.keyStores.remove(before, store.id)) return {};
  const message = `The custom key store ${store.id} has KMS keys. Schedule their deletion, and wait until they are deleted.`;
  throw new KmsException('CustomKeyStoreHasCMKsException', message);
};

/** AWS answers before it is done, and tells the end by DescribeCustomKeyStores only. Here it is done when it is answered. */
export const connectCustomKeyStore: Handler<typeof ConnectCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  const { before, store } = await loadStore(input.CustomKeyStoreId, call, deps);
  if (store.state === 'CONNECTED') return {};
  if (store.state === 'FAILED') throw wrongState(store, 'connected', 'DISCONNECTED');
  const { error: _, ...rest } = store;
  const error = await connectionErrorOf(store, { call, deps });
  const connected: CustomKeyStore = error ? { ...rest, state: 'FAILED', error } : { ...rest, state: 'CONNECTED' };
  await deps.keyStores.replace(before, replaced(before, connected));
  return {};
};

export const disconnectCustomKeyStore: Handler<typeof DisconnectCustomKeyStore, Pick<Deps, 'keyStores'>> = async (
  input,
  call,
  deps,
) => {
  const { before, store } = await loadStore(input.CustomKeyStoreId, call, deps);
  if (store.state === 'DISCONNECTED') throw wrongState(store, 'disconnected', 'CONNECTED or FAILED');
  const { error: _, ...rest } = store;
  await deps.keyStores.replace(before, replaced(before, { ...rest, state: 'DISCONNECTED' }));
  return {};
};

type DescribeDeps = Pick<Deps, 'keyStores' | 'markers'>;

export const describeCustomKeyStores: Handler<typeof DescribeCustomKeyStores, DescribeDeps> = async (
  input,
  call,
  { keyStores, markers },
) => {
  const { CustomKeyStoreId: id, CustomKeyStoreName: name, Limit: limit = DEFAULT_LIMIT } = input;
  if (id !== undefined && name !== undefined) {
    throw new KmsException('ValidationException', 'Only one of CustomKeyStoreId and CustomKeyStoreName can be given.');
  }
  const { stores } = await keyStores.find(scopeOf(call));
  const named = id ?? name;
  const found = stores.filter((store) => named === undefined || named === (id === undefined ? store.name : store.id));
  if (named !== undefined && found.length === 0) throw customKeyStoreNotFound(named);
  const list = { ...scopeOf(call), operation: 'DescribeCustomKeyStores' };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, call.deadline);
  const rest = found.slice(after === undefined ? 0 : found.findIndex((store) => store.id === after) + 1);
  const page = rest.slice(0, limit);
  const next = rest.length > page.length ? page.at(-1)!.id : undefined;
  return {
    CustomKeyStores: page.map(described),
    ...(next !== undefined && { NextMarker: await markers.seal(list, next, call.deadline) }),
    Truncated: next !== undefined,
  };
};

export function customKeyStoreNotFound(named: string): KmsException {
  return new KmsException('CustomKeyStoreNotFoundException', `Custom key store ${named} does not exist.`);
}

/** Throws CustomKeyStoreNotFoundException. */
export async function loadStore(
  id: string,
  call: Call,
  { keyStores }: Pick<Deps, 'keyStores'>,
): Promise<{ before: KeyStores; store: CustomKeyStore }> {
  const before = await keyStores.find(scopeOf(call));
  const store = findKeyStore(before, id);
  if (store === undefined) throw customKeyStoreNotFound(id);
  return { before, store };
}

function scopeOf({ caller, region }: Call) {
  return { accountId: caller.accountId, region };
}

function replaced({ stores }: KeyStores, changed: CustomKeyStore): readonly CustomKeyStore[] {
  return stores.map((store) => (store.id === changed.id ? changed : store));
}

function described({
  id,
  name,
  createdAt,
  state,
  error,
  type,
  xks,
}: CustomKeyStore): z.input<typeof CustomKeyStoreShape> {
  return {
    CustomKeyStoreId: id,
    CustomKeyStoreName: name,
    ConnectionState: state,
    ...(error !== undefined && { ConnectionErrorCode: error }),
    CreationDate: createdAt,
    CustomKeyStoreType: type,
    XksProxyConfiguration: {
      Connectivity: 'PUBLIC_ENDPOINT',
      AccessKeyId: xks.accessKeyId,
      UriEndpoint: xks.uriEndpoint,
      UriPath: xks.uriPath,
    },
  };
}

/** A deployment has no CloudHSM clusters, and no VPC endpoint services. */
function assertExternal(input: InputOf<typeof CreateCustomKeyStore>): void {
  if (input.CustomKeyStoreType !== 'EXTERNAL_KEY_STORE') {
    const { CloudHsmClusterId: id } = input;
    if (id === undefined) throw invalid('CloudHsmClusterId is required for CustomKeyStoreType AWS_CLOUDHSM.');
    throw new KmsException('CloudHsmClusterNotFoundException', `The CloudHSM cluster ${id} does not exist.`);
  }
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

/** While a store is connected, only its name, path and credential may change (KMS API Reference, "UpdateCustomKeyStore"). */
function assertChanges(input: InputOf<typeof UpdateCustomKeyStore>, store: CustomKeyStore): void {
  const { CustomKeyStoreId: _, ...changes } = input;
  if (Object.values(changes).every((value) => value === undefined)) throw invalid('There is nothing to update.');
  for (const member of ['CloudHsmClusterId', 'KeyStorePassword'] as const) {
    if (input[member] !== undefined) throw invalid(`${member} is not valid for CustomKeyStoreType EXTERNAL_KEY_STORE.`);
  }
  assertConnectivity(input);
  const needsRest = input.XksProxyUriEndpoint !== undefined || input.XksProxyConnectivity !== undefined;
  if (store.state === 'FAILED' || (needsRest && store.state !== 'DISCONNECTED')) {
    throw wrongState(store, 'updated', 'DISCONNECTED');
  }
}

function assertNameFree({ stores }: KeyStores, name: string): void {
  if (stores.every((store) => store.name !== name)) return;
  throw new KmsException('CustomKeyStoreNameInUseException', `A custom key store with the name ${name} exists.`);
}

function assertUriFree(
  { stores }: KeyStores,
  { uriEndpoint, uriPath }: Pick<XksProxy, 'uriEndpoint' | 'uriPath'>,
): void {
  const isUsed = stores.some(({ xks }) => xks.uriEndpoint === uriEndpoint && xks.uriPath === uriPath);
  if (!isUsed) return;
  const message = `The proxy URI ${uriEndpoint}${uriPath} is that of another external key store.`;
  throw new KmsException('XksProxyUriInUseException', message);
}

interface Work {
  readonly call: Call;
  readonly deps: StoreDeps;
}

type Credential = NonNullable<InputOf<typeof CreateCustomKeyStore>['XksProxyAuthenticationCredential']>;

/** Only an HSM's token of the secret is kept. */
async function sealed(
  { AccessKeyId: accessKeyId, RawSecretAccessKey }: Credential,
  storeId: string,
  { call, deps }: Work,
): Promise<Pick<XksProxy, 'accessKeyId' | 'token'>> {
  const principal = principalOfStore({ ...scopeOf(call), storeId });
  const secretAccessKey = Buffer.from(RawSecretAccessKey);
  const { token } = await deps.hsm.execute(
    'SealCredential',
    { accessKeyId, principal, secretAccessKey },
    call.deadline,
  );
  return { accessKeyId, token };
}

async function checkHealth(
  { id, xks }: CustomKeyStore,
  operation: 'CreateCustomKeyStore' | 'UpdateCustomKeyStore',
  { call, deps }: Work,
): Promise<void> {
  const { requestId, deadline } = call;
  try {
    await deps.proxies.checkHealth({ ...scopeOf(call), storeId: id, xks }, { operation, requestId, deadline });
  } catch (error) {
    throw error instanceof XksError ? error.toldBy(operation) : error;
  }
}

async function connectionErrorOf({ id, xks }: CustomKeyStore, { call, deps }: Work) {
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

function wrongState({ id, state }: CustomKeyStore, what: string, needed: string): KmsException {
  const message = `The custom key store ${id} is ${state}. It can be ${what} only when it is ${needed}.`;
  return new KmsException('CustomKeyStoreInvalidStateException' satisfies ExceptionCode, message);
}

function required(members: string): KmsException {
  return invalid(`${members} is required for CustomKeyStoreType EXTERNAL_KEY_STORE.`);
}

function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}
