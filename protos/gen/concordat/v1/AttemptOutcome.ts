// Original file: protos/concordat/v1/federation.proto

export const AttemptOutcome = {
  ATTEMPT_OUTCOME_UNSPECIFIED: 'ATTEMPT_OUTCOME_UNSPECIFIED',
  ATTEMPT_OUTCOME_TOTAL: 'ATTEMPT_OUTCOME_TOTAL',
  ATTEMPT_OUTCOME_ABORTED: 'ATTEMPT_OUTCOME_ABORTED',
} as const;

export type AttemptOutcome =
  | 'ATTEMPT_OUTCOME_UNSPECIFIED'
  | 0
  | 'ATTEMPT_OUTCOME_TOTAL'
  | 1
  | 'ATTEMPT_OUTCOME_ABORTED'
  | 2

export type AttemptOutcome__Output = typeof AttemptOutcome[keyof typeof AttemptOutcome]
