// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface TranscriptRequest {
  'studyHash'?: (Buffer | Uint8Array | string);
  'size'?: (number | string | Long);
  'context'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_size'?: "size";
  '_context'?: "context";
}

export interface TranscriptRequest__Output {
  'studyHash'?: (Buffer);
  'size'?: (string);
  'context'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_size'?: "size";
  '_context'?: "context";
}
