// Original file: domain/v1/domain.proto

import type { Long } from '@grpc/proto-loader';

export interface Proposal {
  'proposal_id'?: (string);
  'proposal'?: (Buffer | Uint8Array | string);
  'standing'?: (string);
  'reason'?: (string);
  'expires_at'?: (number | string | Long);
  'generation'?: (number | string | Long);
}

export interface Proposal__Output {
  'proposal_id'?: (string);
  'proposal'?: (Buffer);
  'standing'?: (string);
  'reason'?: (string);
  'expires_at'?: (number);
  'generation'?: (number);
}
