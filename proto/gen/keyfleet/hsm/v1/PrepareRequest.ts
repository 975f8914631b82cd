// Original file: hsm/v1/hsm.proto


export interface PrepareRequest {
  'proposal'?: (Buffer | Uint8Array | string);
  'current'?: (Buffer | Uint8Array | string);
  'call'?: (Buffer | Uint8Array | string);
}

export interface PrepareRequest__Output {
  'proposal'?: (Buffer);
  'current'?: (Buffer);
  'call'?: (Buffer);
}
