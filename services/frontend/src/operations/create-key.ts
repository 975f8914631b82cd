import type { CreateKey } from '@keyfleet/shared/api/keys';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { keyArn } from '@keyfleet/shared/arn';
import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import { type KeySpec, type KeySpecRow, keySpecs, type KeyUsage, type Origin } from '@keyfleet/shared/key-specs';
import { newBackingKey } from '../keys/backing-keys.ts';
import type { Scope } from '@keyfleet/shared/stored/names';
import { type Chosen, chosenBy } from '../keys/development-tags.ts';
import { metadataOf } from '../keys/key-metadata.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { defaultKeyPolicy } from '../policy/default-key-policy.ts';
import { ClusterError, type ClusterOf } from '../cloudhsm/clusters.ts';
import { timedOut } from '../request/errors.ts';
import type { KeyStores } from '../key-stores/key-store.ts';
import { XksError } from '../xks/problems.ts';
import { chosenBackingKey } from './chosen-material.ts';
import { loadStore } from './custom-key-stores.ts';
import type { Call, Deps, Handler } from './handler.ts';
import { policyOfKey } from './policies.ts';

type CreateKeyDeps = Pick<
  Deps,
  | 'keys'
  | 'keyQuota'
  | 'hsm'
  | 'clock'
  | 'newKeyId'
  | 'developmentTags'
  | 'partition'
  | 'keyStores'
  | 'proxies'
  | 'clusters'
>;

export const createKey: Handler<typeof CreateKey, CreateKeyDeps> = async (input, call, deps) => {
  const { caller, region, deadline } = call;
  const kind = chooseKind(input);
  await assertRoom({ accountId: caller.accountId, region }, deps);
  const place = await placeOf(input, call, deps);
  const { tags, material: chosen, ...named } = await chosenOf(input, region, deps);
  const keyId = named.keyId ?? deps.newKeyId(input.MultiRegion);
  const arn = keyArn({ partition: deps.partition, region, accountId: caller.accountId }, keyId);

  // The material and its record are stored in one write. A crash before that loses an unannounced key, and never leaves
  // a key without material.
  const { accountId } = caller;
  const wanted = { keyId, accountId, region, ...kind };
  const source = { ...deps, deadline };
  const making = async () =>
    chosen === undefined
      ? newBackingKey({ ...wanted, backingKeys: [] }, source)
      : chosenBackingKey(wanted, chosen, source);
  const material = kind.origin === 'EXTERNAL' ? [] : [await making()];
  // The caller has stopped waiting, and the domain key that seals the material may have been dropped meanwhile.
  if (deps.clock.now() >= deadline) throw timedOut();
  const key: KmsKey = {
    revision: 1,
    keyId,
    arn,
    accountId,
    region,
    ...kind,
    multiRegion: input.MultiRegion,
    description: input.Description,
    state: kind.origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled',
    createdAt: deps.clock.now(),
    ...policyOfKey(input.Policy ?? defaultKeyPolicy(deps.partition, accountId), call),
    tags,
    backingKeys: material,
    ...place?.members,
  };
  if (place !== undefined && !(await deps.keyStores.claim(place.stores, { keyId, ...place.members }))) {
    throw refuse(
      'XksKeyAlreadyInUseException',
      `The external key ${input.XksKeyId} is already associated with a KMS key.`,
    );
  }
  if (place !== undefined) await generateInCluster(place, { keyId, deadline }, deps);
  await deps.keys.insertKey(key);
  return { KeyMetadata: metadataOf(key, key.createdAt) };
};

/** What tags choose of the new key, where they may. Throws ValidationException if a chosen id is taken. */
async function chosenOf(
  { Tags: tags = [], MultiRegion: multiRegion, Origin: origin }: InputOf<typeof CreateKey>,
  region: string,
  { developmentTags, keys }: Pick<Deps, 'developmentTags' | 'keys'>,
): Promise<Chosen> {
  if (!developmentTags) return { keyId: undefined, material: undefined, tags };
  const chosen = chosenBy(tags, { multiRegion, origin });
  if (chosen.keyId === undefined || !(await keys.findKey(region, chosen.keyId))) return chosen;
  throw refuse('ValidationException', `Key ${chosen.keyId} already exists`);
}

interface Place {
  /** The key stores as read. */
  readonly stores: KeyStores;
  readonly members: {
    readonly customKeyStoreId: string;
    readonly xksKeyId?: string;
    readonly clusterId?: string;
  };
  /** For a key in a CloudHSM key store. */
  readonly cluster?: ClusterOf;
}

/** Undefined for a key outside custom key stores. Throws unless the store is connected and has the external key. */
async function placeOf(
  { Origin, CustomKeyStoreId: customKeyStoreId, XksKeyId: xksKeyId }: KeyKindRequest,
  call: Call,
  deps: Pick<Deps, 'keyStores' | 'proxies' | 'clock'>,
): Promise<Place | undefined> {
  if (customKeyStoreId === undefined) return undefined;
  const { before: stores, store } = await loadStore(customKeyStoreId, call, deps);
  if (Origin !== store.type) {
    throw refuse('ValidationException', `Origin ${Origin} is not valid for a custom key store of type ${store.type}.`);
  }
  if (store.state !== 'CONNECTED') {
    throw refuse('CustomKeyStoreInvalidStateException', `The custom key store ${store.id} is ${store.state}.`);
  }
  const { accountId, region } = stores;
  if (store.type === 'AWS_CLOUDHSM') {
    const { cluster, id: storeId } = store;
    const members = { customKeyStoreId, clusterId: cluster.clusterId };
    return { stores, members, cluster: { accountId, region, storeId, cluster } };
  }
  // assertKeyStore has refused requests without it.
  if (xksKeyId === undefined) throw new Error('there is no XksKeyId');
  const { caller, requestId, deadline } = call;
  const purpose = { operation: 'CreateKey', requestId, principal: caller.arn, deadline };
  try {
    await deps.proxies.checkKey({ accountId, region, storeId: store.id, xks: store.xks }, xksKeyId, purpose);
  } catch (error) {
    throw error instanceof XksError ? error.toldBy('CreateKey') : error;
  }
  return { stores, members: { customKeyStoreId, xksKeyId } };
}

/**
 * Generates the second key of a key in a CloudHSM key store. If the record is then not stored, that key stays in the
 * token, unused.
 */
async function generateInCluster(
  { cluster }: Place,
  { keyId, deadline }: { keyId: string; deadline: number },
  { clusters }: Pick<Deps, 'clusters'>,
): Promise<void> {
  if (cluster === undefined) return;
  try {
    await clusters.generateKey(cluster, keyId, deadline);
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    if (error.refusal === 'cluster-sessions') throw new KmsException('KMSInternalException', '', { cause: error });
    const message = `The CloudHSM cluster ${cluster.cluster.clusterId} has no HSM that makes a key now.`;
    throw new KmsException('CloudHsmClusterInvalidConfigurationException', message, { cause: error });
  }
}

/**
 * Throws LimitExceededException, with AWS's text (as in convox/rack#347), if the account has as many keys as it may.
 * Keys created at the same moment may exceed the quota.
 */
export async function assertRoom(scope: Scope, { keys, keyQuota }: Pick<Deps, 'keys' | 'keyQuota'>): Promise<void> {
  const usage = await keys.countKeys(scope, keyQuota);
  if (usage < keyQuota) return;
  const message = `Key quota for this account in this region is ${keyQuota} but the current usage is ${usage}.`;
  throw new KmsException('LimitExceededException', message);
}

export type KeyKindRequest = Pick<
  InputOf<typeof CreateKey>,
  'KeySpec' | 'CustomerMasterKeySpec' | 'KeyUsage' | 'Origin' | 'CustomKeyStoreId' | 'XksKeyId' | 'MultiRegion'
>;

export interface KeyKind {
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly origin: Origin;
}

/** The kind of key that a CreateKey request asks for. Throws AWS's error for each invalid combination. */
export function chooseKind(request: KeyKindRequest): KeyKind {
  const keySpec = chooseSpec(request);
  const row: KeySpecRow = keySpecs[keySpec];
  const keyUsage = chooseUsage(request.KeyUsage, keySpec, row);
  const origin = request.Origin;
  if (!row.origins.includes(origin)) {
    throw refuse('ValidationException', `KeySpec ${keySpec} is not supported for Origin ${origin}`);
  }
  assertKeyStore(request);
  return { keySpec, keyUsage, origin };
}

function chooseSpec({ KeySpec, CustomerMasterKeySpec }: KeyKindRequest): KeySpec {
  if (KeySpec !== undefined && CustomerMasterKeySpec !== undefined) {
    throw refuse(
      'ValidationException',
      'You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
    );
  }
  return KeySpec ?? CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
}

function chooseUsage(usage: KeyUsage | undefined, keySpec: KeySpec, row: KeySpecRow): KeyUsage {
  if (usage === undefined) {
    if (keySpec === 'SYMMETRIC_DEFAULT') return 'ENCRYPT_DECRYPT';
    throw refuse(
      'ValidationException',
      'You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    );
  }
  if (row.usages[usage]) return usage;
  throw refuse('ValidationException', `KeyUsage ${usage} is not compatible with KeySpec ${keySpec}`);
}

function assertKeyStore({ Origin, CustomKeyStoreId, XksKeyId, MultiRegion }: KeyKindRequest): void {
  const inKeyStore = Origin === 'AWS_CLOUDHSM' || Origin === 'EXTERNAL_KEY_STORE';
  if (!inKeyStore && CustomKeyStoreId !== undefined) {
    throw refuse('ValidationException', `CustomKeyStoreId is not valid for Origin ${Origin}.`);
  }
  if (Origin !== 'EXTERNAL_KEY_STORE' && XksKeyId !== undefined) {
    throw refuse('ValidationException', `XksKeyId is not valid for Origin ${Origin}.`);
  }
  if (!inKeyStore) return;
  if (CustomKeyStoreId === undefined) {
    throw refuse('ValidationException', `CustomKeyStoreId is required for Origin ${Origin}.`);
  }
  if (Origin === 'EXTERNAL_KEY_STORE' && XksKeyId === undefined) {
    throw refuse('ValidationException', 'XksKeyId is required for Origin EXTERNAL_KEY_STORE.');
  }
  if (MultiRegion) {
    throw refuse('UnsupportedOperationException', `MultiRegion keys are not supported for Origin ${Origin}.`);
  }
}

function refuse(code: ExceptionCode, message: string): KmsException {
  return new KmsException(code, message);
}
