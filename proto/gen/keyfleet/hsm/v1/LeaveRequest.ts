// Original file: hsm/v1/hsm.proto


export interface LeaveRequest {
  'proposal'?: (Buffer | Uint8Array | string);
  'call'?: (Buffer | Uint8Array | string);
}

export interface LeaveRequest__Output {
  'proposal'?: (Buffer);
  'call'?: (Buffer);
}
