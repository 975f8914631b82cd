// Original file: domain/v1/domain.proto

import type { Proposal as _keyfleet_domain_v1_Proposal, Proposal__Output as _keyfleet_domain_v1_Proposal__Output } from '../../../keyfleet/domain/v1/Proposal.ts';

export interface ListProposalsResponse {
  'proposals'?: (_keyfleet_domain_v1_Proposal)[];
}

export interface ListProposalsResponse__Output {
  'proposals'?: (_keyfleet_domain_v1_Proposal__Output)[];
}
