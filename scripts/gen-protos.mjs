// Writes protos/gen (types only) from protos/**/*.proto: `node scripts/gen-protos.mjs [folder]`. Never edit the output;
// test/wire/generated.test.ts fails when it is stale. The options match the loaders' in shared/wire/loader-options.ts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const out = process.argv[2] ?? 'protos/gen';
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const loader = path.dirname(createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json'));
execFileSync(
  process.execPath,
  [
    path.join(loader, 'build/bin/proto-loader-gen-types.js'),
    'concordat/v1/enrollment.proto',
    'concordat/v1/federation.proto',
    'concordat/v1/transfer.proto',
    'concordat/v1/registry.proto',
    'grpc/health/v1/health.proto',
    '--longs=String',
    '--enums=String',
    '--arrays',
    '--oneofs',
    '--grpcLib=@grpc/grpc-js',
    '--importFileExtension=.js',
    `--outDir=${out}`,
    '--includeDirs=protos',
  ],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
