import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { predictTable } from '../../cli/predict.js';
import { BUNDLE_FILE, MODEL_FILE, sha256 } from '../../shared/bundle/bundle.js';
import { OnnxGraph } from '../../shared/bundle/onnx.js';
import { bundleFiles } from './bundle-folder.js';
import { compiledWorker } from './compiled-worker.js';

/** Models that are none, under a hash that fits them, so that onnxruntime sees their bytes: an error by name, and this process lives. */
const root = mkdtempSync(join(tmpdir(), 'concordat-hostile-'));
const workerUrl = compiledWorker();
afterAll(() => {
  rmSync(root, { recursive: true });
  rmSync(workerUrl);
});

const INPUTS = ['f0', 'f1', 'sex', 'age'].length;
const honest = bundleFiles().get(MODEL_FILE)!;

/** A graph over `x` and the two unused inputs; `build` names the output. */
function graphOf(build: (graph: OnnxGraph, x: string) => string, shape: readonly (number | string)[] = ['N']) {
  const graph = new OnnxGraph('hostile');
  const x = graph.input('x', ['N', INPUTS]);
  graph.input('gamma', [INPUTS]);
  graph.input('delta', [INPUTS]);
  graph.output('score', build(graph, x), shape);
  return graph.encode('1');
}

const firstColumn = (graph: OnnxGraph, x: string) => graph.node('Gather', [x, graph.integers([0])], { axis: 1 });

async function predicted(model: Uint8Array) {
  const files = new Map(bundleFiles()).set(MODEL_FILE, model);
  const bundle = JSON.parse(Buffer.from(files.get(BUNDLE_FILE)!).toString('utf8'));
  bundle.files[MODEL_FILE] = sha256(model);
  files.set(BUNDLE_FILE, Buffer.from(JSON.stringify(bundle)));
  const folder = mkdtempSync(join(root, 'bundle-'));
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const table = join(folder, 'table.csv');
  writeFileSync(table, 'id,f0,f1,sex,age\n1,1,2,M,60\n2,1,3,F,50\n');
  return predictTable(folder, table, { workerUrl });
}

function missingInput(): Uint8Array {
  const graph = new OnnxGraph('hostile');
  const x = graph.input('x', ['N', INPUTS]);
  graph.output('score', firstColumn(graph, x), ['N', 1]);
  return graph.encode('1');
}

function otherInput(): Uint8Array {
  const graph = new OnnxGraph('hostile');
  graph.output('score', firstColumn(graph, graph.input('y', ['N', INPUTS])), ['N', 1]);
  return graph.encode('1');
}

const garbage = Uint8Array.from({ length: 4096 }, (_, i) => (i * 197 + (i >> 3) * 31) % 256);
const flipped = honest.map((byte, i) => (i % 61 === 17 ? byte ^ 0xff : byte));

const HOSTILE: [string, () => Uint8Array][] = [
  ['no bytes', () => new Uint8Array(0)],
  ['garbage', () => garbage],
  ['a model cut in half', () => honest.slice(0, honest.length >> 1)],
  ['a model without its last byte', () => honest.slice(0, -1)],
  ['a model with bytes turned over', () => flipped],
  ['another input', otherInput],
  ['an input that is not there', missingInput],
  [
    'an input of another width',
    () => {
      const graph = new OnnxGraph('hostile');
      const x = graph.input('x', ['N', INPUTS + 1]);
      graph.input('gamma', [INPUTS]);
      graph.input('delta', [INPUTS]);
      graph.output('score', firstColumn(graph, x), ['N', 1]);
      return graph.encode('1');
    },
  ],
  ['an operator that does not exist', () => graphOf((graph, x) => graph.node('RunCommand', [x]))],
  [
    'a constant that claims 2^50 numbers and brings none',
    () => graphOf((graph, x) => graph.node('Add', [x, graph.doubles([], [2 ** 50])])),
  ],
  [
    'a constant whose claimed size overflows',
    () => graphOf((graph, x) => graph.node('Add', [x, graph.doubles([1], [2 ** 40, 2 ** 40])])),
  ],
  [
    'a result of 2^50 numbers',
    () =>
      graphOf((graph, x) =>
        graph.node('Add', [
          graph.node('Expand', [graph.doubles([0], [1]), graph.integers([2 ** 50])]),
          graph.node('ReduceSum', [x]),
        ]),
      ),
  ],
  [
    'an index far beyond its table',
    () => graphOf((graph, x) => graph.node('Gather', [x, graph.integers([10 ** 12])], { axis: 1 })),
  ],
  [
    'more scores than patients',
    () => graphOf((graph, x) => graph.node('Gather', [x, graph.integers([0])], { axis: 0 })),
  ],
  [
    'no score at all',
    () => {
      const graph = new OnnxGraph('h');
      const x = graph.input('x', ['N', INPUTS]);
      graph.input('gamma', [INPUTS]);
      graph.input('delta', [INPUTS]);
      graph.output('points', firstColumn(graph, x), ['N', 1]);
      return graph.encode('1');
    },
  ],
  [
    'scores that are whole numbers',
    () => graphOf((graph, x) => graph.node('Cast', [firstColumn(graph, x)], { to: 7 })),
  ],
  ['scores that are texts', () => graphOf((graph, x) => graph.node('Cast', [firstColumn(graph, x)], { to: 8 }))],
];

describe('a bundle whose model.onnx', () => {
  it.each(HOSTILE)('is or holds %s', async (_, make) => {
    await expect(predicted(make())).rejects.toMatchObject({ code: expect.stringMatching(/^BUNDLE_/) });
  });

  it('is small and sound is scored, so the cases above are refused for what they are', async () => {
    const { rows } = await predicted(graphOf(firstColumn, ['N', 1]));
    expect(rows.map(({ score }) => score)).toEqual([1, 1]);
  });
});
