// Original file: hsm/v1/hsm.proto

import type { Long } from '@grpc/proto-loader';

export interface ActivateRequest {
  'generation'?: (number | string | Long);
  'call'?: (Buffer | Uint8Array | string);
}

export interface ActivateRequest__Output {
  'generation'?: (number);
  'call'?: (Buffer);
}
