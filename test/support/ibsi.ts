import { roiOf } from '../../site-agent/imaging/roi.js';
import { type Mask, type Volume, volumeOf } from '../../site-agent/imaging/volume.js';
import type { Counts } from '../../site-agent/radiomics/ibsi/counts.js';
import { type LevelGrid, levelGrid } from '../../site-agent/radiomics/ibsi/level-grid.js';
import type { ToneDifferences } from '../../site-agent/radiomics/ibsi/matrices.js';
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

/** IBSI's rule: the value, rounded to three significant digits, is within the published tolerance. Counts may also agree as they are. */
export function withinTolerance(value: number, reference: number, tolerance: number): boolean {
  const allowed = tolerance + 1e-9 * Math.abs(reference);
  return [Number(value.toPrecision(3)), value].some((candidate) => Math.abs(candidate - reference) <= allowed);
}

/** A grid whose regions are the voxels of `mask`, and of those with a level above 0. */
export function gridOfLevels(size: readonly [number, number, number], levels: Int32Array, mask: Uint8Array): LevelGrid {
  const grid = testGrid(size);
  const morphological = roiOf(volumeOf(grid, mask));
  const intensity = roiOf(
    volumeOf(
      grid,
      levels.map((level) => (level > 0 ? 1 : 0)),
    ) as Volume,
    1,
  );
  return levelGrid(
    morphological,
    intensity,
    levels.filter((level) => level > 0),
    Math.max(...levels),
  );
}

/** A matrix as counts by 'i j'. */
export const cellsOf = ({ i, j, n }: Counts): Record<string, number> =>
  Object.fromEntries(Array.from(n, (count, k) => [`${i[k]} ${j[k]}`, count]));

/** An NGTDM as [n, s] by level. */
export const tonesOf = ({ n, s }: ToneDifferences): Record<string, readonly [number, number]> =>
  Object.fromEntries(
    Array.from(n, (count, k) => [k + 1, [count, s[k]!] as const] as const).filter(([, [count]]) => count > 0),
  );

export const maskOf = (volume: Volume): Mask => ({ ...volume, data: Uint8Array.from(volume.data) });
