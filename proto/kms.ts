import type { ServiceClientConstructor } from '@grpc/grpc-js';
import { load } from './load.ts';

interface KmsProto {
  readonly keyfleet: { readonly kms: { readonly v1: { readonly Kms: ServiceClientConstructor } } };
}

/**
 * The public API; its messages are typed by the operation registry, through `protoCodec`, not by gen/. A module of its own: it
 * takes ten times as long to load as the others, and only frontends and their clients need it.
 */
export const { Kms } = (load('kms/v1/kms.proto') as unknown as KmsProto).keyfleet.kms.v1;
