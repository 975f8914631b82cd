// Original file: hsm/v1/hsm.proto


export interface CheckRequest {
  'token'?: (Buffer | Uint8Array | string);
  'call'?: (Buffer | Uint8Array | string);
}

export interface CheckRequest__Output {
  'token'?: (Buffer);
  'call'?: (Buffer);
}
