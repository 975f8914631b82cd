import { type ServiceError, status, type StatusObject } from '@grpc/grpc-js';
import { KmsException } from '@keyfleet/client';
import type { KeyManagementServiceHandlers } from '@keyfleet/proto/gen/v2/KeyManagementService';
import { grpcErrorOf } from '@keyfleet/shared/errors/grpc-errors';
import { answering } from '@keyfleet/shared/grpc/server';
import { type ClusterKey, problemOf, RefusedError } from './cluster-key.ts';
import type { KeyHealth } from './health.ts';

export interface ServiceDeps {
  readonly key: Pick<ClusterKey, 'encrypt' | 'decrypt'>;
  readonly health: KeyHealth;
  /** A request from kube-apiserver failed. `uid`: kube-apiserver's name for it. */
  readonly onFailure: (failure: { readonly uid: string; readonly err: unknown }) => void;
}

const API_VERSION = 'v2';

/** `v2.KeyManagementService`, as kube-apiserver calls it. */
export function kmsPluginService({ key, health, onFailure }: ServiceDeps): KeyManagementServiceHandlers {
  const answer = answering(statusOf);
  const noted = async <T>(uid: string | undefined, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (err) {
      onFailure({ uid: uid ?? '', err });
      throw err;
    }
  };
  return {
    Status: answer(async () => {
      const { healthz, keyId } = await health.now();
      return { version: API_VERSION, healthz, key_id: keyId };
    }),
    Encrypt: answer(async ({ plaintext, uid }) => {
      const { ciphertext, keyId, annotations } = await noted(uid, key.encrypt(plaintext ?? new Uint8Array()));
      health.noteEncrypted(keyId);
      return { ciphertext, key_id: keyId, annotations: { ...annotations } };
    }),
    Decrypt: answer(async ({ ciphertext = new Uint8Array(), uid, key_id: keyId = '', annotations = {} }) => ({
      plaintext: await noted(uid, key.decrypt({ ciphertext, keyId, annotations })),
    })),
  } as KeyManagementServiceHandlers;
}

function statusOf(error: unknown): Partial<StatusObject> {
  const details = problemOf(error);
  if (error instanceof RefusedError) return { code: status.INVALID_ARGUMENT, details };
  if (error instanceof KmsException) return { code: grpcErrorOf(error).code, details };
  // A call that never reached Keyfleet has its own status.
  return { code: (error as Partial<ServiceError>).code ?? status.UNKNOWN, details };
}
