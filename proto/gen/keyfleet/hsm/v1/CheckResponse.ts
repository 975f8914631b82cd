// Original file: hsm/v1/hsm.proto


export interface CheckResponse {
}

export interface CheckResponse__Output {
}
