// Original file: hsm/v1/hsm.proto


export interface FetchHeldTokenResponse {
  'token'?: (Buffer | Uint8Array | string);
}

export interface FetchHeldTokenResponse__Output {
  'token'?: (Buffer);
}
