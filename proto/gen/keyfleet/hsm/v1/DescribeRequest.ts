// Original file: hsm/v1/hsm.proto


export interface DescribeRequest {
}

export interface DescribeRequest__Output {
}
