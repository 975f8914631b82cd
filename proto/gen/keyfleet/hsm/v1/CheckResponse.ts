// Original file: hsm/v1/hsm.proto


export interface CheckResponse {
  'check'?: (Buffer | Uint8Array | string);
}

export interface CheckResponse__Output {
  'check'?: (Buffer);
}
