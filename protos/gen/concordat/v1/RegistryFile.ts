// Original file: protos/concordat/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface RegistryFile {
  'path'?: (string);
  'sha256'?: (Buffer | Uint8Array | string);
  'size'?: (number | string | Long);
  '_path'?: "path";
  '_sha256'?: "sha256";
  '_size'?: "size";
}

export interface RegistryFile__Output {
  'path'?: (string);
  'sha256'?: (Buffer);
  'size'?: (string);
  '_path'?: "path";
  '_sha256'?: "sha256";
  '_size'?: "size";
}
