import type { ProtoGrpcType as DomainProto } from './gen/domain.ts';
import type { ProtoGrpcType as HsmProto } from './gen/hsm.ts';
import { load } from './load.ts';

/** The client of an hsm-worker; its `service` is what the worker serves. */
export const { Hsm } = (load('hsm/v1/hsm.proto') as unknown as HsmProto).keyfleet.hsm.v1;

/** The client of a domain-manager; its `service` is what the domain-manager serves. */
export const { DomainManager } = (load('domain/v1/domain.proto') as unknown as DomainProto).keyfleet.domain.v1;
