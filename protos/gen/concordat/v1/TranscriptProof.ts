// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface TranscriptProof {
  'studyHash'?: (Buffer | Uint8Array | string);
  'size'?: (number | string | Long);
  'root'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'index'?: (number | string | Long);
  'inclusion'?: (Buffer | Uint8Array | string)[];
  'consistency'?: (Buffer | Uint8Array | string)[];
  '_studyHash'?: "studyHash";
  '_size'?: "size";
  '_root'?: "root";
  '_context'?: "context";
  '_index'?: "index";
}

export interface TranscriptProof__Output {
  'studyHash'?: (Buffer);
  'size'?: (string);
  'root'?: (Buffer);
  'context'?: (Buffer);
  'index'?: (string);
  'inclusion': (Buffer)[];
  'consistency': (Buffer)[];
  '_studyHash'?: "studyHash";
  '_size'?: "size";
  '_root'?: "root";
  '_context'?: "context";
  '_index'?: "index";
}
