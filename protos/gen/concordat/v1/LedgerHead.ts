// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface LedgerHead {
  'length'?: (number | string | Long);
  'head'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
  '_length'?: "length";
  '_head'?: "head";
  '_signature'?: "signature";
}

export interface LedgerHead__Output {
  'length'?: (string);
  'head'?: (Buffer);
  'signature'?: (Buffer);
  '_length'?: "length";
  '_head'?: "head";
  '_signature'?: "signature";
}
