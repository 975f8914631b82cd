// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface Reseal {
  'generation'?: (number | string | Long);
  'shards'?: (number);
  'shards_done'?: (number);
  'resealed'?: (number | string | Long);
  'remaining'?: (number | string | Long);
  'verified'?: (boolean);
}

export interface Reseal__Output {
  'generation'?: (number);
  'shards'?: (number);
  'shards_done'?: (number);
  'resealed'?: (number);
  'remaining'?: (number);
  'verified'?: (boolean);
}
