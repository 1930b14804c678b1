// Original file: protos/concordat/v1/transfer.proto


export interface StatRequest {
  'sha256'?: (Buffer | Uint8Array | string);
  '_sha256'?: "sha256";
}

export interface StatRequest__Output {
  'sha256'?: (Buffer);
  '_sha256'?: "sha256";
}
