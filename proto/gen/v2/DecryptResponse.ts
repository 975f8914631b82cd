// Original file: kubernetes/v2/kms-plugin.proto


export interface DecryptResponse {
  'plaintext'?: (Buffer | Uint8Array | string);
}

export interface DecryptResponse__Output {
  'plaintext'?: (Buffer);
}
