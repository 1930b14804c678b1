// Original file: protos/concordat/v1/federation.proto

import type { Long } from '@grpc/proto-loader';

export interface LedgerCountersigned {
  'length'?: (number | string | Long);
  'head'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
  '_length'?: "length";
  '_head'?: "head";
  '_signature'?: "signature";
}

export interface LedgerCountersigned__Output {
  'length'?: (string);
  'head'?: (Buffer);
  'signature'?: (Buffer);
  '_length'?: "length";
  '_head'?: "head";
  '_signature'?: "signature";
}
