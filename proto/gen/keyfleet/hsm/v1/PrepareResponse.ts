// Original file: hsm/v1/hsm.proto


export interface PrepareResponse {
  'token'?: (Buffer | Uint8Array | string);
}

export interface PrepareResponse__Output {
  'token'?: (Buffer);
}
