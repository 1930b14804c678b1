// Original file: protos/concordat/v1/federation.proto

import type { ShareKind as _concordat_v1_ShareKind, ShareKind__Output as _concordat_v1_ShareKind__Output } from '../../concordat/v1/ShareKind.js';

export interface ReleasedShare {
  'dealer'?: (string);
  'kind'?: (_concordat_v1_ShareKind);
  'share'?: (Buffer | Uint8Array | string);
  'salt'?: (Buffer | Uint8Array | string);
  '_dealer'?: "dealer";
  '_kind'?: "kind";
  '_share'?: "share";
  '_salt'?: "salt";
}

export interface ReleasedShare__Output {
  'dealer'?: (string);
  'kind'?: (_concordat_v1_ShareKind__Output);
  'share'?: (Buffer);
  'salt'?: (Buffer);
  '_dealer'?: "dealer";
  '_kind'?: "kind";
  '_share'?: "share";
  '_salt'?: "salt";
}
