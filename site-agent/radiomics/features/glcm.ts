import { ConcordatError } from '../../../shared/errors.js';
import type { Vec3 } from '../../imaging/volume.js';
import type { ClassInput, WeightingNorm } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, MeanOf, type Wanted } from './collect.js';
import { glcmCounts } from './counts.js';
import { type Discretized, discretize } from './discretize.js';
import { type AngleFeatures, angleFeatures } from './glcm-angle.js';
import { stepLengthMm, TABLE_CELLS } from './glrlm.js';
import type { LevelGrid } from './level-grid.js';
import { type Eigenvalue, maximalCorrelation } from './maximal-correlation.js';
import { type Direction, directions } from './neighbourhood.js';

/**
 * Grey-level co-occurrence features as PyRadiomics defines them: one matrix per direction and the mean of each feature over those that
 * hold a pair, or with a weighting norm one matrix that is their weighted sum.
 */
export function glcm(input: ClassInput, wanted: Wanted = null, binned: Discretized = discretize(input)): FeatureSet {
  const { grid } = binned;
  const means = new GlcmMeans(grid.greyLevels, wanted);
  const met = addDirections(input, grid, directions(grid.extent, input.settings.distances, input.settings), means);
  return means.features(met.length === 1 && !met[0]);
}

/** Levels that occur; a matrix of so many squared takes half a gigabyte, and its eigenvalues hours. */
const MATRIX_LEVELS_MAX = 8192;

/**
 * Adds the matrices of the steps to the means.
 * @returns for each step whether it met a pair
 * @throws ConcordatError IMAGE_LEVELS_TOO_MANY
 */
export function addDirections(
  { image, settings }: Pick<ClassInput, 'image' | 'settings'>,
  grid: LevelGrid,
  steps: readonly Direction[],
  means: GlcmMeans,
): boolean[] {
  const n = grid.greyLevels.length;
  if (n > MATRIX_LEVELS_MAX)
    throw new ConcordatError(
      'IMAGE_LEVELS_TOO_MANY',
      `the region has ${n} grey levels, co-occurrence is of at most ${MATRIX_LEVELS_MAX}`,
    );
  const met: boolean[] = [];
  const merged = settings.weightingNorm === null ? null : new Float64Array(n * n);
  const matrix = merged ?? new Float64Array(n * n);
  for (let from = 0; from < steps.length; ) {
    const some = steps.slice(from, from + Math.max(1, Math.floor(TABLE_CELLS / (n * n))));
    const counts = glcmCounts(grid, some);
    for (let a = 0; a < some.length; a++) {
      const weight = merged === null ? 1 : pairWeight(some[a]!, image.spacingMm, settings.weightingNorm!);
      if (merged === null) matrix.fill(0);
      addCounts(matrix, counts, a * n * n, n, settings.symmetricalGLCM, weight);
      if (merged === null) met.push(means.add(matrix));
    }
    from += some.length;
  }
  if (merged !== null) met.push(means.add(merged));
  return met;
}

/** Adds a direction's counts, times the weight, to the matrix; with its transpose where pairs count both ways. */
function addCounts(
  matrix: Float64Array,
  counts: Uint32Array,
  at: number,
  n: number,
  symmetrical: boolean,
  weight: number,
): void {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const both = counts[at + i * n + j]! + (symmetrical ? counts[at + j * n + i]! : 0);
      if (both !== 0) matrix[i * n + j]! += weight * both;
    }
}

/** exp(−length²) of the step in mm, or 1. */
function pairWeight(step: Direction, spacingMm: Vec3, norm: WeightingNorm): number {
  if (norm === 'no_weighting') return 1;
  const length = stepLengthMm(step, spacingMm, norm);
  return Math.exp(-length * length);
}

/** Means of the features over matrices that come one at a time; an empty one counts nothing. */
export class GlcmMeans {
  private readonly over = new Map<keyof AngleFeatures, MeanOf>();
  /** The second eigenvalue of each matrix that held a pair, of which MCC is made; none where the whole region has one level. */
  readonly correlations: Eigenvalue[] = [];
  private readonly withMcc: boolean;

  /** @param whole grey levels of the whole region, where the matrices are of a part of it */
  constructor(
    private readonly greyLevels: Int32Array,
    private readonly wanted: Wanted,
    private readonly whole: Int32Array = greyLevels,
  ) {
    this.withMcc = wanted === null || wanted.includes('MCC');
  }

  /**
   * @param matrix counts, row-major over the grey levels; normalised in place
   * @returns whether it held a pair
   */
  add(matrix: Float64Array): boolean {
    let total = 0;
    for (let k = 0; k < matrix.length; k++) total += matrix[k]!;
    if (total === 0) return false;
    for (let k = 0; k < matrix.length; k++) if (matrix[k] !== 0) matrix[k]! /= total;
    const one = angleFeatures(matrix, this.greyLevels, this.whole.at(-1) ?? 1);
    for (const [name, value] of Object.entries(one.features) as [keyof AngleFeatures, number][]) {
      let mean = this.over.get(name);
      if (mean === undefined) {
        mean = new MeanOf();
        this.over.set(name, mean);
      }
      mean.add(value);
    }
    if (this.withMcc && this.whole.length > 1)
      this.correlations.push(maximalCorrelation(matrix, one.px, one.py, this.greyLevels.length, this.whole.length));
    return true;
  }

  /** @param marked there is one matrix and it is empty: PyRadiomics leaves out no last one, and marks it with NaN */
  features(marked = false): FeatureSet {
    const flat = this.whole.length < 2;
    const values: Record<string, number> = { MCC: !flat ? mccOf(this.correlations) : marked ? Number.NaN : 1 };
    for (const name of GLCM_NAMES) values[name] = this.over.get(name)?.value ?? Number.NaN;
    // Of a single level there are no differences to sum, not even of nothing.
    if (marked && flat) values['InverseVariance'] = 0;
    return collect('glcm', values, this.wanted, 'no two voxels of the region are at the distances asked for');
  }
}

/**
 * Mean of √λ over the directions. As in numpy, a negative λ is left out while all eigenvalues are real, and counts 0 otherwise.
 * @param complex whether numpy's array of eigenvalues, which may be of more matrices than these, is complex
 */
export function mccOf(correlations: readonly Eigenvalue[], complex = correlations.some(({ im }) => im !== 0)): number {
  const mean = new MeanOf();
  for (const { re, im } of correlations)
    mean.add(complex ? Math.sqrt(Math.max(0, (Math.hypot(re, im) + re) / 2)) : Math.sqrt(re));
  return mean.value;
}

const GLCM_NAMES: readonly (keyof AngleFeatures)[] = [
  'Autocorrelation',
  'ClusterProminence',
  'ClusterShade',
  'ClusterTendency',
  'Contrast',
  'Correlation',
  'DifferenceAverage',
  'DifferenceEntropy',
  'DifferenceVariance',
  'Id',
  'Idm',
  'Idmn',
  'Idn',
  'Imc1',
  'Imc2',
  'InverseVariance',
  'JointAverage',
  'JointEnergy',
  'JointEntropy',
  'MaximumProbability',
  'SumAverage',
  'SumEntropy',
  'SumSquares',
];
