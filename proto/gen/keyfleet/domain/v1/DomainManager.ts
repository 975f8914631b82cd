// Original file: domain/v1/domain.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ApproveRequest as _keyfleet_domain_v1_ApproveRequest, ApproveRequest__Output as _keyfleet_domain_v1_ApproveRequest__Output } from '../../../keyfleet/domain/v1/ApproveRequest.ts';
import type { FetchTokensRequest as _keyfleet_domain_v1_FetchTokensRequest, FetchTokensRequest__Output as _keyfleet_domain_v1_FetchTokensRequest__Output } from '../../../keyfleet/domain/v1/FetchTokensRequest.ts';
import type { FetchTokensResponse as _keyfleet_domain_v1_FetchTokensResponse, FetchTokensResponse__Output as _keyfleet_domain_v1_FetchTokensResponse__Output } from '../../../keyfleet/domain/v1/FetchTokensResponse.ts';
import type { ListProposalsRequest as _keyfleet_domain_v1_ListProposalsRequest, ListProposalsRequest__Output as _keyfleet_domain_v1_ListProposalsRequest__Output } from '../../../keyfleet/domain/v1/ListProposalsRequest.ts';
import type { ListProposalsResponse as _keyfleet_domain_v1_ListProposalsResponse, ListProposalsResponse__Output as _keyfleet_domain_v1_ListProposalsResponse__Output } from '../../../keyfleet/domain/v1/ListProposalsResponse.ts';
import type { Proposal as _keyfleet_domain_v1_Proposal, Proposal__Output as _keyfleet_domain_v1_Proposal__Output } from '../../../keyfleet/domain/v1/Proposal.ts';
import type { ProposeRequest as _keyfleet_domain_v1_ProposeRequest, ProposeRequest__Output as _keyfleet_domain_v1_ProposeRequest__Output } from '../../../keyfleet/domain/v1/ProposeRequest.ts';
import type { StatusRequest as _keyfleet_domain_v1_StatusRequest, StatusRequest__Output as _keyfleet_domain_v1_StatusRequest__Output } from '../../../keyfleet/domain/v1/StatusRequest.ts';
import type { StatusResponse as _keyfleet_domain_v1_StatusResponse, StatusResponse__Output as _keyfleet_domain_v1_StatusResponse__Output } from '../../../keyfleet/domain/v1/StatusResponse.ts';
import type { StoreTokenRequest as _keyfleet_domain_v1_StoreTokenRequest, StoreTokenRequest__Output as _keyfleet_domain_v1_StoreTokenRequest__Output } from '../../../keyfleet/domain/v1/StoreTokenRequest.ts';
import type { StoreTokenResponse as _keyfleet_domain_v1_StoreTokenResponse, StoreTokenResponse__Output as _keyfleet_domain_v1_StoreTokenResponse__Output } from '../../../keyfleet/domain/v1/StoreTokenResponse.ts';

export interface DomainManagerClient extends grpc.Client {
  Approve(argument: _keyfleet_domain_v1_ApproveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Approve(argument: _keyfleet_domain_v1_ApproveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Approve(argument: _keyfleet_domain_v1_ApproveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Approve(argument: _keyfleet_domain_v1_ApproveRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  approve(argument: _keyfleet_domain_v1_ApproveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  approve(argument: _keyfleet_domain_v1_ApproveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  approve(argument: _keyfleet_domain_v1_ApproveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  approve(argument: _keyfleet_domain_v1_ApproveRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  
  FetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  FetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  FetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  FetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  fetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  fetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  fetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  fetchTokens(argument: _keyfleet_domain_v1_FetchTokensRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_FetchTokensResponse__Output>): grpc.ClientUnaryCall;
  
  ListProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  ListProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  ListProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  ListProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  listProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  listProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  listProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  listProposals(argument: _keyfleet_domain_v1_ListProposalsRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_ListProposalsResponse__Output>): grpc.ClientUnaryCall;
  
  Propose(argument: _keyfleet_domain_v1_ProposeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Propose(argument: _keyfleet_domain_v1_ProposeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Propose(argument: _keyfleet_domain_v1_ProposeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  Propose(argument: _keyfleet_domain_v1_ProposeRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  propose(argument: _keyfleet_domain_v1_ProposeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  propose(argument: _keyfleet_domain_v1_ProposeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  propose(argument: _keyfleet_domain_v1_ProposeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  propose(argument: _keyfleet_domain_v1_ProposeRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_Proposal__Output>): grpc.ClientUnaryCall;
  
  Status(argument: _keyfleet_domain_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _keyfleet_domain_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _keyfleet_domain_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _keyfleet_domain_v1_StatusRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _keyfleet_domain_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _keyfleet_domain_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _keyfleet_domain_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _keyfleet_domain_v1_StatusRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  
  StoreToken(argument: _keyfleet_domain_v1_StoreTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  StoreToken(argument: _keyfleet_domain_v1_StoreTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  StoreToken(argument: _keyfleet_domain_v1_StoreTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  StoreToken(argument: _keyfleet_domain_v1_StoreTokenRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  storeToken(argument: _keyfleet_domain_v1_StoreTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  storeToken(argument: _keyfleet_domain_v1_StoreTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  storeToken(argument: _keyfleet_domain_v1_StoreTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  storeToken(argument: _keyfleet_domain_v1_StoreTokenRequest, callback: grpc.requestCallback<_keyfleet_domain_v1_StoreTokenResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface DomainManagerHandlers extends grpc.UntypedServiceImplementation {
  Approve: grpc.handleUnaryCall<_keyfleet_domain_v1_ApproveRequest__Output, _keyfleet_domain_v1_Proposal>;
  
  FetchTokens: grpc.handleUnaryCall<_keyfleet_domain_v1_FetchTokensRequest__Output, _keyfleet_domain_v1_FetchTokensResponse>;
  
  ListProposals: grpc.handleUnaryCall<_keyfleet_domain_v1_ListProposalsRequest__Output, _keyfleet_domain_v1_ListProposalsResponse>;
  
  Propose: grpc.handleUnaryCall<_keyfleet_domain_v1_ProposeRequest__Output, _keyfleet_domain_v1_Proposal>;
  
  Status: grpc.handleUnaryCall<_keyfleet_domain_v1_StatusRequest__Output, _keyfleet_domain_v1_StatusResponse>;
  
  StoreToken: grpc.handleUnaryCall<_keyfleet_domain_v1_StoreTokenRequest__Output, _keyfleet_domain_v1_StoreTokenResponse>;
  
}

export interface DomainManagerDefinition extends grpc.ServiceDefinition {
  Approve: MethodDefinition<_keyfleet_domain_v1_ApproveRequest, _keyfleet_domain_v1_Proposal, _keyfleet_domain_v1_ApproveRequest__Output, _keyfleet_domain_v1_Proposal__Output>
  FetchTokens: MethodDefinition<_keyfleet_domain_v1_FetchTokensRequest, _keyfleet_domain_v1_FetchTokensResponse, _keyfleet_domain_v1_FetchTokensRequest__Output, _keyfleet_domain_v1_FetchTokensResponse__Output>
  ListProposals: MethodDefinition<_keyfleet_domain_v1_ListProposalsRequest, _keyfleet_domain_v1_ListProposalsResponse, _keyfleet_domain_v1_ListProposalsRequest__Output, _keyfleet_domain_v1_ListProposalsResponse__Output>
  Propose: MethodDefinition<_keyfleet_domain_v1_ProposeRequest, _keyfleet_domain_v1_Proposal, _keyfleet_domain_v1_ProposeRequest__Output, _keyfleet_domain_v1_Proposal__Output>
  Status: MethodDefinition<_keyfleet_domain_v1_StatusRequest, _keyfleet_domain_v1_StatusResponse, _keyfleet_domain_v1_StatusRequest__Output, _keyfleet_domain_v1_StatusResponse__Output>
  StoreToken: MethodDefinition<_keyfleet_domain_v1_StoreTokenRequest, _keyfleet_domain_v1_StoreTokenResponse, _keyfleet_domain_v1_StoreTokenRequest__Output, _keyfleet_domain_v1_StoreTokenResponse__Output>
}
