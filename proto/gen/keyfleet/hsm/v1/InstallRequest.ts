// Original file: hsm/v1/hsm.proto


export interface InstallRequest {
  'tokens'?: (Buffer | Uint8Array | string)[];
  'call'?: (Buffer | Uint8Array | string);
}

export interface InstallRequest__Output {
  'tokens'?: (Buffer)[];
  'call'?: (Buffer);
}
