// Original file: domain/v1/domain.proto


export interface StatusRequest {
}

export interface StatusRequest__Output {
}
