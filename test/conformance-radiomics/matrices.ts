import { readFileSync } from 'node:fs';
import { cropVolume } from '../../site-agent/imaging/crop.js';
import type { ClassInput } from '../../site-agent/radiomics/class-input.js';
import { cropRoi } from '../../site-agent/radiomics/extract.js';
import { glcmCounts, gldmCounts, glszmCounts, ngtdmSums } from '../../site-agent/radiomics/features/counts.js';
import { discretize } from '../../site-agent/radiomics/features/discretize.js';
import { directions } from '../../site-agent/radiomics/features/neighbourhood.js';
import { glrlmCounts } from '../../site-agent/radiomics/features/run-counts.js';
import { prepare } from '../../site-agent/radiomics/preprocessing.js';
import { readCase } from './cases.js';
import type { Folder, Part, Place, Sheet } from './part.js';
import { settingsOf } from './pyradiomics.js';

interface BaselineSettings {
  readonly case: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** PyRadiomics' texture matrices `<case>_<class>.npy`, of the settings of the test named as the case. */
export const matrices: Part = {
  name: 'matrices',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/baseline/matrices';
    for (const file of folder.list(place, /\.npy$/)) {
      const [, name = file, featureClass = 'matrix'] = /^(.+)_([a-z]+)\.npy$/.exec(file) ?? [];
      const at = { case: name, quantity: featureClass, reference: `${place}/${file}` };
      sheet.attempt(at, () => compareMatrix(folder, sheet, at, folder.path(place, file)));
    }
  },
};

function compareMatrix(folder: Folder, sheet: Sheet, at: Place, file: string): void {
  const described = folder.list('pyradiomics/baseline', /_settings\.json$/).flatMap((settingsFile) => {
    const all = folder.json<Readonly<Record<string, BaselineSettings>>>('pyradiomics/baseline', settingsFile);
    const found = all[`${at.case}/${at.quantity}`];
    return found === undefined ? [] : [found];
  })[0];
  const build = MATRICES[at.quantity];
  const source = described === undefined ? null : readCase(folder, described.case);
  if (described === undefined || build === undefined || source === null) {
    sheet.unsupported(at, described === undefined ? 'its settings are not in the folder' : 'no such matrix or image');
    return;
  }
  const settings = settingsOf(sheet, at, JSON.stringify({ setting: described.settings }));
  if (settings === null) return;
  const { image, roi } = prepare(source, settings.preprocessing, { diagnose: false });
  const { classes } = settings.imageTypes[0]!;
  const input = { image: cropVolume(image, roi.box), roi: cropRoi(roi, roi.box), settings: classes };
  sheet.compareMap(at, readNpy(file).data, build(input));
}

type Matrix = (input: ClassInput) => Float64Array;

/** Each in the order of numpy's indices, the last axis fastest; empty columns are left out as PyRadiomics leaves them out. */
const MATRICES: Readonly<Record<string, Matrix>> = {
  glcm(input) {
    const { grid, steps, n } = begun(input);
    const counts = glcmCounts(grid, steps);
    const cell = (a: number, i: number, j: number): number =>
      counts[(a * n + i) * n + j]! + counts[(a * n + j) * n + i]!;
    const totals = steps.map((_, a) => 2 * counts.subarray(a * n * n, (a + 1) * n * n).reduce((sum, c) => sum + c, 0));
    return filled([n, n, steps.length], ([i, j, a]) => cell(a!, i!, j!) / totals[a!]!);
  },
  glrlm(input) {
    const { grid, steps, n } = begun(input);
    const { counts, longest } = glrlmCounts(grid, steps);
    const cell = (i: number, length: number, a: number): number => counts[(a * n + i) * longest + length]!;
    const lengths = [...Array(longest).keys()].filter((length) =>
      steps.some((_, a) => [...Array(n).keys()].some((i) => cell(i, length, a) > 0)),
    );
    return filled([n, lengths.length, steps.length], ([i, k, a]) => cell(i!, lengths[k!]!, a!));
  },
  glszm(input) {
    const { grid, steps, n } = begun(input);
    const { level, size, count } = glszmCounts(grid, steps);
    const sizes = [...new Set(size)].sort((a, b) => a - b);
    const out = new Float64Array(n * sizes.length);
    for (let k = 0; k < count.length; k++) out[level[k]! * sizes.length + sizes.indexOf(size[k]!)] = count[k]!;
    return out;
  },
  gldm(input) {
    const { grid, steps, n } = begun(input);
    const counts = gldmCounts(grid, steps, input.settings.gldmA);
    const width = 2 * steps.length + 1;
    const used = [...Array(width).keys()].filter((d) => [...Array(n).keys()].some((i) => counts[i * width + d]! > 0));
    return filled([n, used.length], ([i, k]) => counts[i! * width + used[k!]!]!);
  },
  ngtdm(input) {
    const { grid, steps, n } = begun(input);
    const { count, difference } = ngtdmSums(grid, steps);
    return filled([n, 3], ([i, k]) => [count[i!]!, difference[i!]!, grid.greyLevels[i!]!][k!]!);
  },
};

function begun(input: ClassInput) {
  const { grid } = discretize(input);
  return { grid, steps: directions(grid.extent, input.settings.distances, input.settings), n: grid.greyLevels.length };
}

function filled(shape: readonly number[], value: (index: readonly number[]) => number): Float64Array {
  const out = new Float64Array(shape.reduce((product, length) => product * length, 1));
  for (let k = 0; k < out.length; k++) out[k] = value(indexOf(k, shape));
  return out;
}

function indexOf(k: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = k;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

/** A .npy file of little-endian float64, whichever order it is in. */
function readNpy(file: string): { shape: number[]; data: Float64Array } {
  const bytes = readFileSync(file);
  const headerLength = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + headerLength);
  const descr = /'descr': '([^']+)'/.exec(header)?.[1];
  if (bytes.toString('latin1', 1, 6) !== 'NUMPY' || descr !== '<f8') throw new Error(`no matrix of float64: ${descr}`);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)![1]!
    .split(',')
    .map(Number)
    .filter((length) => length > 0);
  const raw = new Float64Array(
    bytes.buffer.slice(bytes.byteOffset + 10 + headerLength, bytes.byteOffset + bytes.length),
  );
  if (!header.includes("'fortran_order': True")) return { shape, data: raw };
  const data = filled(shape, (index) => {
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) at = at * shape[axis]! + index[axis]!;
    return raw[at]!;
  });
  return { shape, data };
}
