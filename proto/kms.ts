import { loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadDefinition } from './load.ts';

interface KmsProto {
  readonly keyfleet: { readonly kms: { readonly v1: { readonly Kms: ServiceClientConstructor } } };
}

/** What server reflection tells. */
export const kmsDefinition = loadDefinition('kms/v1/kms.proto');

/**
 * The public API; its messages are typed by the operation registry, through `protoCodec`, not by gen/. A module of its
 * own: it takes ten times as long to load as the others, and only frontends and their clients need it.
 */
export const { Kms } = (loadPackageDefinition(kmsDefinition) as unknown as KmsProto).keyfleet.kms.v1;
