import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

/** The scoring thread as JavaScript: Node cannot start a worker from TypeScript, and tests must not depend on a build. */
export function compiledWorker(): URL {
  const source = readFileSync(new URL('../../cli/onnx-worker.ts', import.meta.url), 'utf8');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  // Inside node_modules, so that the thread finds onnxruntime-node.
  const folder = new URL('../../node_modules/.cache/concordat-test/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`onnx-worker-${process.pid}.mjs`, folder);
  writeFileSync(file, outputText);
  return pathToFileURL(file.pathname);
}
