import type { ConnectionErrorCode, ConnectionState } from '@keyfleet/shared/api/choices';
import type { KeyInStore } from '@keyfleet/shared/stored/key-store-keys';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { z } from 'zod';
import type { Recall } from '../store/last-known.ts';

/** Where an external key store's proxy is, and how it recognizes us. */
export interface XksProxy {
  /** `https://` and a host name. */
  readonly uriEndpoint: string;
  /** Ends in `/kms/xks/v1`. */
  readonly uriPath: string;
  readonly accessKeyId: string;
  /** The proxy's secret access key, as sealed by an HSM. */
  readonly token: Uint8Array;
}

export type ConnectionError = z.output<typeof ConnectionErrorCode>;

/** Where a CloudHSM key store's cluster is, and how its user logs in. */
export interface ClusterAccess {
  readonly clusterId: string;
  /** PEM, as given. */
  readonly trustAnchor: string;
  /** The user's password, as sealed by an HSM. */
  readonly token: Uint8Array;
}

/** The request that changes a store's connection, and until when something may be heard of it. */
export interface UnderWay {
  readonly requestId: string;
  readonly until: number;
}

interface AnyKeyStore {
  /** `cks-` and 17 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly state: z.output<typeof ConnectionState>;
  /** Present while CONNECTING. If nothing more was heard of it, that failed. */
  readonly connecting?: UnderWay | undefined;
  /** Present while DISCONNECTING. If nothing more was heard of it, the store is disconnected. */
  readonly disconnecting?: UnderWay | undefined;
  /** Why the store is FAILED. */
  readonly error?: ConnectionError | undefined;
}

export interface ExternalKeyStore extends AnyKeyStore {
  readonly type: 'EXTERNAL_KEY_STORE';
  readonly xks: XksProxy;
}

export interface ClusterKeyStore extends AnyKeyStore {
  readonly type: 'AWS_CLOUDHSM';
  readonly cluster: ClusterAccess;
}

/** A custom key store: `type` gives the kind, and each kind has one member for its own data. */
export type CustomKeyStore = ExternalKeyStore | ClusterKeyStore;

/** All custom key stores of an account's Region, as read. */
export interface KeyStores extends Scope {
  /** In order of creation. */
  readonly stores: readonly CustomKeyStore[];
  /** Compared on a write; `''`: no record exists yet. */
  readonly version: string;
  /** Counts writes; 0: no record exists yet, or it predates the count. */
  readonly revision: number;
}

/**
 * The custom key stores of an account's Region are one record, because their names, addresses and number are checked
 * together. Every change states what it read, and throws ConflictError if that is no longer current. When a method
 * returns normally, its change is durable.
 */
export interface KeyStoreStore {
  /** Not a promise if cached. */
  find(scope: Scope, recall?: Recall): KeyStores | Promise<KeyStores>;
  replace(before: KeyStores, stores: readonly CustomKeyStore[]): Promise<void>;
  /** False if it contains KMS keys. */
  remove(before: KeyStores, id: string): Promise<boolean>;
  /**
   * Reserves a new KMS key's place in a store, before the key's record is stored. False if another key has the place.
   */
  claim(before: KeyStores, key: KeyInStore): Promise<boolean>;
}

export function findKeyStore({ stores }: KeyStores, id: string): CustomKeyStore | undefined {
  return stores.find((store) => store.id === id);
}

/** The store in its state at `now`: the process that was connecting or disconnecting it may have died. */
export function storeAt(store: CustomKeyStore, now: number): CustomKeyStore {
  const { connecting, disconnecting, ...rest } = store;
  const isOver = (underWay: UnderWay | undefined): boolean => underWay === undefined || now >= underWay.until;
  if (store.state === 'CONNECTING' && isOver(connecting)) return { ...rest, state: 'FAILED', error: 'INTERNAL_ERROR' };
  if (store.state === 'DISCONNECTING' && isOver(disconnecting)) return { ...rest, state: 'DISCONNECTED' };
  return store;
}

/** The principal for which a store's secret is sealed: its proxy's access key or its cluster's password. */
export function principalOfStore({ accountId, region, storeId }: Scope & { readonly storeId: string }): string {
  return `custom-key-store/${accountId}/${region}/${storeId}`;
}

/** The store's secret, as sealed by an HSM. */
export function tokenOfStore(store: CustomKeyStore): Uint8Array {
  return store.type === 'AWS_CLOUDHSM' ? store.cluster.token : store.xks.token;
}

export function withToken(store: CustomKeyStore, token: Uint8Array): CustomKeyStore {
  if (store.type === 'AWS_CLOUDHSM') return { ...store, cluster: { ...store.cluster, token } };
  return { ...store, xks: { ...store.xks, token } };
}
