// Original file: protos/concordat/v1/federation.proto


export interface BundleFile {
  'path'?: (string);
  'blobHash'?: (Buffer | Uint8Array | string);
  '_path'?: "path";
  '_blobHash'?: "blobHash";
}

export interface BundleFile__Output {
  'path'?: (string);
  'blobHash'?: (Buffer);
  '_path'?: "path";
  '_blobHash'?: "blobHash";
}
