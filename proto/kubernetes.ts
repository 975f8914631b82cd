import type { ProtoGrpcType } from './gen/kms-plugin.ts';
import { load } from './load.ts';

/** The client of a KMS plugin of Kubernetes, API version 2; its `service` is what a plugin serves. */
export const { KeyManagementService } = (load('kubernetes/v2/kms-plugin.proto') as unknown as ProtoGrpcType).v2;
