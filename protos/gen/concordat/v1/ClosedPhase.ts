// Original file: protos/concordat/v1/federation.proto

export const ClosedPhase = {
  CLOSED_PHASE_UNSPECIFIED: 'CLOSED_PHASE_UNSPECIFIED',
  CLOSED_PHASE_PUBLISHED: 'CLOSED_PHASE_PUBLISHED',
  CLOSED_PHASE_DECLINED: 'CLOSED_PHASE_DECLINED',
  CLOSED_PHASE_FAILED: 'CLOSED_PHASE_FAILED',
  CLOSED_PHASE_WITHDRAWN: 'CLOSED_PHASE_WITHDRAWN',
} as const;

export type ClosedPhase =
  | 'CLOSED_PHASE_UNSPECIFIED'
  | 0
  | 'CLOSED_PHASE_PUBLISHED'
  | 1
  | 'CLOSED_PHASE_DECLINED'
  | 2
  | 'CLOSED_PHASE_FAILED'
  | 3
  | 'CLOSED_PHASE_WITHDRAWN'
  | 4

export type ClosedPhase__Output = typeof ClosedPhase[keyof typeof ClosedPhase]
