// Original file: protos/concordat/v1/federation.proto

export const Decision = {
  DECISION_UNSPECIFIED: 'DECISION_UNSPECIFIED',
  DECISION_APPROVED: 'DECISION_APPROVED',
  DECISION_DECLINED: 'DECISION_DECLINED',
  DECISION_WITHDRAWN: 'DECISION_WITHDRAWN',
} as const;

export type Decision =
  | 'DECISION_UNSPECIFIED'
  | 0
  | 'DECISION_APPROVED'
  | 1
  | 'DECISION_DECLINED'
  | 2
  | 'DECISION_WITHDRAWN'
  | 3

export type Decision__Output = typeof Decision[keyof typeof Decision]
