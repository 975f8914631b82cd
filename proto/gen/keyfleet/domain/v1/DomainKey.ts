// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface DomainKey {
  'id'?: (string);
  'generation'?: (number | string | Long);
  'status'?: (string);
  'droppable_at'?: (number | string | Long);
}

export interface DomainKey__Output {
  'id'?: (string);
  'generation'?: (number);
  'status'?: (string);
  'droppable_at'?: (number);
}
