// Original file: domain/v1/domain.proto


export interface ProposeRequest {
  'proposal'?: (Buffer | Uint8Array | string);
}

export interface ProposeRequest__Output {
  'proposal'?: (Buffer);
}
