// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface FetchTokensRequest {
  'after_generation'?: (number | string | Long);
}

export interface FetchTokensRequest__Output {
  'after_generation'?: (number);
}
