// Original file: protos/concordat/v1/federation.proto

import type { ClosedPhase as _concordat_v1_ClosedPhase, ClosedPhase__Output as _concordat_v1_ClosedPhase__Output } from '../../concordat/v1/ClosedPhase.js';

export interface StudyClosed {
  'studyHash'?: (Buffer | Uint8Array | string);
  'phase'?: (_concordat_v1_ClosedPhase);
  'reason'?: (string);
  '_studyHash'?: "studyHash";
  '_phase'?: "phase";
  '_reason'?: "reason";
}

export interface StudyClosed__Output {
  'studyHash'?: (Buffer);
  'phase'?: (_concordat_v1_ClosedPhase__Output);
  'reason'?: (string);
  '_studyHash'?: "studyHash";
  '_phase'?: "phase";
  '_reason'?: "reason";
}
