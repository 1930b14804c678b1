import { type Cohort, rowsOfFit } from '../../shared/cohort.site.js';
import type { SiteHalf } from '../../shared/computations/computation.js';
import type { CombatSpec } from '../../shared/computations/frame.js';
import { invalid } from '../../shared/computations/received.js';
import { ConcordatError } from '../../shared/errors.js';
import type { Fit } from '../../shared/fits.js';
import { powerOfTwo } from '../../shared/fixed-point.js';
import { packedIndex, packedSize } from '../../shared/linalg.js';
import { EXPONENT_BINS, markExponent } from '../../shared/scaling.js';
import { type Batch, batchesOf, centre, covariateTable, observedRows } from './batches.site.js';
import { type CombatBroadcast, type CombatFitTask, combatColumns, countsLayout } from './declaration.js';

/** A fit's rows by batch, with the covariate columns: the only thing the phases share. */
interface Local {
  readonly cohort: Cohort;
  readonly fit: Fit;
  readonly batches: readonly Batch[];
  readonly columns: readonly string[];
  readonly p: number;
  readonly c: number;
}

/** Sums over the batches of this holder. Site means enter only as deviations from them or inside a sum over batches. */
export const combatSite: SiteHalf<CombatSpec, CombatBroadcast> = {
  name: 'combat',
  contribute(spec, broadcast, view) {
    const { cohort } = view;
    const columns = combatColumns(spec).map((column) => column.name);
    const contribution = new Map<string, Float64Array>();
    for (const [index, fit] of spec.fits.entries()) {
      const batches = batchesOf(cohort, rowsOfFit(cohort, fit));
      if (batches.length === 0) continue;
      const local = { cohort, fit, batches, columns, p: cohort.featureNames.length, c: columns.length };
      const put = (name: string, values: Float64Array) => contribution.set(`${fit.id}/${name}`, values);
      switch (broadcast.phase) {
        case 'scales':
          scales(local, put);
          break;
        case 'covariates':
          put('covariates', covariateSums(local, broadcast.fits[index]!));
          break;
        case 'gram': {
          const task = broadcast.fits[index]!;
          if (local.c > 0 && task.covariateMean.length === 0) put('covariates', covariateSums(local, task));
          gram(local, task, put);
          break;
        }
        case 'residuals': {
          const task = broadcast.fits[index]!;
          residuals(local, task, task.coefficients, put);
          break;
        }
      }
    }
    return contribution;
  },
};

type Put = (name: string, values: Float64Array) => void;

function scales(local: Local, put: Put): void {
  const { cohort, fit, batches, columns, p, c } = local;
  const at = countsLayout(p, c);
  const counts = new Float64Array(at.size);
  const exponents = new Float64Array(2 * (p + c) * EXPONENT_BINS);
  const x = covariateTable(cohort, columns, null);
  const problems: string[] = [];
  for (const { rows, label } of batches) {
    counts[at.n]! += rows.length;
    counts[at.batches]! += 1;
    if (rows.length === 1) counts[at.singles]! += 1;
    for (let j = 0; j < p; j++) {
      const name = cohort.featureNames[j]!;
      const observed = observedRows(cohort.features, p, j, rows);
      counts[at.observed + j]! += observed.length;
      if (observed.length === 0) {
        problems.push(`feature "${name}" has no value in batch "${label}" of fit ${fit.id}`);
        continue;
      }
      const { constant, largest, largestDeviation } = centre(cohort.features, p, j, observed);
      // A single row is constant too, but it is refused by its batch's size.
      if (constant) counts[at.constant + j]! += 1;
      markExponent(exponents, j, largest, name);
      markExponent(exponents, p + j, largestDeviation, name);
    }
    for (let k = 0; k < c; k++) {
      const observed = observedRows(x, c, k, rows);
      counts[at.covariateObserved + k]! += observed.length;
      for (const row of observed) if (x[row * c + k] !== 0) counts[at.covariateNonZero + k]! += 1;
      const { largest, largestDeviation } = centre(x, c, k, observed);
      markExponent(exponents, 2 * p + k, largest, columns[k]!);
      markExponent(exponents, 2 * p + c + k, largestDeviation, columns[k]!);
    }
  }
  if (problems.length > 0)
    throw new ConcordatError('COHORT_FEATURE_UNOBSERVED', problems[0]!, {
      problems: problems.map((message) => ({ message })),
    });
  put('exponents', exponents);
  put('counts', counts);
}

function covariateSums(local: Local, task: CombatFitTask): Float64Array {
  const { cohort, batches, columns, c } = local;
  const x = covariateTable(cohort, columns, null);
  const sums = new Float64Array(c);
  for (const { rows } of batches)
    for (let k = 0; k < c; k++) {
      const observed = observedRows(x, c, k, rows);
      const total = observed.length * centre(x, c, k, observed).mean;
      sums[k]! += total * powerOfTwo(-task.covariateExponents[k]!);
    }
  return sums;
}

/** Deviations of all covariate columns from their means over `rows`, scaled: rows x c row-major; and those means. */
function centredCovariates(x: Float64Array, c: number, rows: readonly number[], scale: Float64Array) {
  const deviations = new Float64Array(rows.length * c);
  const means = new Float64Array(c);
  for (let k = 0; k < c; k++) {
    const column = centre(x, c, k, rows);
    means[k] = column.mean;
    for (let i = 0; i < rows.length; i++) deviations[i * c + k] = column.deviations[i]! * scale[k]!;
  }
  return { deviations, means };
}

function gram(local: Local, task: CombatFitTask, put: Put): void {
  const { cohort, batches, columns, p, c } = local;
  const x = covariateTable(cohort, columns, task.covariateMean);
  const scale = Float64Array.from(task.centredCovariateExponents, (exponent) => powerOfTwo(-exponent));
  const all = new Float64Array(packedSize(c));
  const own = new Float64Array(task.gappy.length * packedSize(c));
  const cross = new Float64Array(c * p);
  const gappyAt = new Map([...task.gappy].map((feature, position) => [feature, position]));
  for (const { rows } of batches) {
    const shared = centredCovariates(x, c, rows, scale);
    addGram(all, shared.deviations, c);
    for (let j = 0; j < p; j++) {
      if (task.untouched[j] === 1) continue;
      const observed = observedRows(cohort.features, p, j, rows);
      const { deviations: xc } = observed === rows ? shared : centredCovariates(x, c, observed, scale);
      const gappy = gappyAt.get(j);
      if (gappy !== undefined) addGram(own.subarray(gappy * packedSize(c), (gappy + 1) * packedSize(c)), xc, c);
      // Its products with the common matrix would tell of the patients without it.
      else if (observed !== rows) throw invalid('gappy', 'lacks a feature that has gaps at this site');
      const yScale = powerOfTwo(-task.centredExponents[j]!);
      const { deviations: yc } = centre(cohort.features, p, j, observed);
      for (let i = 0; i < yc.length; i++) {
        const y = yc[i]! * yScale;
        for (let k = 0; k < c; k++) cross[k * p + j]! += xc[i * c + k]! * y;
      }
    }
  }
  put('gram', all);
  if (task.gappy.length > 0) put('gram-gappy', own);
  put('cross', cross);
}

function addGram(packed: Float64Array, deviations: Float64Array, c: number): void {
  for (let row = 0; row < deviations.length; row += c)
    for (let k = 0; k < c; k++)
      for (let l = 0; l <= k; l++) packed[packedIndex(k, l)]! += deviations[row + k]! * deviations[row + l]!;
}

function residuals(local: Local, task: CombatFitTask, coefficients: Float64Array, put: Put): void {
  const { cohort, batches, columns, p, c } = local;
  const x = covariateTable(cohort, columns, task.covariateMean);
  const unit = new Float64Array(c).fill(1);
  const level = new Float64Array(p);
  const residual = new Float64Array(p);
  for (const { rows } of batches) {
    const shared = centredCovariates(x, c, rows, unit);
    for (let j = 0; j < p; j++) {
      if (task.untouched[j] === 1) continue;
      const observed = observedRows(cohort.features, p, j, rows);
      const { deviations: xc, means } = observed === rows ? shared : centredCovariates(x, c, observed, unit);
      const { mean, deviations: yc } = centre(cohort.features, p, j, observed);
      let intercept = mean;
      for (let k = 0; k < c; k++) intercept -= means[k]! * coefficients[k * p + j]!;
      // The batch counts with all its rows, also where this feature has gaps: neuroCombat's n_i / N.
      level[j]! += rows.length * intercept * powerOfTwo(-task.featureExponents[j]!);
      const scale = powerOfTwo(-task.centredExponents[j]!);
      for (let i = 0; i < yc.length; i++) {
        let rest = yc[i]!;
        for (let k = 0; k < c; k++) rest -= xc[i * c + k]! * coefficients[k * p + j]!;
        residual[j]! += rest * scale * (rest * scale);
      }
    }
  }
  put('level', level);
  put('residual', residual);
}
