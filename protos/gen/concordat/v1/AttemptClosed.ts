// Original file: protos/concordat/v1/federation.proto

import type { AttemptOutcome as _concordat_v1_AttemptOutcome, AttemptOutcome__Output as _concordat_v1_AttemptOutcome__Output } from '../../concordat/v1/AttemptOutcome.js';

export interface AttemptClosed {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'outcome'?: (_concordat_v1_AttemptOutcome);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_outcome'?: "outcome";
}

export interface AttemptClosed__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'outcome'?: (_concordat_v1_AttemptOutcome__Output);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_outcome'?: "outcome";
}
