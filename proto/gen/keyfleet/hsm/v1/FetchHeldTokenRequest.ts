// Original file: hsm/v1/hsm.proto


export interface FetchHeldTokenRequest {
}

export interface FetchHeldTokenRequest__Output {
}
