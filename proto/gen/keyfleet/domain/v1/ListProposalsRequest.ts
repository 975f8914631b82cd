// Original file: domain/v1/domain.proto


export interface ListProposalsRequest {
}

export interface ListProposalsRequest__Output {
}
