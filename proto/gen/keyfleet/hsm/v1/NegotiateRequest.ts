// Original file: hsm/v1/hsm.proto


export interface NegotiateRequest {
  'hello'?: (Buffer | Uint8Array | string);
}

export interface NegotiateRequest__Output {
  'hello'?: (Buffer);
}
