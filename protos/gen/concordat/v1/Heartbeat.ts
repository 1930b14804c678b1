// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface Heartbeat {
  'sequence'?: (number | string | Long);
  '_sequence'?: "sequence";
}

export interface Heartbeat__Output {
  'sequence'?: (string);
  '_sequence'?: "sequence";
}
