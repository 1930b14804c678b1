// Original file: protos/concordat/v1/transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface StatResponse {
  'complete'?: (boolean);
  'offset'?: (number | string | Long);
  '_complete'?: "complete";
  '_offset'?: "offset";
}

export interface StatResponse__Output {
  'complete'?: (boolean);
  'offset'?: (string);
  '_complete'?: "complete";
  '_offset'?: "offset";
}
