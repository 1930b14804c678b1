import type { Cohort } from '../../shared/cohort.site.js';
import { covariateTable } from './batches.site.js';
import type { CombatFitResult } from './declaration.js';
import type { BatchEstimate } from './estimate.site.js';

/**
 * Harmonizes every row whose batch has an estimate, with the row's own covariates (Johnson et al. 2007, section 3.2,
 * step 3): h = ((y - grand - x'B)/sd - gamma)/sqrt(delta) * sd + grand + x'B. Rows of other batches, untouched
 * features and missing values come out as they went in. n x p row-major.
 */
export function applyCombat(
  cohort: Cohort,
  result: CombatFitResult,
  estimates: readonly BatchEstimate[],
  output: Float64Array = Float64Array.from(cohort.features),
): Float64Array {
  const p = cohort.featureNames.length;
  const c = result.columns.length;
  const covariates = covariateTable(cohort, result.columns, result.covariateMean);
  const sd = result.pooledVariance.map(Math.sqrt);
  const scales = estimates.map((estimate) => estimate.deltaStar.map(Math.sqrt));
  const batches = cohort.batchNames.length;
  const byBatch = new Map(estimates.map((estimate, at) => [estimate.site * batches + estimate.batchIndex, at]));
  for (let row = 0; row < cohort.n; row++) {
    const at = byBatch.get(cohort.siteOf[row]! * batches + cohort.batchOf[row]!);
    if (at === undefined) continue;
    const { gammaStar } = estimates[at]!;
    const scale = scales[at]!;
    for (let j = 0; j < p; j++) {
      const gamma = gammaStar[j]!;
      const spread = scale[j]!;
      if (result.untouched[j] === 1 || (gamma === 0 && spread === 1)) continue;
      let level = result.grandMean[j]!;
      for (let k = 0; k < c; k++) level += covariates[row * c + k]! * result.coefficients[k * p + j]!;
      const standardized = (cohort.features[row * p + j]! - level) / sd[j]!;
      output[row * p + j] = ((standardized - gamma) / spread) * sd[j]! + level;
    }
  }
  return output;
}
