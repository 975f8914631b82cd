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
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { z } from 'zod';
import {
  type ClusterAccess,
  type CustomKeyStore,
  findKeyStore,
  type KeyStores,
  storeAt,
  type XksProxy,
} from '../key-stores/key-store.ts';
import { changedClusterAccess, clusterConnectionErrorOf, newClusterAccess } from './cloudhsm-key-stores.ts';
import { changedXksProxy, newXksProxy, xksConnectionErrorOf } from './external-key-stores.ts';
import type { Call, Deps, Handler } from './handler.ts';
import { invalid, scopeOf, type StoreDeps, wrongState } from './store-work.ts';

/** AWS's quota for an account's Region. */
const KEY_STORES = 10;
const DEFAULT_LIMIT = 1000;

export const createCustomKeyStore: Handler<typeof CreateCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  const before = await deps.keyStores.find(scopeOf(call));
  if (before.stores.length >= KEY_STORES) {
    throw new KmsException('LimitExceededException', `The account has the maximum of ${KEY_STORES} custom key stores.`);
  }
  assertNameFree(before, input.CustomKeyStoreName);
  const id = `cks-${randomBytes(9).toString('hex').slice(1)}`;
  const isExternal = input.CustomKeyStoreType === 'EXTERNAL_KEY_STORE';
  const kind = await (isExternal ? newXksProxy : newClusterAccess)(input, { id, before }, { call, deps });
  const store: CustomKeyStore = {
    id,
    name: input.CustomKeyStoreName,
    createdAt: deps.clock.now(),
    state: 'DISCONNECTED',
    ...kind,
  };
  await deps.keyStores.replace(before, [...before.stores, store]);
  return { CustomKeyStoreId: id };
};

export const updateCustomKeyStore: Handler<typeof UpdateCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  const { before, store } = await loadStore(input.CustomKeyStoreId, call, deps);
  const { CustomKeyStoreId: _, ...changes } = input;
  if (Object.values(changes).every((value) => value === undefined)) throw invalid('There is nothing to update.');
  const name = input.NewCustomKeyStoreName ?? store.name;
  if (name !== store.name) assertNameFree(before, name);
  const work = { call, deps };
  const changed: CustomKeyStore =
    store.type === 'EXTERNAL_KEY_STORE'
      ? { ...store, name, ...(await changedXksProxy(input, { before, store }, work)) }
      : { ...store, name, ...(await changedClusterAccess(input, store, work)) };
  await deps.keyStores.replace(before, replaced(before, changed));
  return {};
};

export const deleteCustomKeyStore: Handler<typeof DeleteCustomKeyStore, LoadDeps> = async (
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

/**
 * AWS answers before the connection is made and reports the result only through DescribeCustomKeyStores. Here the
 * connection is made before the answer; meanwhile others see CONNECTING.
 */
export const connectCustomKeyStore: Handler<typeof ConnectCustomKeyStore, StoreDeps> = async (input, call, deps) => {
  const found = await loadStore(input.CustomKeyStoreId, call, deps);
  const { state } = found.store;
  if (state === 'FAILED' || state === 'DISCONNECTING') throw wrongState(found.store, 'connected', 'DISCONNECTED');
  const { before, store } = state === 'DISCONNECTED' ? await beginConnecting(found, call, deps) : found;
  // It is connected, or meanwhile somebody else is connecting it or has disconnected it.
  if (store.state !== 'CONNECTING' || store.connecting?.requestId !== call.requestId) return {};
  const { connecting: _, ...rest } = store;
  const work = { call, deps };
  const error = await (store.type === 'EXTERNAL_KEY_STORE'
    ? xksConnectionErrorOf(store, work)
    : clusterConnectionErrorOf(store, work));
  const connected: CustomKeyStore = error ? { ...rest, state: 'FAILED', error } : { ...rest, state: 'CONNECTED' };
  await deps.keyStores.replace(before, replaced(before, connected));
  return {};
};

interface LoadedStore {
  readonly before: KeyStores;
  readonly store: CustomKeyStore;
}

async function beginConnecting({ before, store }: LoadedStore, call: Call, deps: StoreDeps): Promise<LoadedStore> {
  const { requestId, deadline: until } = call;
  const connecting = { ...store, state: 'CONNECTING' as const, connecting: { requestId, until } };
  await deps.keyStores.replace(before, replaced(before, connecting));
  return loadStore(store.id, call, deps);
}

/**
 * A CloudHSM key store is DISCONNECTING until hsm-workers have logged out of its token. An external key store has no
 * session that would have to end.
 */
export const disconnectCustomKeyStore: Handler<typeof DisconnectCustomKeyStore, DisconnectDeps> = async (
  input,
  call,
  deps,
) => {
  const found = await loadStore(input.CustomKeyStoreId, call, deps);
  const { state, disconnecting } = found.store;
  // A request that is decided again goes on with what it began.
  const isOwn = state === 'DISCONNECTING' && disconnecting?.requestId === call.requestId;
  if (state === 'DISCONNECTED' || (state === 'DISCONNECTING' && !isOwn)) {
    throw wrongState(found.store, 'disconnected', 'CONNECTED, CONNECTING or FAILED');
  }
  const isCluster = found.store.type === 'AWS_CLOUDHSM';
  const { before, store } = isCluster && !isOwn ? await beginDisconnecting(found, call, deps) : found;
  if (store.type === 'AWS_CLOUDHSM') {
    await deps.clusters.disconnect({ ...scopeOf(call), storeId: store.id, cluster: store.cluster }, call.deadline);
  }
  await deps.keyStores.replace(before, replaced(before, { ...atRest(store), state: 'DISCONNECTED' }));
  return {};
};

async function beginDisconnecting({ before, store }: LoadedStore, call: Call, deps: LoadDeps): Promise<LoadedStore> {
  const { requestId, deadline: until } = call;
  const disconnecting = { ...atRest(store), state: 'DISCONNECTING' as const, disconnecting: { requestId, until } };
  await deps.keyStores.replace(before, replaced(before, disconnecting));
  return loadStore(store.id, call, deps);
}

/** Without what belongs to the state that it leaves. */
function atRest(store: CustomKeyStore) {
  const { error: _, connecting: __, disconnecting: ___, ...rest } = store;
  return rest;
}

type DisconnectDeps = LoadDeps & Pick<Deps, 'clusters'>;
type LoadDeps = Pick<Deps, 'keyStores' | 'clock'>;
type DescribeDeps = LoadDeps & Pick<Deps, 'markers'>;

export const describeCustomKeyStores: Handler<typeof DescribeCustomKeyStores, DescribeDeps> = async (
  input,
  call,
  { keyStores, clock, markers },
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
    CustomKeyStores: page.map((store) => described(storeAt(store, clock.now()))),
    ...(next !== undefined && { NextMarker: await markers.seal(list, next, call.deadline) }),
    Truncated: next !== undefined,
  };
};

function customKeyStoreNotFound(named: string): KmsException {
  return new KmsException('CustomKeyStoreNotFoundException', `Custom key store ${named} does not exist.`);
}

/** Throws CustomKeyStoreNotFoundException. */
export async function loadStore(id: string, call: Call, { keyStores, clock }: LoadDeps): Promise<LoadedStore> {
  const before = await keyStores.find(scopeOf(call), call.recall);
  const store = findKeyStore(before, id);
  if (store === undefined) throw customKeyStoreNotFound(id);
  return { before, store: storeAt(store, clock.now()) };
}

function replaced({ stores }: KeyStores, changed: CustomKeyStore): readonly CustomKeyStore[] {
  return stores.map((store) => (store.id === changed.id ? changed : store));
}

function described(store: CustomKeyStore): z.input<typeof CustomKeyStoreShape> {
  const { id, name, createdAt, state, error, type } = store;
  return {
    CustomKeyStoreId: id,
    CustomKeyStoreName: name,
    ConnectionState: state,
    ...(error !== undefined && { ConnectionErrorCode: error }),
    CreationDate: createdAt,
    CustomKeyStoreType: type,
    ...(store.type === 'AWS_CLOUDHSM' ? clusterMembersOf(store.cluster) : xksMembersOf(store.xks)),
  };
}

function xksMembersOf({ accessKeyId, uriEndpoint, uriPath }: XksProxy) {
  return {
    XksProxyConfiguration: {
      Connectivity: 'PUBLIC_ENDPOINT' as const,
      AccessKeyId: accessKeyId,
      UriEndpoint: uriEndpoint,
      UriPath: uriPath,
    },
  };
}

function clusterMembersOf({ clusterId, trustAnchor }: ClusterAccess) {
  return { CloudHsmClusterId: clusterId, TrustAnchorCertificate: trustAnchor };
}

function assertNameFree({ stores }: KeyStores, name: string): void {
  if (stores.every((store) => store.name !== name)) return;
  throw new KmsException('CustomKeyStoreNameInUseException', `A custom key store with the name ${name} exists.`);
}
