// Original file: domain/v1/domain.proto


export interface StoreTokenRequest {
  'token'?: (Buffer | Uint8Array | string);
}

export interface StoreTokenRequest__Output {
  'token'?: (Buffer);
}
