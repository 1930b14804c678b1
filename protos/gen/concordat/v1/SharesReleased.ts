// Original file: protos/concordat/v1/federation.proto

import type { ReleasedShare as _concordat_v1_ReleasedShare, ReleasedShare__Output as _concordat_v1_ReleasedShare__Output } from '../../concordat/v1/ReleasedShare.js';

export interface SharesReleased {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'shares'?: (_concordat_v1_ReleasedShare)[];
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_signature'?: "signature";
}

export interface SharesReleased__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'shares': (_concordat_v1_ReleasedShare__Output)[];
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_signature'?: "signature";
}
