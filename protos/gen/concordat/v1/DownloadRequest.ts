// Original file: protos/concordat/v1/transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface DownloadRequest {
  'sha256'?: (Buffer | Uint8Array | string);
  'offset'?: (number | string | Long);
  '_sha256'?: "sha256";
  '_offset'?: "offset";
}

export interface DownloadRequest__Output {
  'sha256'?: (Buffer);
  'offset'?: (string);
  '_sha256'?: "sha256";
  '_offset'?: "offset";
}
