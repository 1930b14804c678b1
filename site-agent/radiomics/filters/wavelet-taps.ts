import { ConcordatError } from '../../../shared/errors.js';
import { BIORTHOGONAL, DISCRETE_MEYER } from './taps-biorthogonal.js';
import { DAUBECHIES } from './taps-daubechies.js';
import { SYMLETS_AND_COIFLETS } from './taps-symlets-coiflets.js';

/** The four filters of a discrete wavelet, all of one even length. */
export interface WaveletTaps {
  readonly decompositionLow: readonly number[];
  readonly decompositionHigh: readonly number[];
  readonly reconstructionLow: readonly number[];
  readonly reconstructionHigh: readonly number[];
}

/** The names of the 106 discrete wavelets of PyWavelets 1.1.1: `haar`, `db1`–`db38`, `sym2`–`sym20`, `coif1`–`coif17`, `bior…`, `rbio…`, `dmey`. */
export const WAVELET_NAMES: readonly string[] = [
  'haar',
  ...Object.keys(DAUBECHIES),
  ...Object.keys(SYMLETS_AND_COIFLETS),
  ...Object.keys(BIORTHOGONAL),
  ...Object.keys(BIORTHOGONAL).map((name) => name.replace('bior', 'rbio')),
  'dmey',
];

const backwards = (taps: readonly number[]): number[] => [...taps].reverse();
const alternating = (taps: readonly number[], first: 1 | -1): number[] =>
  taps.map((tap, k) => (k % 2 === 0 ? first : -first) * tap);

/** @throws ConcordatError IMAGE_SETTINGS_INVALID where no discrete wavelet has the name. */
export function waveletTaps(name: string): WaveletTaps {
  const [decompositionLow, reconstructionLow] = lowPass(name);
  return {
    decompositionLow,
    decompositionHigh: alternating(reconstructionLow, -1),
    reconstructionLow,
    reconstructionHigh: alternating(decompositionLow, 1),
  };
}

/** The taps that PyWavelets filters float32 images with; it scales its table of coiflets by √2 in float32. */
export function float32Taps(name: string): WaveletTaps {
  const { fround } = Math;
  const rounded = (tap: number): number =>
    name.startsWith('coif') ? fround(fround(tap / Math.SQRT2) * fround(Math.SQRT2)) : fround(tap);
  const taps = waveletTaps(name);
  return {
    decompositionLow: taps.decompositionLow.map(rounded),
    decompositionHigh: taps.decompositionHigh.map(rounded),
    reconstructionLow: taps.reconstructionLow.map(rounded),
    reconstructionHigh: taps.reconstructionHigh.map(rounded),
  };
}

function lowPass(name: string): readonly [readonly number[], readonly number[]] {
  const pair = own(BIORTHOGONAL, name.replace(/^rbio/, 'bior'));
  if (pair !== undefined) return name.startsWith('rbio') ? [backwards(pair[1]), backwards(pair[0])] : pair;
  const single =
    name === 'dmey'
      ? DISCRETE_MEYER
      : (own(DAUBECHIES, name === 'haar' ? 'db1' : name) ?? own(SYMLETS_AND_COIFLETS, name));
  if (single === undefined)
    throw new ConcordatError('IMAGE_SETTINGS_INVALID', `no discrete wavelet is called ${JSON.stringify(name)}`);
  return [single, backwards(single)];
}

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
