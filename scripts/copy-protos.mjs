// The .proto files are read at run time, so the build puts them beside the compiled code.
import { cpSync } from 'node:fs';

cpSync('protos', 'dist/protos', { recursive: true, filter: (source) => !source.startsWith('protos/gen') });
