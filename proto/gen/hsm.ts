import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { ActivateRequest as _keyfleet_hsm_v1_ActivateRequest, ActivateRequest__Output as _keyfleet_hsm_v1_ActivateRequest__Output } from './keyfleet/hsm/v1/ActivateRequest.ts';
import type { CheckRequest as _keyfleet_hsm_v1_CheckRequest, CheckRequest__Output as _keyfleet_hsm_v1_CheckRequest__Output } from './keyfleet/hsm/v1/CheckRequest.ts';
import type { CheckResponse as _keyfleet_hsm_v1_CheckResponse, CheckResponse__Output as _keyfleet_hsm_v1_CheckResponse__Output } from './keyfleet/hsm/v1/CheckResponse.ts';
import type { DescribeRequest as _keyfleet_hsm_v1_DescribeRequest, DescribeRequest__Output as _keyfleet_hsm_v1_DescribeRequest__Output } from './keyfleet/hsm/v1/DescribeRequest.ts';
import type { FetchHeldTokenRequest as _keyfleet_hsm_v1_FetchHeldTokenRequest, FetchHeldTokenRequest__Output as _keyfleet_hsm_v1_FetchHeldTokenRequest__Output } from './keyfleet/hsm/v1/FetchHeldTokenRequest.ts';
import type { FetchHeldTokenResponse as _keyfleet_hsm_v1_FetchHeldTokenResponse, FetchHeldTokenResponse__Output as _keyfleet_hsm_v1_FetchHeldTokenResponse__Output } from './keyfleet/hsm/v1/FetchHeldTokenResponse.ts';
import type { Frame as _keyfleet_hsm_v1_Frame, Frame__Output as _keyfleet_hsm_v1_Frame__Output } from './keyfleet/hsm/v1/Frame.ts';
import type { HsmClient as _keyfleet_hsm_v1_HsmClient, HsmDefinition as _keyfleet_hsm_v1_HsmDefinition } from './keyfleet/hsm/v1/Hsm.ts';
import type { HsmDescription as _keyfleet_hsm_v1_HsmDescription, HsmDescription__Output as _keyfleet_hsm_v1_HsmDescription__Output } from './keyfleet/hsm/v1/HsmDescription.ts';
import type { InstallRequest as _keyfleet_hsm_v1_InstallRequest, InstallRequest__Output as _keyfleet_hsm_v1_InstallRequest__Output } from './keyfleet/hsm/v1/InstallRequest.ts';
import type { LeaveRequest as _keyfleet_hsm_v1_LeaveRequest, LeaveRequest__Output as _keyfleet_hsm_v1_LeaveRequest__Output } from './keyfleet/hsm/v1/LeaveRequest.ts';
import type { NegotiateRequest as _keyfleet_hsm_v1_NegotiateRequest, NegotiateRequest__Output as _keyfleet_hsm_v1_NegotiateRequest__Output } from './keyfleet/hsm/v1/NegotiateRequest.ts';
import type { NegotiateResponse as _keyfleet_hsm_v1_NegotiateResponse, NegotiateResponse__Output as _keyfleet_hsm_v1_NegotiateResponse__Output } from './keyfleet/hsm/v1/NegotiateResponse.ts';
import type { PrepareRequest as _keyfleet_hsm_v1_PrepareRequest, PrepareRequest__Output as _keyfleet_hsm_v1_PrepareRequest__Output } from './keyfleet/hsm/v1/PrepareRequest.ts';
import type { PrepareResponse as _keyfleet_hsm_v1_PrepareResponse, PrepareResponse__Output as _keyfleet_hsm_v1_PrepareResponse__Output } from './keyfleet/hsm/v1/PrepareResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  keyfleet: {
    hsm: {
      v1: {
        ActivateRequest: MessageTypeDefinition<_keyfleet_hsm_v1_ActivateRequest, _keyfleet_hsm_v1_ActivateRequest__Output>
        CheckRequest: MessageTypeDefinition<_keyfleet_hsm_v1_CheckRequest, _keyfleet_hsm_v1_CheckRequest__Output>
        CheckResponse: MessageTypeDefinition<_keyfleet_hsm_v1_CheckResponse, _keyfleet_hsm_v1_CheckResponse__Output>
        DescribeRequest: MessageTypeDefinition<_keyfleet_hsm_v1_DescribeRequest, _keyfleet_hsm_v1_DescribeRequest__Output>
        FetchHeldTokenRequest: MessageTypeDefinition<_keyfleet_hsm_v1_FetchHeldTokenRequest, _keyfleet_hsm_v1_FetchHeldTokenRequest__Output>
        FetchHeldTokenResponse: MessageTypeDefinition<_keyfleet_hsm_v1_FetchHeldTokenResponse, _keyfleet_hsm_v1_FetchHeldTokenResponse__Output>
        Frame: MessageTypeDefinition<_keyfleet_hsm_v1_Frame, _keyfleet_hsm_v1_Frame__Output>
        Hsm: SubtypeConstructor<typeof grpc.Client, _keyfleet_hsm_v1_HsmClient> & { service: _keyfleet_hsm_v1_HsmDefinition }
        HsmDescription: MessageTypeDefinition<_keyfleet_hsm_v1_HsmDescription, _keyfleet_hsm_v1_HsmDescription__Output>
        InstallRequest: MessageTypeDefinition<_keyfleet_hsm_v1_InstallRequest, _keyfleet_hsm_v1_InstallRequest__Output>
        LeaveRequest: MessageTypeDefinition<_keyfleet_hsm_v1_LeaveRequest, _keyfleet_hsm_v1_LeaveRequest__Output>
        NegotiateRequest: MessageTypeDefinition<_keyfleet_hsm_v1_NegotiateRequest, _keyfleet_hsm_v1_NegotiateRequest__Output>
        NegotiateResponse: MessageTypeDefinition<_keyfleet_hsm_v1_NegotiateResponse, _keyfleet_hsm_v1_NegotiateResponse__Output>
        PrepareRequest: MessageTypeDefinition<_keyfleet_hsm_v1_PrepareRequest, _keyfleet_hsm_v1_PrepareRequest__Output>
        PrepareResponse: MessageTypeDefinition<_keyfleet_hsm_v1_PrepareResponse, _keyfleet_hsm_v1_PrepareResponse__Output>
      }
    }
  }
}

