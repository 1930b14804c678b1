// The .proto files are read at run time, so the build puts them beside the compiled code.
import { cpSync } from 'node:fs';

cpSync('protos/concordat', 'dist/protos/concordat', { recursive: true });
cpSync('protos/grpc', 'dist/protos/grpc', { recursive: true });
