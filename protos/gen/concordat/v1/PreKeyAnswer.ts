// Original file: protos/concordat/v1/federation.proto

import type { PreKey as _concordat_v1_PreKey, PreKey__Output as _concordat_v1_PreKey__Output } from '../../concordat/v1/PreKey.js';

export interface PreKeyAnswer {
  'studyHash'?: (Buffer | Uint8Array | string);
  'preKey'?: (_concordat_v1_PreKey | null);
  '_studyHash'?: "studyHash";
}

export interface PreKeyAnswer__Output {
  'studyHash'?: (Buffer);
  'preKey'?: (_concordat_v1_PreKey__Output);
  '_studyHash'?: "studyHash";
}
