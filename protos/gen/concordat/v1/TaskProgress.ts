// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface TaskProgress {
  'studyHash'?: (Buffer | Uint8Array | string);
  'computation'?: (string);
  'round'?: (number);
  'message'?: (string);
  'workMs'?: (number | string | Long);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
  '_message'?: "message";
  '_workMs'?: "workMs";
}

export interface TaskProgress__Output {
  'studyHash'?: (Buffer);
  'computation'?: (string);
  'round'?: (number);
  'message'?: (string);
  'workMs'?: (string);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
  '_message'?: "message";
  '_workMs'?: "workMs";
}
