// Original file: hsm/v1/hsm.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ActivateRequest as _keyfleet_hsm_v1_ActivateRequest, ActivateRequest__Output as _keyfleet_hsm_v1_ActivateRequest__Output } from '../../../keyfleet/hsm/v1/ActivateRequest.ts';
import type { CheckRequest as _keyfleet_hsm_v1_CheckRequest, CheckRequest__Output as _keyfleet_hsm_v1_CheckRequest__Output } from '../../../keyfleet/hsm/v1/CheckRequest.ts';
import type { CheckResponse as _keyfleet_hsm_v1_CheckResponse, CheckResponse__Output as _keyfleet_hsm_v1_CheckResponse__Output } from '../../../keyfleet/hsm/v1/CheckResponse.ts';
import type { DescribeRequest as _keyfleet_hsm_v1_DescribeRequest, DescribeRequest__Output as _keyfleet_hsm_v1_DescribeRequest__Output } from '../../../keyfleet/hsm/v1/DescribeRequest.ts';
import type { FetchHeldTokenRequest as _keyfleet_hsm_v1_FetchHeldTokenRequest, FetchHeldTokenRequest__Output as _keyfleet_hsm_v1_FetchHeldTokenRequest__Output } from '../../../keyfleet/hsm/v1/FetchHeldTokenRequest.ts';
import type { FetchHeldTokenResponse as _keyfleet_hsm_v1_FetchHeldTokenResponse, FetchHeldTokenResponse__Output as _keyfleet_hsm_v1_FetchHeldTokenResponse__Output } from '../../../keyfleet/hsm/v1/FetchHeldTokenResponse.ts';
import type { Frame as _keyfleet_hsm_v1_Frame, Frame__Output as _keyfleet_hsm_v1_Frame__Output } from '../../../keyfleet/hsm/v1/Frame.ts';
import type { HsmDescription as _keyfleet_hsm_v1_HsmDescription, HsmDescription__Output as _keyfleet_hsm_v1_HsmDescription__Output } from '../../../keyfleet/hsm/v1/HsmDescription.ts';
import type { InstallRequest as _keyfleet_hsm_v1_InstallRequest, InstallRequest__Output as _keyfleet_hsm_v1_InstallRequest__Output } from '../../../keyfleet/hsm/v1/InstallRequest.ts';
import type { LeaveRequest as _keyfleet_hsm_v1_LeaveRequest, LeaveRequest__Output as _keyfleet_hsm_v1_LeaveRequest__Output } from '../../../keyfleet/hsm/v1/LeaveRequest.ts';
import type { NegotiateRequest as _keyfleet_hsm_v1_NegotiateRequest, NegotiateRequest__Output as _keyfleet_hsm_v1_NegotiateRequest__Output } from '../../../keyfleet/hsm/v1/NegotiateRequest.ts';
import type { NegotiateResponse as _keyfleet_hsm_v1_NegotiateResponse, NegotiateResponse__Output as _keyfleet_hsm_v1_NegotiateResponse__Output } from '../../../keyfleet/hsm/v1/NegotiateResponse.ts';
import type { PrepareRequest as _keyfleet_hsm_v1_PrepareRequest, PrepareRequest__Output as _keyfleet_hsm_v1_PrepareRequest__Output } from '../../../keyfleet/hsm/v1/PrepareRequest.ts';
import type { PrepareResponse as _keyfleet_hsm_v1_PrepareResponse, PrepareResponse__Output as _keyfleet_hsm_v1_PrepareResponse__Output } from '../../../keyfleet/hsm/v1/PrepareResponse.ts';

export interface HsmClient extends grpc.Client {
  ActivateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  ActivateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  ActivateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  ActivateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  activateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  activateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  activateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  activateDomainKey(argument: _keyfleet_hsm_v1_ActivateRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  
  CheckDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  CheckDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  CheckDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  CheckDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  checkDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  checkDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  checkDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  checkDomainToken(argument: _keyfleet_hsm_v1_CheckRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  
  Describe(argument: _keyfleet_hsm_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  Describe(argument: _keyfleet_hsm_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  Describe(argument: _keyfleet_hsm_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  Describe(argument: _keyfleet_hsm_v1_DescribeRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  describe(argument: _keyfleet_hsm_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  describe(argument: _keyfleet_hsm_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  describe(argument: _keyfleet_hsm_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  describe(argument: _keyfleet_hsm_v1_DescribeRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  
  Execute(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output>;
  Execute(options?: grpc.CallOptions): grpc.ClientDuplexStream<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output>;
  execute(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output>;
  execute(options?: grpc.CallOptions): grpc.ClientDuplexStream<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output>;
  
  FetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  FetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  FetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  FetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  fetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  fetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  fetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  fetchHeldToken(argument: _keyfleet_hsm_v1_FetchHeldTokenRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_FetchHeldTokenResponse__Output>): grpc.ClientUnaryCall;
  
  InstallDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  InstallDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  InstallDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  InstallDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  installDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  installDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  installDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  installDomainTokens(argument: _keyfleet_hsm_v1_InstallRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  
  LeaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  LeaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  LeaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  LeaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  leaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  leaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  leaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  leaveDomain(argument: _keyfleet_hsm_v1_LeaveRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_HsmDescription__Output>): grpc.ClientUnaryCall;
  
  NegotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  NegotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  NegotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  NegotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  negotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  negotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  negotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  negotiateSession(argument: _keyfleet_hsm_v1_NegotiateRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_NegotiateResponse__Output>): grpc.ClientUnaryCall;
  
  PrepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  PrepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  PrepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  PrepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  prepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  prepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  prepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  prepareDomainToken(argument: _keyfleet_hsm_v1_PrepareRequest, callback: grpc.requestCallback<_keyfleet_hsm_v1_PrepareResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface HsmHandlers extends grpc.UntypedServiceImplementation {
  ActivateDomainKey: grpc.handleUnaryCall<_keyfleet_hsm_v1_ActivateRequest__Output, _keyfleet_hsm_v1_HsmDescription>;
  
  CheckDomainToken: grpc.handleUnaryCall<_keyfleet_hsm_v1_CheckRequest__Output, _keyfleet_hsm_v1_CheckResponse>;
  
  Describe: grpc.handleUnaryCall<_keyfleet_hsm_v1_DescribeRequest__Output, _keyfleet_hsm_v1_HsmDescription>;
  
  Execute: grpc.handleBidiStreamingCall<_keyfleet_hsm_v1_Frame__Output, _keyfleet_hsm_v1_Frame>;
  
  FetchHeldToken: grpc.handleUnaryCall<_keyfleet_hsm_v1_FetchHeldTokenRequest__Output, _keyfleet_hsm_v1_FetchHeldTokenResponse>;
  
  InstallDomainTokens: grpc.handleUnaryCall<_keyfleet_hsm_v1_InstallRequest__Output, _keyfleet_hsm_v1_HsmDescription>;
  
  LeaveDomain: grpc.handleUnaryCall<_keyfleet_hsm_v1_LeaveRequest__Output, _keyfleet_hsm_v1_HsmDescription>;
  
  NegotiateSession: grpc.handleUnaryCall<_keyfleet_hsm_v1_NegotiateRequest__Output, _keyfleet_hsm_v1_NegotiateResponse>;
  
  PrepareDomainToken: grpc.handleUnaryCall<_keyfleet_hsm_v1_PrepareRequest__Output, _keyfleet_hsm_v1_PrepareResponse>;
  
}

export interface HsmDefinition extends grpc.ServiceDefinition {
  ActivateDomainKey: MethodDefinition<_keyfleet_hsm_v1_ActivateRequest, _keyfleet_hsm_v1_HsmDescription, _keyfleet_hsm_v1_ActivateRequest__Output, _keyfleet_hsm_v1_HsmDescription__Output>
  CheckDomainToken: MethodDefinition<_keyfleet_hsm_v1_CheckRequest, _keyfleet_hsm_v1_CheckResponse, _keyfleet_hsm_v1_CheckRequest__Output, _keyfleet_hsm_v1_CheckResponse__Output>
  Describe: MethodDefinition<_keyfleet_hsm_v1_DescribeRequest, _keyfleet_hsm_v1_HsmDescription, _keyfleet_hsm_v1_DescribeRequest__Output, _keyfleet_hsm_v1_HsmDescription__Output>
  Execute: MethodDefinition<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output, _keyfleet_hsm_v1_Frame__Output>
  FetchHeldToken: MethodDefinition<_keyfleet_hsm_v1_FetchHeldTokenRequest, _keyfleet_hsm_v1_FetchHeldTokenResponse, _keyfleet_hsm_v1_FetchHeldTokenRequest__Output, _keyfleet_hsm_v1_FetchHeldTokenResponse__Output>
  InstallDomainTokens: MethodDefinition<_keyfleet_hsm_v1_InstallRequest, _keyfleet_hsm_v1_HsmDescription, _keyfleet_hsm_v1_InstallRequest__Output, _keyfleet_hsm_v1_HsmDescription__Output>
  LeaveDomain: MethodDefinition<_keyfleet_hsm_v1_LeaveRequest, _keyfleet_hsm_v1_HsmDescription, _keyfleet_hsm_v1_LeaveRequest__Output, _keyfleet_hsm_v1_HsmDescription__Output>
  NegotiateSession: MethodDefinition<_keyfleet_hsm_v1_NegotiateRequest, _keyfleet_hsm_v1_NegotiateResponse, _keyfleet_hsm_v1_NegotiateRequest__Output, _keyfleet_hsm_v1_NegotiateResponse__Output>
  PrepareDomainToken: MethodDefinition<_keyfleet_hsm_v1_PrepareRequest, _keyfleet_hsm_v1_PrepareResponse, _keyfleet_hsm_v1_PrepareRequest__Output, _keyfleet_hsm_v1_PrepareResponse__Output>
}
