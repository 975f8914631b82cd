import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { ApproveRequest as _keyfleet_domain_v1_ApproveRequest, ApproveRequest__Output as _keyfleet_domain_v1_ApproveRequest__Output } from './keyfleet/domain/v1/ApproveRequest.ts';
import type { DomainKey as _keyfleet_domain_v1_DomainKey, DomainKey__Output as _keyfleet_domain_v1_DomainKey__Output } from './keyfleet/domain/v1/DomainKey.ts';
import type { DomainManagerClient as _keyfleet_domain_v1_DomainManagerClient, DomainManagerDefinition as _keyfleet_domain_v1_DomainManagerDefinition } from './keyfleet/domain/v1/DomainManager.ts';
import type { FetchTokensRequest as _keyfleet_domain_v1_FetchTokensRequest, FetchTokensRequest__Output as _keyfleet_domain_v1_FetchTokensRequest__Output } from './keyfleet/domain/v1/FetchTokensRequest.ts';
import type { FetchTokensResponse as _keyfleet_domain_v1_FetchTokensResponse, FetchTokensResponse__Output as _keyfleet_domain_v1_FetchTokensResponse__Output } from './keyfleet/domain/v1/FetchTokensResponse.ts';
import type { ListProposalsRequest as _keyfleet_domain_v1_ListProposalsRequest, ListProposalsRequest__Output as _keyfleet_domain_v1_ListProposalsRequest__Output } from './keyfleet/domain/v1/ListProposalsRequest.ts';
import type { ListProposalsResponse as _keyfleet_domain_v1_ListProposalsResponse, ListProposalsResponse__Output as _keyfleet_domain_v1_ListProposalsResponse__Output } from './keyfleet/domain/v1/ListProposalsResponse.ts';
import type { Proposal as _keyfleet_domain_v1_Proposal, Proposal__Output as _keyfleet_domain_v1_Proposal__Output } from './keyfleet/domain/v1/Proposal.ts';
import type { ProposeRequest as _keyfleet_domain_v1_ProposeRequest, ProposeRequest__Output as _keyfleet_domain_v1_ProposeRequest__Output } from './keyfleet/domain/v1/ProposeRequest.ts';
import type { Reseal as _keyfleet_domain_v1_Reseal, Reseal__Output as _keyfleet_domain_v1_Reseal__Output } from './keyfleet/domain/v1/Reseal.ts';
import type { StatusRequest as _keyfleet_domain_v1_StatusRequest, StatusRequest__Output as _keyfleet_domain_v1_StatusRequest__Output } from './keyfleet/domain/v1/StatusRequest.ts';
import type { StatusResponse as _keyfleet_domain_v1_StatusResponse, StatusResponse__Output as _keyfleet_domain_v1_StatusResponse__Output } from './keyfleet/domain/v1/StatusResponse.ts';
import type { StoreTokenRequest as _keyfleet_domain_v1_StoreTokenRequest, StoreTokenRequest__Output as _keyfleet_domain_v1_StoreTokenRequest__Output } from './keyfleet/domain/v1/StoreTokenRequest.ts';
import type { StoreTokenResponse as _keyfleet_domain_v1_StoreTokenResponse, StoreTokenResponse__Output as _keyfleet_domain_v1_StoreTokenResponse__Output } from './keyfleet/domain/v1/StoreTokenResponse.ts';
import type { Worker as _keyfleet_domain_v1_Worker, Worker__Output as _keyfleet_domain_v1_Worker__Output } from './keyfleet/domain/v1/Worker.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  keyfleet: {
    domain: {
      v1: {
        ApproveRequest: MessageTypeDefinition<_keyfleet_domain_v1_ApproveRequest, _keyfleet_domain_v1_ApproveRequest__Output>
        DomainKey: MessageTypeDefinition<_keyfleet_domain_v1_DomainKey, _keyfleet_domain_v1_DomainKey__Output>
        DomainManager: SubtypeConstructor<typeof grpc.Client, _keyfleet_domain_v1_DomainManagerClient> & { service: _keyfleet_domain_v1_DomainManagerDefinition }
        FetchTokensRequest: MessageTypeDefinition<_keyfleet_domain_v1_FetchTokensRequest, _keyfleet_domain_v1_FetchTokensRequest__Output>
        FetchTokensResponse: MessageTypeDefinition<_keyfleet_domain_v1_FetchTokensResponse, _keyfleet_domain_v1_FetchTokensResponse__Output>
        ListProposalsRequest: MessageTypeDefinition<_keyfleet_domain_v1_ListProposalsRequest, _keyfleet_domain_v1_ListProposalsRequest__Output>
        ListProposalsResponse: MessageTypeDefinition<_keyfleet_domain_v1_ListProposalsResponse, _keyfleet_domain_v1_ListProposalsResponse__Output>
        Proposal: MessageTypeDefinition<_keyfleet_domain_v1_Proposal, _keyfleet_domain_v1_Proposal__Output>
        ProposeRequest: MessageTypeDefinition<_keyfleet_domain_v1_ProposeRequest, _keyfleet_domain_v1_ProposeRequest__Output>
        Reseal: MessageTypeDefinition<_keyfleet_domain_v1_Reseal, _keyfleet_domain_v1_Reseal__Output>
        StatusRequest: MessageTypeDefinition<_keyfleet_domain_v1_StatusRequest, _keyfleet_domain_v1_StatusRequest__Output>
        StatusResponse: MessageTypeDefinition<_keyfleet_domain_v1_StatusResponse, _keyfleet_domain_v1_StatusResponse__Output>
        StoreTokenRequest: MessageTypeDefinition<_keyfleet_domain_v1_StoreTokenRequest, _keyfleet_domain_v1_StoreTokenRequest__Output>
        StoreTokenResponse: MessageTypeDefinition<_keyfleet_domain_v1_StoreTokenResponse, _keyfleet_domain_v1_StoreTokenResponse__Output>
        Worker: MessageTypeDefinition<_keyfleet_domain_v1_Worker, _keyfleet_domain_v1_Worker__Output>
      }
    }
  }
}

