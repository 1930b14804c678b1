// Original file: protos/concordat/v1/transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface UploadChunk {
  'blobSha256'?: (Buffer | Uint8Array | string);
  'blobSize'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
  'sha256'?: (Buffer | Uint8Array | string);
  '_blobSha256'?: "blobSha256";
  '_blobSize'?: "blobSize";
  '_offset'?: "offset";
  '_data'?: "data";
  '_sha256'?: "sha256";
}

export interface UploadChunk__Output {
  'blobSha256'?: (Buffer);
  'blobSize'?: (string);
  'offset'?: (string);
  'data'?: (Buffer);
  'sha256'?: (Buffer);
  '_blobSha256'?: "blobSha256";
  '_blobSize'?: "blobSize";
  '_offset'?: "offset";
  '_data'?: "data";
  '_sha256'?: "sha256";
}
