import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { findKeyStore, type KeyStoreStore } from '../key-stores/key-store.ts';
import type { SecondEncryption, UseOf } from '../key-stores/second-encryption.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Recall } from '../store/last-known.ts';
import { associatedDataOf, joinClusterBlob, parseClusterBlob } from './cluster-blob.ts';
import { ClusterError, type ClusterOf, type Clusters } from './clusters.ts';

export interface ClusterKeysDeps {
  readonly keyStores: Pick<KeyStoreStore, 'find'>;
  readonly clusters: Pick<Clusters, 'encrypt' | 'decrypt'>;
}

/**
 * Encrypts a second time, with keys in CloudHSM clusters, inside the cluster's token. Its input was already encrypted
 * by an HSM, so a vendor's module never sees a plaintext (docs/decisions/0017).
 */
export class ClusterKeys implements SecondEncryption {
  readonly #deps: ClusterKeysDeps;

  constructor(deps: ClusterKeysDeps) {
    this.#deps = deps;
  }

  encrypt(key: KmsKey, inner: Uint8Array, { deadline, recall }: UseOf): Promise<Uint8Array> {
    return told(key, async () => {
      const wanted = { keyId: key.keyId, associatedData: associatedDataOf(inner), plaintext: inner };
      return joinClusterBlob(await this.#deps.clusters.encrypt(await this.#clusterOf(key, recall), wanted, deadline));
    });
  }

  decrypt(key: KmsKey, blob: Uint8Array, { deadline, recall }: UseOf): Promise<Uint8Array> {
    return told(key, async () => {
      const parts = { keyId: key.keyId, ...parseClusterBlob(blob) };
      return this.#deps.clusters.decrypt(await this.#clusterOf(key, recall), parts, deadline);
    });
  }

  async #clusterOf(key: KmsKey, recall: Recall): Promise<ClusterOf> {
    const found = await findClusterOf(key, this.#deps.keyStores, recall);
    if (found === undefined) throw new Error(`${key.arn} is in a CloudHSM key store that does not exist`);
    return found;
  }
}

/** The cluster that holds a key. */
async function findClusterOf(
  { accountId, region, customKeyStoreId = '' }: KmsKey,
  keyStores: Pick<KeyStoreStore, 'find'>,
  recall?: Recall,
): Promise<ClusterOf | undefined> {
  const store = findKeyStore(await keyStores.find({ accountId, region }, recall), customKeyStoreId);
  if (store?.type !== 'AWS_CLOUDHSM') return undefined;
  return { accountId, region, storeId: store.id, cluster: store.cluster };
}

async function told<T>({ arn }: KmsKey, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FormatError) throw new KmsException('InvalidCiphertextException', '', { cause: error });
    throw error instanceof ClusterError ? exceptionOf(error, arn) : error;
  }
}

/**
 * Whatever is wrong with a cluster, its keys are unavailable. Exhausted sessions are an internal error of the service,
 * as with AWS.
 */
function exceptionOf(error: ClusterError, arn: string): KmsException {
  switch (error.refusal) {
    case 'cannot-open':
      return new KmsException('InvalidCiphertextException', '', { cause: error });
    case 'cluster-sessions':
    case 'internal':
    case 'damaged-token':
      return new KmsException('KMSInternalException', '', { cause: error });
    default:
      return new KmsException('KMSInvalidStateException', `${arn} is unavailable.`, { cause: error });
  }
}
