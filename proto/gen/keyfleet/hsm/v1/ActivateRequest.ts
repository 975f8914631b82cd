// Original file: hsm/v1/hsm.proto

import type { Long } from '@grpc/proto-loader';

export interface ActivateRequest {
  'generation'?: (number | string | Long);
}

export interface ActivateRequest__Output {
  'generation'?: (number);
}
