// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface StoreTokenResponse {
  'generation'?: (number | string | Long);
}

export interface StoreTokenResponse__Output {
  'generation'?: (number);
}
