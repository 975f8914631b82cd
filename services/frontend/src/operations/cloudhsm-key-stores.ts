import { X509Certificate } from 'node:crypto';
import type { CreateCustomKeyStore, UpdateCustomKeyStore } from '@keyfleet/shared/api/custom-key-stores';
import type { InputOf, OutputOf } from '@keyfleet/shared/api/operation';
import type { GenerateRandom } from '@keyfleet/shared/api/random';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { ClusterError } from '../cloudhsm/clusters.ts';
import {
  type ClusterAccess,
  type ClusterKeyStore,
  type ConnectionError,
  findKeyStore,
  type KeyStores,
  principalOfStore,
} from '../key-stores/key-store.ts';
import { invalid, scopeOf, type StoreWork, wrongState } from './store-work.ts';

const xksMembers = [
  'XksProxyUriEndpoint',
  'XksProxyUriPath',
  'XksProxyVpcEndpointServiceName',
  'XksProxyVpcEndpointServiceOwner',
  'XksProxyAuthenticationCredential',
  'XksProxyConnectivity',
] as const;

type XksMembers = Partial<Record<(typeof xksMembers)[number], unknown>>;

/** The parts specific to a CloudHSM key store. Throws unless the cluster exists and no other store uses it. */
export async function newClusterAccess(
  input: InputOf<typeof CreateCustomKeyStore>,
  { id, before }: { id: string; before: KeyStores },
  work: StoreWork,
): Promise<Pick<ClusterKeyStore, 'type' | 'cluster'>> {
  const { CloudHsmClusterId: clusterId, TrustAnchorCertificate: trustAnchor, KeyStorePassword: password } = input;
  if (clusterId === undefined) throw required('CloudHsmClusterId');
  assertNoXks(input);
  if (password === undefined) throw required('KeyStorePassword');
  if (trustAnchor === undefined) throw required('TrustAnchorCertificate');
  if (before.stores.some((store) => store.type === 'AWS_CLOUDHSM' && store.cluster.clusterId === clusterId)) {
    const message = `The CloudHSM cluster ${clusterId} is that of another custom key store.`;
    throw new KmsException('CloudHsmClusterInUseException', message);
  }
  await checkCluster({ clusterId, trustAnchor }, work);
  const token = await sealedPassword(password, { clusterId, storeId: id }, work);
  return { type: 'AWS_CLOUDHSM', cluster: { clusterId, trustAnchor, token } };
}

/**
 * Allowed only while the store is disconnected, and only for the same cluster: no other is known to be related to it
 * (KMS API Reference, "UpdateCustomKeyStore").
 */
export async function changedClusterAccess(
  input: InputOf<typeof UpdateCustomKeyStore>,
  store: ClusterKeyStore,
  work: StoreWork,
): Promise<Pick<ClusterKeyStore, 'cluster'>> {
  assertNoXks(input);
  if (store.state !== 'DISCONNECTED') throw wrongState(store, 'updated', 'DISCONNECTED');
  const { cluster, id: storeId } = store;
  const { CloudHsmClusterId: clusterId = cluster.clusterId, KeyStorePassword: password } = input;
  if (clusterId !== cluster.clusterId) {
    const message = `The CloudHSM cluster ${clusterId} is not related to ${cluster.clusterId}.`;
    throw new KmsException('CloudHsmClusterNotRelatedException', message);
  }
  if (password === undefined) return { cluster };
  return { cluster: { ...cluster, token: await sealedPassword(password, { clusterId, storeId }, work) } };
}

const connectionErrors: Partial<Record<Refusal, ConnectionError>> = {
  'no-cluster': 'CLUSTER_NOT_FOUND',
  'cluster-away': 'NETWORK_ERRORS',
  'cluster-password': 'INVALID_CREDENTIALS',
  'no-cluster-user': 'USER_NOT_FOUND',
  'cluster-user-locked': 'USER_LOCKED_OUT',
  'cluster-user-logged-in': 'USER_LOGGED_IN',
};

/** Why the cluster's user cannot log in; undefined if it can. */
export async function clusterConnectionErrorOf(
  { id: storeId, cluster }: ClusterKeyStore,
  { call, deps }: StoreWork,
): Promise<ConnectionError | undefined> {
  try {
    await deps.clusters.connect({ ...scopeOf(call), storeId, cluster }, call.deadline);
    return undefined;
  } catch (error) {
    if (error instanceof ClusterError) return connectionErrors[error.refusal] ?? 'INTERNAL_ERROR';
    throw error;
  }
}

/** GenerateRandom's answer from the token of a CloudHSM key store. Throws KmsException. */
export async function randomBytesOf(
  id: string,
  length: number,
  { call, deps }: StoreWork,
): Promise<OutputOf<typeof GenerateRandom>> {
  const store = findKeyStore(await deps.keyStores.find(scopeOf(call), call.recall), id);
  if (store?.type !== 'AWS_CLOUDHSM') throw new Error(`${id} is not a CloudHSM key store, but was let through`);
  try {
    const of = { ...scopeOf(call), storeId: store.id, cluster: store.cluster };
    const { attestation, deadline } = call;
    if (attestation === undefined) return { Plaintext: await deps.clusters.generateRandom(of, length, deadline) };
    const wanted = { length, recipient: attestation.publicKey };
    return { CiphertextForRecipient: await deps.clusters.generateRandomForRecipient(of, wanted, deadline) };
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    const isOurs = error.refusal === 'cluster-sessions' || error.refusal === 'internal';
    if (isOurs) throw new KmsException('KMSInternalException', '', { cause: error });
    const message = `The custom key store ${id} does not reach its CloudHSM cluster.`;
    throw new KmsException('CustomKeyStoreInvalidStateException', message, { cause: error });
  }
}

async function checkCluster(
  { clusterId, trustAnchor }: Pick<ClusterAccess, 'clusterId' | 'trustAnchor'>,
  { call, deps }: StoreWork,
): Promise<void> {
  try {
    const cluster = { clusterId, trustAnchor: derOf(trustAnchor) };
    await deps.clusters.check(scopeOf(call), cluster, call.deadline);
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    if (error.refusal === 'no-cluster') {
      throw new KmsException('CloudHsmClusterNotFoundException', `The CloudHSM cluster ${clusterId} does not exist.`);
    }
    if (error.refusal === 'incorrect-trust-anchor') throw incorrectTrustAnchor();
    throw error;
  }
}

/** Throws IncorrectTrustAnchorException for anything that is not a PEM certificate. */
function derOf(trustAnchor: string): Uint8Array {
  try {
    return new X509Certificate(trustAnchor).raw;
  } catch {
    throw incorrectTrustAnchor();
  }
}

/** The password is kept only as an HSM's token. */
async function sealedPassword(
  password: string,
  { clusterId: accessKeyId, storeId }: { clusterId: string; storeId: string },
  { call, deps }: StoreWork,
): Promise<Uint8Array> {
  const principal = principalOfStore({ ...scopeOf(call), storeId });
  const secretAccessKey = Buffer.from(password);
  const input = { accessKeyId, principal, secretAccessKey };
  try {
    return (await deps.hsm.execute('SealCredential', input, call.deadline)).token;
  } finally {
    secretAccessKey.fill(0);
  }
}

function assertNoXks(input: XksMembers): void {
  const given = xksMembers.find((member) => input[member] !== undefined);
  if (given !== undefined) throw invalid(`${given} is not valid for CustomKeyStoreType AWS_CLOUDHSM.`);
}

function incorrectTrustAnchor(): KmsException {
  return new KmsException('IncorrectTrustAnchorException', 'The trust anchor certificate is not that of the cluster.');
}

function required(member: string): KmsException {
  return invalid(`${member} is required for CustomKeyStoreType AWS_CLOUDHSM.`);
}
