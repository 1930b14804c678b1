// Original file: protos/concordat/v1/federation.proto

export const Exchange = {
  EXCHANGE_UNSPECIFIED: 'EXCHANGE_UNSPECIFIED',
  EXCHANGE_PRE_KEYS: 'EXCHANGE_PRE_KEYS',
  EXCHANGE_MASKED_INPUT: 'EXCHANGE_MASKED_INPUT',
  EXCHANGE_AGREEMENT: 'EXCHANGE_AGREEMENT',
  EXCHANGE_UNMASK: 'EXCHANGE_UNMASK',
} as const;

export type Exchange =
  | 'EXCHANGE_UNSPECIFIED'
  | 0
  | 'EXCHANGE_PRE_KEYS'
  | 1
  | 'EXCHANGE_MASKED_INPUT'
  | 2
  | 'EXCHANGE_AGREEMENT'
  | 3
  | 'EXCHANGE_UNMASK'
  | 4

export type Exchange__Output = typeof Exchange[keyof typeof Exchange]
