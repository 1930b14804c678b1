// Original file: protos/concordat/v1/transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface DownloadChunk {
  'blobSize'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
  'sha256'?: (Buffer | Uint8Array | string);
  '_blobSize'?: "blobSize";
  '_offset'?: "offset";
  '_data'?: "data";
  '_sha256'?: "sha256";
}

export interface DownloadChunk__Output {
  'blobSize'?: (string);
  'offset'?: (string);
  'data'?: (Buffer);
  'sha256'?: (Buffer);
  '_blobSize'?: "blobSize";
  '_offset'?: "offset";
  '_data'?: "data";
  '_sha256'?: "sha256";
}
