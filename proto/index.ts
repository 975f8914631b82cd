import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync, type Options } from '@grpc/proto-loader';
import type { ProtoGrpcType as DomainProto } from './gen/domain.ts';
import type { ProtoGrpcType as HsmProto } from './gen/hsm.ts';

/** The types in gen/ are made with the same options: `npm run gen`. */
export const loadOptions: Options = {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: false,
  arrays: false,
  includeDirs: [import.meta.dirname],
};

function load(file: string): GrpcObject {
  return loadPackageDefinition(loadSync(file, loadOptions));
}

/** The client of an hsm-worker; its `service` is what the worker serves. */
export const { Hsm } = (load('hsm/v1/hsm.proto') as unknown as HsmProto).keyfleet.hsm.v1;

/** The client of a domain-manager; its `service` is what the domain-manager serves. */
export const { DomainManager } = (load('domain/v1/domain.proto') as unknown as DomainProto).keyfleet.domain.v1;

/** The public API; its messages are typed by the operation registry, through `protoCodec`, not by gen/. */
export const { Kms } = (load('kms/v1/kms.proto') as unknown as KmsProto).keyfleet.kms.v1;

interface KmsProto {
  readonly keyfleet: { readonly kms: { readonly v1: { readonly Kms: ServiceClientConstructor } } };
}
