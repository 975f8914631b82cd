// Original file: hsm/v1/hsm.proto


export interface NegotiateResponse {
  'answer'?: (Buffer | Uint8Array | string);
}

export interface NegotiateResponse__Output {
  'answer'?: (Buffer);
}
