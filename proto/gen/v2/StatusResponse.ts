// Original file: kubernetes/v2/kms-plugin.proto


export interface StatusResponse {
  'version'?: (string);
  'healthz'?: (string);
  'key_id'?: (string);
}

export interface StatusResponse__Output {
  'version'?: (string);
  'healthz'?: (string);
  'key_id'?: (string);
}
