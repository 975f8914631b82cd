// Original file: kubernetes/v2/kms-plugin.proto


export interface StatusRequest {
}

export interface StatusRequest__Output {
}
