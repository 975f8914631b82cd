// Original file: hsm/v1/hsm.proto

import type { Long } from '@grpc/proto-loader';

export interface FetchHeldTokenRequest {
  'generation'?: (number | string | Long);
}

export interface FetchHeldTokenRequest__Output {
  'generation'?: (number);
}
