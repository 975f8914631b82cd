import type { ConnectionErrorCode } from '@keyfleet/shared/api/choices';
import type { KeyInStore } from '@keyfleet/shared/stored/key-store-keys';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { z } from 'zod';

/** Where an external key store's proxy is, and how it knows us. */
export interface XksProxy {
  /** `https://` and a host name. */
  readonly uriEndpoint: string;
  /** Ends in `/kms/xks/v1`. */
  readonly uriPath: string;
  readonly accessKeyId: string;
  /** Its secret access key, as an HSM sealed it. */
  readonly token: Uint8Array;
}

export type ConnectionError = z.output<typeof ConnectionErrorCode>;

/** Where a CloudHSM key store's cluster is, and how its user logs in. */
export interface ClusterAccess {
  readonly clusterId: string;
  /** PEM, as it was given. */
  readonly trustAnchor: string;
  /** The user's password, as an HSM sealed it. */
  readonly token: Uint8Array;
}

interface AnyKeyStore {
  /** `cks-` and 17 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly state: 'CONNECTED' | 'CONNECTING' | 'DISCONNECTED' | 'FAILED';
  /** Which request connects it, and when that has failed if nothing more was heard; of one that is CONNECTING. */
  readonly connecting?: { readonly requestId: string; readonly until: number } | undefined;
  /** Why it is FAILED. */
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

/**
 * A custom key store: `type` says which kind, and each kind has one member with what only it knows. Of AWS's five
 * states DISCONNECTING is never seen: nothing takes time then.
 */
export type CustomKeyStore = ExternalKeyStore | ClusterKeyStore;

/** All custom key stores of an account's Region, as they were read. */
export interface KeyStores extends Scope {
  /** In the order in which they were made. */
  readonly stores: readonly CustomKeyStore[];
  /** What a write is compared with; `''`: there is no record yet. */
  readonly version: string;
  /** Counts writes; 0: there is no record yet, or one from before they were counted. */
  readonly revision: number;
}

/**
 * The custom key stores of an account's Region are one record, for their names, addresses and number are decided on
 * together. What changes it says what it read: ConflictError when that is no longer so. Every method that returns
 * normally has made its change durable.
 */
export interface KeyStoreStore {
  /** Not a promise when it is cached. */
  find(scope: Scope): KeyStores | Promise<KeyStores>;
  replace(before: KeyStores, stores: readonly CustomKeyStore[]): Promise<void>;
  /** False when KMS keys are in it. */
  remove(before: KeyStores, id: string): Promise<boolean>;
  /** Gives a new KMS key its place in a store, before its record is stored. False when another one has the place. */
  claim(before: KeyStores, key: KeyInStore): Promise<boolean>;
}

export function findKeyStore({ stores }: KeyStores, id: string): CustomKeyStore | undefined {
  return stores.find((store) => store.id === id);
}

/** As it is now: who connected it may have died of it. */
export function storeAt(store: CustomKeyStore, now: number): CustomKeyStore {
  const { connecting, ...rest } = store;
  if (store.state !== 'CONNECTING' || (connecting && now < connecting.until)) return store;
  return { ...rest, state: 'FAILED', error: 'INTERNAL_ERROR' };
}

/** What a store's secret is sealed for: its proxy's access key, its cluster's password. */
export function principalOfStore({ accountId, region, storeId }: Scope & { readonly storeId: string }): string {
  return `custom-key-store/${accountId}/${region}/${storeId}`;
}

/** Its secret, as an HSM sealed it. */
export function tokenOfStore(store: CustomKeyStore): Uint8Array {
  return store.type === 'AWS_CLOUDHSM' ? store.cluster.token : store.xks.token;
}

export function withToken(store: CustomKeyStore, token: Uint8Array): CustomKeyStore {
  if (store.type === 'AWS_CLOUDHSM') return { ...store, cluster: { ...store.cluster, token } };
  return { ...store, xks: { ...store.xks, token } };
}
