// Original file: protos/concordat/v1/federation.proto

import type { Approval as _concordat_v1_Approval, Approval__Output as _concordat_v1_Approval__Output } from '../../concordat/v1/Approval.js';

export interface StudyStarted {
  'studyHash'?: (Buffer | Uint8Array | string);
  'approvals'?: (_concordat_v1_Approval)[];
  '_studyHash'?: "studyHash";
}

export interface StudyStarted__Output {
  'studyHash'?: (Buffer);
  'approvals': (_concordat_v1_Approval__Output)[];
  '_studyHash'?: "studyHash";
}
