// Original file: domain/v1/domain.proto


export interface FetchTokensResponse {
  'tokens'?: (Buffer | Uint8Array | string)[];
}

export interface FetchTokensResponse__Output {
  'tokens'?: (Buffer)[];
}
