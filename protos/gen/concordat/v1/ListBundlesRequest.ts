// Original file: protos/concordat/v1/registry.proto


export interface ListBundlesRequest {
}

export interface ListBundlesRequest__Output {
}
