import { rowsOfFit, type SiteView } from '../../cohort.site.js';
import type { Fit } from '../../fits.js';
import { powerOfTwo } from '../../fixed-point.js';
import { CompensatedSum, EXPONENT_BINS, markExponent } from '../../scaling.js';
import type { SiteHalf } from '../computation.js';
import { predictorTable } from '../design.site.js';
import { type MomentsSpec, type Predictor, predictorsOf } from '../frame.js';
import type { MomentsBroadcast } from './declaration.js';

/** Adds the observed values of the fit's rows up, column by column in row order. */
export const momentsSite: SiteHalf<MomentsSpec, MomentsBroadcast> = {
  name: 'moments',
  contribute(spec, broadcast, view) {
    const predictors = predictorsOf(spec.frame, true);
    const contribution = new Map<string, Float64Array>();
    for (const [index, fit] of spec.fits.entries()) {
      const own = rowsBySite(view, fit);
      if (own.length === 0) continue;
      const table = predictorTable(view.cohort, view.harmonized(fit), predictors);
      const put = (name: string, values: Float64Array) => contribution.set(`${fit.id}/${name}`, values);
      if (broadcast.phase === 'exponents') magnitudes(table, own, predictors, put);
      else if (broadcast.phase === 'sums') put('sums', sums(table, own, broadcast.fits[index]!.exponents));
      else squares(table, own, broadcast.fits[index]!, fit.inner === null, put);
    }
    return contribution;
  },
};

type Put = (name: string, values: Float64Array) => void;

/** The fit's training rows, one list per site label that has any. */
function rowsBySite(view: SiteView, fit: Fit): number[][] {
  const { cohort } = view;
  const mask = rowsOfFit(cohort, fit);
  const rows = cohort.sites.map((): number[] => []);
  for (let row = 0; row < cohort.n; row++) if (mask[row] === 1) rows[cohort.siteOf[row]!]!.push(row);
  return rows.filter((list) => list.length > 0);
}

/** One mark per site label and predictor; counts are n, then the observed values of each predictor. */
function magnitudes(table: Float64Array, own: number[][], predictors: readonly Predictor[], put: Put): void {
  const width = predictors.length;
  const exponents = new Float64Array(width * EXPONENT_BINS);
  const counts = new Float64Array(width + 1);
  for (const rows of own) {
    counts[0]! += rows.length;
    for (let j = 0; j < width; j++) {
      let largest = 0;
      let observed = 0;
      for (const row of rows) {
        const value = table[row * width + j]!;
        if (Number.isNaN(value)) continue;
        observed++;
        largest = Math.max(largest, Math.abs(value));
      }
      counts[j + 1]! += observed;
      if (observed > 0) markExponent(exponents, j, largest, predictors[j]!.name);
    }
  }
  put('exponents', exponents);
  put('counts', counts);
}

function sums(table: Float64Array, own: number[][], exponents: Int32Array): Float64Array {
  const width = exponents.length;
  return Float64Array.from(exponents, (exponent, j) => {
    const sum = new CompensatedSum();
    for (const rows of own)
      for (const row of rows) {
        const value = table[row * width + j]!;
        if (!Number.isNaN(value)) sum.add(value);
      }
    return sum.value * powerOfTwo(-exponent);
  });
}

function squares(
  table: Float64Array,
  own: number[][],
  { exponents, mean }: { readonly exponents: Int32Array; readonly mean: Float64Array },
  withSites: boolean,
  put: Put,
): void {
  const width = exponents.length;
  const central = new Float64Array(width);
  const within = new Float64Array(width);
  for (let j = 0; j < width; j++) {
    const scale = powerOfTwo(-exponents[j]!);
    for (const rows of own) {
      central[j]! += squaresAbout(table, width, j, rows, mean[j]!, scale);
      if (withSites) within[j]! += squaresAbout(table, width, j, rows, siteMean(table, width, j, rows), scale);
    }
  }
  put('central', central);
  if (withSites) put('within', within);
}

function siteMean(table: Float64Array, width: number, column: number, rows: readonly number[]): number {
  const sum = new CompensatedSum();
  let observed = 0;
  for (const row of rows) {
    const value = table[row * width + column]!;
    if (Number.isNaN(value)) continue;
    observed++;
    sum.add(value);
  }
  return observed > 0 ? sum.value / observed : 0;
}

function squaresAbout(
  table: Float64Array,
  width: number,
  column: number,
  rows: readonly number[],
  center: number,
  scale: number,
): number {
  let sum = 0;
  for (const row of rows) {
    const value = table[row * width + column]!;
    if (Number.isNaN(value)) continue;
    const deviation = (value - center) * scale;
    sum += deviation * deviation;
  }
  return sum;
}
