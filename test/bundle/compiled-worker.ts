import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

/** The file of a thread as JavaScript: Node cannot start a worker from TypeScript, and tests must not depend on a build. */
export function compiledWorker(thread = 'cli/onnx-worker.ts'): URL {
  const source = readFileSync(new URL(`../../${thread}`, import.meta.url), 'utf8');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  // Inside node_modules, so that the thread finds onnxruntime-node.
  const folder = new URL('../../node_modules/.cache/concordat-test/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`${path.basename(thread, '.ts')}-${process.pid}.mjs`, folder);
  writeFileSync(file, outputText);
  return pathToFileURL(file.pathname);
}
