import { roiOf } from '../../site-agent/imaging/roi.js';
import { volumeOf } from '../../site-agent/imaging/volume.js';
import { type Counts, merged } from '../../site-agent/radiomics/ibsi/counts.js';
import {
  coOccurrence,
  dependences,
  IN_SLICE,
  IN_SPACE,
  runLengths,
  type ToneDifferences,
  toneDifferences,
  zones,
} from '../../site-agent/radiomics/ibsi/matrices.js';
import { type RegionLevels, regionLevels } from '../../site-agent/radiomics/ibsi/region-levels.js';
import { type IbsiSettings, ibsiSettingsSchema } from '../../site-agent/radiomics/ibsi/settings.js';
import { testGrid } from './images.js';

/** One configuration of IBSI's `configurations.json`. */
export interface Configuration {
  readonly mode: string;
  readonly interpolation: string;
  readonly resegmentation_HU: readonly [number, number] | string;
  readonly outlier_filter: string;
  readonly texture_IH_discretisation: string;
  readonly ivh: string;
}

const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)![1]);

/** The settings that IBSI describes a configuration by, read from its words. @throws where a word is not known. */
export function settingsOf(configuration: Configuration): IbsiSettings {
  const { mode, interpolation, resegmentation_HU: range, outlier_filter: outliers } = configuration;
  const kernel = (word: string): string => {
    if (!/^(bi|tri)(linear|cubic)$/.test(word)) throw new Error(`interpolation '${word}' is not known`);
    return word.endsWith('linear') ? 'linear' : 'cubic';
  };
  const steps = /([\d.]+)x([\d.]+)(?:x([\d.]+))? mm/.exec(interpolation);
  const bins = (text: string): object => {
    if (/^FBS/.test(text)) return { method: 'fbs', width: numberIn(text, /^FBS ([\d.]+)/) };
    if (/^FBN/.test(text)) return { method: 'fbn', bins: numberIn(text, /^FBN (\d+)/) };
    if (/^no discretisation/.test(text)) return { method: 'discrete' };
    throw new Error(`discretisation '${text}' is not known`);
  };
  return ibsiSettingsSchema.parse({
    dimensions: mode.startsWith('3D') ? ['3D'] : ['2D', '2.5D'],
    ...(interpolation === 'no'
      ? {}
      : {
          interpolation: {
            spacingMm: [Number(steps![1]), Number(steps![2]), steps![3] === undefined ? null : Number(steps![3])],
            method: kernel(/^\w+/.exec(interpolation)![0]),
            round: interpolation.includes('rounded to nearest integer'),
            roiMethod: kernel(/ROI (\w+)/.exec(interpolation)![1]!),
            roiThreshold: numberIn(interpolation, /([\d.]+)$/),
          },
        }),
    resegmentation: {
      ...(typeof range === 'string' ? {} : { range }),
      ...(outliers === 'no' ? {} : { sigma: numberIn(outliers, /^([\d.]+) sigma/) }),
    },
    discretisation: bins(configuration.texture_IH_discretisation),
    ivh: bins(configuration.ivh),
    diagnostics: true,
  });
}

/**
 * IBSI's rule: the value, rounded to three significant digits, is within the published tolerance. Diagnostic values are published with all
 * their digits, and are compared as they are.
 */
export function withinTolerance(value: number, reference: number, tolerance: number): boolean {
  const isRounded = Number(reference.toPrecision(3)) === reference;
  const compared = isRounded ? Number(value.toPrecision(3)) : value;
  return Math.abs(compared - reference) <= tolerance + 1e-9 * Math.abs(reference);
}

/** The levels of a region: the voxels of `mask`, of which those with a level above 0 have intensities. */
export function levelsOf(size: readonly [number, number, number], levels: Int32Array, mask: Uint8Array): RegionLevels {
  const grid = testGrid(size);
  const intensity = roiOf(
    volumeOf(
      grid,
      levels.map((level) => (level > 0 ? 1 : 0)),
    ),
  );
  return regionLevels(
    roiOf(volumeOf(grid, mask)),
    intensity,
    levels.filter((level) => level > 0),
    Math.max(...levels),
  );
}

/** A matrix as counts by 'i j'. */
export const cellsOf = ({ i, j, n }: Counts): Record<string, number> =>
  Object.fromEntries(Array.from(n, (count, k) => [`${i[k]} ${j[k]}`, count]));

/** An NGTDM as [n, s] by level. */
export const tonesOf = (matrix: ToneDifferences): Record<string, readonly [number, number]> =>
  Object.fromEntries(Array.from(matrix, ([level, { n, s }]) => [level, [n, s]]));

/** A matrix as IBSI publishes it: cells i, j, count; in an NGTDM i, summed difference, count. */
export interface PublishedMatrix {
  readonly matrix: string;
  readonly direction?: readonly [number, number, number] | null;
  /** From 1; without it the matrix is of the whole region. */
  readonly slice?: number | null;
  readonly entries: readonly (readonly [number, number, number])[];
}

const KINDS = [
  ['co-occurrence', 'glcm'],
  ['run length', 'glrlm'],
  ['size zone', 'glszm'],
  ['distance zone', 'gldzm'],
  ['tone difference', 'ngtdm'],
  ['dependence', 'ngldm'],
] as const;

/** The cells of a published matrix and ours; counts are exact, the summed differences of an NGTDM are published with three digits. */
export function publishedMatrix(
  { matrix, direction, slice, entries }: PublishedMatrix,
  region: RegionLevels,
): { want: Map<string, number>; got: Map<string, number>; tolerance: number } {
  const kind = KINDS.find(([words]) => matrix.includes(words))![1];
  const part = slice == null ? region.whole : region.slices[slice - 1]!;
  const all = matrix.includes('2D') ? IN_SLICE : IN_SPACE;
  if (kind === 'ngtdm') {
    const rows = (triples: Iterable<readonly [number, number, number]>): Map<string, number> =>
      new Map([...triples].flatMap(([i, s, n]) => [[`s of ${i}`, s] as const, [`n of ${i}`, n] as const]));
    const own = Array.from(toneDifferences(part, all), ([i, { n, s }]) => [i, s, n] as const);
    return { want: rows(entries), got: rows(own), tolerance: 0.005 };
  }
  const directions = direction ? [direction] : all;
  const build = {
    glcm: () => merged(directions.map((d) => coOccurrence(part, d))),
    glrlm: () => merged(directions.map((d) => runLengths(part, d))),
    glszm: () => zones(part, all).sizes,
    gldzm: () => zones(part, all).distances,
    ngldm: () => dependences(part, all, 0),
  };
  return {
    want: new Map(entries.map(([i, j, n]) => [`${i} ${j}`, n])),
    got: new Map(Object.entries(cellsOf(build[kind]()))),
    tolerance: 0,
  };
}
