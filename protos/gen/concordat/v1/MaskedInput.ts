// Original file: protos/concordat/v1/federation.proto

import type { PreKey as _concordat_v1_PreKey, PreKey__Output as _concordat_v1_PreKey__Output } from '../../concordat/v1/PreKey.js';
import type { Long } from '@grpc/proto-loader';

export interface MaskedInput {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'blobHash'?: (Buffer | Uint8Array | string);
  'byteLength'?: (number | string | Long);
  'nextPreKey'?: (_concordat_v1_PreKey | null);
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_blobHash'?: "blobHash";
  '_byteLength'?: "byteLength";
  '_signature'?: "signature";
}

export interface MaskedInput__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'blobHash'?: (Buffer);
  'byteLength'?: (string);
  'nextPreKey'?: (_concordat_v1_PreKey__Output);
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_blobHash'?: "blobHash";
  '_byteLength'?: "byteLength";
  '_signature'?: "signature";
}
