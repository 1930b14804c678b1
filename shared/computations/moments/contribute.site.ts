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
      const columns = observedColumns(view, fit, predictors);
      if (columns.n === 0) continue;
      if (broadcast.phase === 'exponents') {
        const [exponents, counts] = magnitudes(columns, predictors);
        contribution.set(`${fit.id}/exponents`, exponents);
        contribution.set(`${fit.id}/counts`, counts);
      } else if (broadcast.phase === 'sums') {
        const { exponents } = broadcast.fits[index]!;
        const sums = columns.bySite.map((sites, j) => {
          const scale = powerOfTwo(-exponents[j]!);
          return scale * sumOf(sites.flat());
        });
        contribution.set(`${fit.id}/sums`, Float64Array.from(sums));
      } else {
        const { exponents, mean } = broadcast.fits[index]!;
        const central = new Float64Array(predictors.length);
        const within = new Float64Array(predictors.length);
        for (const [j, sites] of columns.bySite.entries()) {
          const scale = powerOfTwo(-exponents[j]!);
          central[j] = squaresAbout(sites.flat(), mean[j]!, scale);
          for (const values of sites)
            if (values.length > 0) within[j]! += squaresAbout(values, sumOf(values) / values.length, scale);
        }
        contribution.set(`${fit.id}/central`, central);
        if (fit.inner === null) contribution.set(`${fit.id}/within`, within);
      }
    }
    return contribution;
  },
};

interface ObservedColumns {
  readonly n: number;
  /** Per predictor and site label, the observed values in row order. */
  readonly bySite: readonly (readonly number[])[][];
}

function observedColumns(view: SiteView, fit: Fit, predictors: readonly Predictor[]): ObservedColumns {
  const { cohort } = view;
  const rows = rowsOfFit(cohort, fit);
  const table = predictorTable(cohort, view.harmonized(fit), predictors);
  const width = predictors.length;
  const bySite = predictors.map(() => cohort.sites.map((): number[] => []));
  let n = 0;
  for (let row = 0; row < cohort.n; row++) {
    if (rows[row] === 0) continue;
    n++;
    for (let j = 0; j < width; j++) {
      const value = table[row * width + j]!;
      if (!Number.isNaN(value)) bySite[j]![cohort.siteOf[row]!]!.push(value);
    }
  }
  return { n, bySite };
}

/** One mark per site label and predictor; counts are n, then the observed values of each predictor. */
function magnitudes(columns: ObservedColumns, predictors: readonly Predictor[]): [Float64Array, Float64Array] {
  const exponents = new Float64Array(predictors.length * EXPONENT_BINS);
  const counts = new Float64Array(predictors.length + 1);
  counts[0] = columns.n;
  for (const [j, sites] of columns.bySite.entries())
    for (const values of sites) {
      if (values.length === 0) continue;
      counts[j + 1]! += values.length;
      let largest = 0;
      for (const value of values) largest = Math.max(largest, Math.abs(value));
      markExponent(exponents, j, largest, predictors[j]!.name);
    }
  return [exponents, counts];
}

function sumOf(values: readonly number[]): number {
  const sum = new CompensatedSum();
  for (const value of values) sum.add(value);
  return sum.value;
}

function squaresAbout(values: readonly number[], center: number, scale: number): number {
  let sum = 0;
  for (const value of values) {
    const deviation = (value - center) * scale;
    sum += deviation * deviation;
  }
  return sum;
}
