// Original file: domain/v1/domain.proto


export interface ApproveRequest {
  'proposal_id'?: (string);
  'operator_id'?: (string);
  'signature'?: (Buffer | Uint8Array | string);
}

export interface ApproveRequest__Output {
  'proposal_id'?: (string);
  'operator_id'?: (string);
  'signature'?: (Buffer);
}
