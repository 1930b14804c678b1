// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface HeartbeatAnswer {
  'sequence'?: (number | string | Long);
  '_sequence'?: "sequence";
}

export interface HeartbeatAnswer__Output {
  'sequence'?: (string);
  '_sequence'?: "sequence";
}
