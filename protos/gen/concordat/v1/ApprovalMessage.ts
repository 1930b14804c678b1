// Original file: protos/concordat/v1/federation.proto

import type { Approval as _concordat_v1_Approval, Approval__Output as _concordat_v1_Approval__Output } from '../../concordat/v1/Approval.js';

export interface ApprovalMessage {
  'approval'?: (_concordat_v1_Approval | null);
}

export interface ApprovalMessage__Output {
  'approval'?: (_concordat_v1_Approval__Output);
}
