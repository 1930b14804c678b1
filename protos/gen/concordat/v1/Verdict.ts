// Original file: protos/concordat/v1/federation.proto

export const Verdict = {
  VERDICT_UNSPECIFIED: 'VERDICT_UNSPECIFIED',
  VERDICT_RATIFIED: 'VERDICT_RATIFIED',
  VERDICT_REFUSED: 'VERDICT_REFUSED',
} as const;

export type Verdict =
  | 'VERDICT_UNSPECIFIED'
  | 0
  | 'VERDICT_RATIFIED'
  | 1
  | 'VERDICT_REFUSED'
  | 2

export type Verdict__Output = typeof Verdict[keyof typeof Verdict]
