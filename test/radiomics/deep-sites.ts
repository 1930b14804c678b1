import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { seededRandom } from '../../shared/rng.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import type { Mask, Vec3, Volume } from '../../site-agent/imaging/volume.js';
import { testGrid, testVolume } from '../support/images.js';
import { slowCentre, slowEncoding } from './slow-patch.js';
import { convolution, sha256Of } from './tiny-models.js';

/** Sites of images so small that a hundred are extracted in a second. */
const SIZE: Vec3 = [14, 12, 9];
const GRID = testGrid(SIZE, { spacingMm: [1, 1.5, 2], origin: [-3, 7, 20] });

/** Noise, with `bright` added to the head half of the patch and taken from the other: a mean over the lesion does not see it. */
export function tinyImage(seed: string, bright = 0): Volume {
  const random = seededRandom('deep sites', seed);
  return testVolume(GRID, Int16Array, (_x, _y, z) => Math.round(30 * random.normal() + Math.sign(z - 4) * bright));
}

/** Lesion 1, larger than lesion 2. */
export const tinyMask = (shift = 0): Mask =>
  testVolume(GRID, Uint8Array, (x, y, z) => {
    if (Math.abs(x - 5 - shift) + Math.abs(y - 5) + 2 * Math.abs(z - 4) <= 4) return 1;
    return Math.abs(x - 11) + Math.abs(y - 8) <= 1 && z === 3 ? 2 : 0;
  });

export interface TinyRow {
  readonly case: string;
  readonly phase: string;
  readonly timepoint?: string;
  readonly date?: string;
  readonly label?: number;
  readonly reader?: string;
  /** Null: the file is no image. */
  readonly image: Volume | null;
  readonly mask: Mask;
}

/** images.csv with its images, cases.csv with the columns that are given, cohort.yaml. */
export function writeTinySite(
  folder: string,
  rows: readonly TinyRow[],
  cases: readonly Record<string, unknown>[],
): void {
  mkdirSync(path.join(folder, 'images'), { recursive: true });
  const write = (name: string, content: string | Uint8Array) => writeFileSync(path.join(folder, name), content);
  const lines = rows.map(({ case: id, phase, timepoint = '', date = '', label = 1, reader = '', image, mask }, at) => {
    const names = [`images/${at}.nii`, `images/${at}-mask.nii`];
    write(names[0]!, image === null ? 'no image' : writeNifti(image, { gzip: false }));
    write(names[1]!, writeNifti(mask, { gzip: false }));
    return [id, phase, timepoint, date, label, reader, ...names].join(',');
  });
  write('images.csv', `case,phase,timepoint,date,label,reader,image,mask\n${lines.join('\n')}\n`);
  const columns = Object.keys(cases[0]!);
  write('cases.csv', `${[columns, ...cases.map((one) => columns.map((name) => one[name]))].join('\n')}\n`);
  write('cohort.yaml', `concordat: 1\ntable: cases.csv\nid: ${columns[0]}\nimages: {table: images.csv}\n`);
}

const random = seededRandom('deep sites', 'weights');
/** Three kernels as large as the patch: the difference of its halves, and two of chance. */
export const WEIGHTS = [
  ...Array.from({ length: 24 }, (_, at) => (at < 12 ? -1 : 1) / 12),
  ...Array.from({ length: 48 }, () => random.normal()),
];
export const WINDOW = { centre: 0, width: 400 };
export const PATCH = { size: [4, 3, 2], spacingMm: [1, 1.5, 3], outside: -1000 };
export const MODEL = convolution(['N', 1, 'D', 'H', 'W'], [2, 3, 4], WEIGHTS);
export const OTHER_MODEL = convolution(
  ['N', 1, 'D', 'H', 'W'],
  [2, 3, 4],
  WEIGHTS.map((weight) => -weight),
);

/** As a study has it. */
export const encoder = (changes: object = {}) => ({
  name: 'tiny',
  sha256: sha256Of(MODEL),
  features: 3,
  view: 'volume',
  ...PATCH,
  intensity: { type: 'window', ...WINDOW },
  ...changes,
});

export function putModel(folder: string, model: Uint8Array = MODEL, name = 'tiny.onnx'): void {
  mkdirSync(path.join(folder, 'models'), { recursive: true });
  writeFileSync(path.join(folder, 'models', name), model);
}

/** Features beside the deep ones. */
export const SETTINGS = { imageType: { Original: {} }, featureClass: { firstorder: ['Mean'] } };

/** One thread beside the test's own, from the build. */
export const how = {
  threads: 1,
  threadFile: pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js')),
};

/** What the slow twin says of the region of a label. */
export const twin = (image: Volume, mask: Mask, label = 1) =>
  slowEncoding(image, slowCentre(mask, label), { ...PATCH, window: WINDOW }, WEIGHTS);
