// Original file: hsm/v1/hsm.proto

import type { Long } from '@grpc/proto-loader';

export interface HsmDescription {
  'member_id'?: (string);
  'signing_key'?: (Buffer | Uint8Array | string);
  'agreement_key'?: (Buffer | Uint8Array | string);
  'domain'?: (string);
  'generation'?: (number | string | Long);
  'token_hash'?: (Buffer | Uint8Array | string);
  'active_generation'?: (number | string | Long);
  'now'?: (number | string | Long);
  'encapsulation_key'?: (Buffer | Uint8Array | string);
}

export interface HsmDescription__Output {
  'member_id'?: (string);
  'signing_key'?: (Buffer);
  'agreement_key'?: (Buffer);
  'domain'?: (string);
  'generation'?: (number);
  'token_hash'?: (Buffer);
  'active_generation'?: (number);
  'now'?: (number);
  'encapsulation_key'?: (Buffer);
}
