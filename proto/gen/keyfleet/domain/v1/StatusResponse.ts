// Original file: domain/v1/domain.proto

import type { Worker as _keyfleet_domain_v1_Worker, Worker__Output as _keyfleet_domain_v1_Worker__Output } from '../../../keyfleet/domain/v1/Worker.ts';
import type { Reseal as _keyfleet_domain_v1_Reseal, Reseal__Output as _keyfleet_domain_v1_Reseal__Output } from '../../../keyfleet/domain/v1/Reseal.ts';
import type { DomainKey as _keyfleet_domain_v1_DomainKey, DomainKey__Output as _keyfleet_domain_v1_DomainKey__Output } from '../../../keyfleet/domain/v1/DomainKey.ts';
import type { Long } from '@grpc/proto-loader';

export interface StatusResponse {
  'domain'?: (string);
  'generation'?: (number | string | Long);
  'token_hash'?: (Buffer | Uint8Array | string);
  'replica'?: (string);
  'leader'?: (string);
  'workers'?: (_keyfleet_domain_v1_Worker)[];
  'absent_members'?: (string)[];
  'rotation_every'?: (number | string | Long);
  'next_rotation_at'?: (number | string | Long);
  'reseal'?: (_keyfleet_domain_v1_Reseal | null);
  'now'?: (number | string | Long);
  'nats_connected'?: (boolean);
  'domain_keys'?: (_keyfleet_domain_v1_DomainKey)[];
  'store_problem'?: (string);
  'scheduler_problem'?: (string);
}

export interface StatusResponse__Output {
  'domain'?: (string);
  'generation'?: (number);
  'token_hash'?: (Buffer);
  'replica'?: (string);
  'leader'?: (string);
  'workers'?: (_keyfleet_domain_v1_Worker__Output)[];
  'absent_members'?: (string)[];
  'rotation_every'?: (number);
  'next_rotation_at'?: (number);
  'reseal'?: (_keyfleet_domain_v1_Reseal__Output);
  'now'?: (number);
  'nats_connected'?: (boolean);
  'domain_keys'?: (_keyfleet_domain_v1_DomainKey__Output)[];
  'store_problem'?: (string);
  'scheduler_problem'?: (string);
}
