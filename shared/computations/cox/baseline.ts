import { fitContributors } from '../../fits.js';
import { STATISTIC, type TensorSpec } from '../../tensors.js';
import type { CoxSpec, ModelSummary } from '../frame.js';

/**
 * The declared baseline of a stratified Cox model: increments of one cumulative hazard on a fixed time grid up to the
 * study's horizon, summed over the training sites. In interval g the increment is
 *
 *   deaths_g / mean over the interval of sum over patients at risk of exp(score)
 *
 * which is Breslow's estimator (1974) with the risk set averaged over the interval instead of taken at every event time,
 * so that no event time leaves. It belongs to a score of 0, i.e. to the mean of all standardized predictors.
 */
export interface BaselinePoint {
  /** Index into spec.fits. */
  readonly fit: number;
  readonly intervals: number;
  /** Over all predictors, standardized scale. */
  readonly beta: Float64Array;
}

export type Baseline = NonNullable<ModelSummary['baseline']>;

/** Coarse enough that an interval says little of anyone. */
export const MOST_INTERVALS = 20;
const EVENTS_PER_INTERVAL = 5;

/** Few enough intervals that each holds several events on average, and no more than 20. */
export function intervalsFor(spec: CoxSpec, events: number): number {
  const perInterval = Math.max(EVENTS_PER_INTERVAL, spec.frame.minimumCount);
  return Math.max(1, Math.min(MOST_INTERVALS, Math.floor(events / perInterval)));
}

export function baselineTensor(spec: CoxSpec, point: BaselinePoint): string {
  return `${spec.fits[point.fit]!.id}/baseline`;
}

export function baselineLeaves(spec: CoxSpec, points: readonly BaselinePoint[]): TensorSpec[] {
  return points.map((point) => {
    const fit = spec.fits[point.fit]!;
    return {
      name: baselineTensor(spec, point),
      kind: 'cox.baseline',
      shape: [2, point.intervals],
      ...STATISTIC,
      contributors: fitContributors(fit, spec.frame.cells),
      visibility: fit.sites.length < spec.frame.minSites ? 'site' : 'total',
      momentColumns: 0,
      fold: fit.outer,
      meaning: `deaths, and hazard-weighted time at risk, in ${point.intervals} equal intervals up to the horizon`,
    };
  });
}

/** `sums`: deaths per interval, then the risk set's mean sum per interval. Null where nobody is followed to the horizon. */
export function baselineOf(spec: CoxSpec, point: BaselinePoint, sums: Float64Array): Baseline | null {
  const { endpoint } = spec.frame;
  if (endpoint.type !== 'survival' || endpoint.horizon === null) return null;
  const times = new Float64Array(point.intervals);
  const cumulativeHazard = new Float64Array(point.intervals);
  let sum = 0;
  for (let g = 0; g < point.intervals; g++) {
    const atRisk = sums[point.intervals + g]!;
    if (!(atRisk > 0)) return null;
    sum += sums[g]! / atRisk;
    times[g] = (endpoint.horizon * (g + 1)) / point.intervals;
    cumulativeHazard[g] = sum;
  }
  return { horizon: endpoint.horizon, unit: endpoint.unit, hazardAtHorizon: sum, times, cumulativeHazard };
}
