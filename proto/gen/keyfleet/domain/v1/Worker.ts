// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface Worker {
  'address'?: (string);
  'reachable'?: (boolean);
  'member_id'?: (string);
  'signing_key'?: (Buffer | Uint8Array | string);
  'agreement_key'?: (Buffer | Uint8Array | string);
  'standing'?: (string);
  'generation'?: (number | string | Long);
  'active_generation'?: (number | string | Long);
  'problem'?: (string);
  'clock_ahead'?: (number | string | Long);
  'encapsulation_key'?: (Buffer | Uint8Array | string);
}

export interface Worker__Output {
  'address'?: (string);
  'reachable'?: (boolean);
  'member_id'?: (string);
  'signing_key'?: (Buffer);
  'agreement_key'?: (Buffer);
  'standing'?: (string);
  'generation'?: (number);
  'active_generation'?: (number);
  'problem'?: (string);
  'clock_ahead'?: (number);
  'encapsulation_key'?: (Buffer);
}
