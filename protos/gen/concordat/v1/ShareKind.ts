// Original file: protos/concordat/v1/federation.proto

export const ShareKind = {
  SHARE_KIND_UNSPECIFIED: 'SHARE_KIND_UNSPECIFIED',
  SHARE_KIND_SELF: 'SHARE_KIND_SELF',
  SHARE_KIND_MASK: 'SHARE_KIND_MASK',
} as const;

export type ShareKind =
  | 'SHARE_KIND_UNSPECIFIED'
  | 0
  | 'SHARE_KIND_SELF'
  | 1
  | 'SHARE_KIND_MASK'
  | 2

export type ShareKind__Output = typeof ShareKind[keyof typeof ShareKind]
