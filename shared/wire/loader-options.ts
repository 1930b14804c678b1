/** How .proto files are loaded at run time; protos/gen is generated with the same choices (scripts/gen-protos.mjs). */
export const LOADER_OPTIONS = { longs: String, enums: String, arrays: true, oneofs: true } as const;

export const PROTO_FILES = [
  'concordat/v1/enrollment.proto',
  'concordat/v1/federation.proto',
  'concordat/v1/transfer.proto',
  'concordat/v1/registry.proto',
  'grpc/health/v1/health.proto',
] as const;
