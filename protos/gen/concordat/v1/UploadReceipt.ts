// Original file: protos/concordat/v1/transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface UploadReceipt {
  'sha256'?: (Buffer | Uint8Array | string);
  'size'?: (number | string | Long);
  '_sha256'?: "sha256";
  '_size'?: "size";
}

export interface UploadReceipt__Output {
  'sha256'?: (Buffer);
  'size'?: (string);
  '_sha256'?: "sha256";
  '_size'?: "size";
}
