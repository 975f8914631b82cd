// Original file: hsm/v1/hsm.proto


export interface Frame {
  'body'?: (Buffer | Uint8Array | string);
}

export interface Frame__Output {
  'body'?: (Buffer);
}
