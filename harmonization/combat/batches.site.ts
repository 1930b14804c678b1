import type { Cohort } from '../../shared/cohort.site.js';
import { predictorTable } from '../../shared/computations/design.site.js';
import { predictorsOf } from '../../shared/computations/frame.js';
import { assert } from '../../shared/errors.js';

/** The rows of one batch. A batch belongs to one site: equal scanner names at two sites are two batches. */
export interface Batch {
  /** The site's name, or `site/batch` where the batch is a column of its own. */
  readonly label: string;
  readonly site: number;
  readonly batch: number;
  readonly rows: readonly number[];
}

/** Batches among the rows with mask 1, by site and then batch; rows ascending. */
export function batchesOf(cohort: Cohort, mask: Uint8Array): Batch[] {
  const found = new Map<number, { site: number; batch: number; rows: number[] }>();
  for (let row = 0; row < cohort.n; row++) {
    if (mask[row] === 0) continue;
    const site = cohort.siteOf[row]!;
    const batch = cohort.batchOf[row]!;
    const key = site * cohort.batchNames.length + batch;
    const entry = found.get(key);
    if (entry === undefined) found.set(key, { site, batch, rows: [row] });
    else entry.rows.push(row);
  }
  return [...found.entries()]
    .sort(([a], [b]) => a - b)
    .map(([, entry]) => ({ ...entry, label: batchLabel(cohort, entry.site, entry.batch) }));
}

function batchLabel(cohort: Cohort, site: number, batch: number): string {
  const siteName = cohort.sites[site]!;
  const batchName = cohort.batchNames[batch]!;
  if (batchName === siteName || batchName.startsWith(`${siteName}/`)) return batchName;
  return `${siteName}/${batchName}`;
}

/**
 * Design columns of preserved covariates by their names: n x c row-major. A missing value is NaN, or the given mean of
 * its column. Throws an assertion where the cohort lacks a column.
 */
export function covariateTable(cohort: Cohort, columns: readonly string[], mean: Float64Array | null): Float64Array {
  const known = predictorsOf({ features: [], covariates: cohort.covariateColumns }, true);
  const predictors = columns.map((name) => {
    const found = known.find((predictor) => predictor.name === name);
    assert(found !== undefined, `the cohort has no covariate column ${name}`);
    return found;
  });
  const table = predictorTable(cohort, new Float64Array(0), predictors);
  if (mean !== null)
    for (let at = 0; at < table.length; at++) if (Number.isNaN(table[at]!)) table[at] = mean[at % columns.length]!;
  return table;
}

/** Mean and deviations of a column over some rows; the deviations of a constant column are exactly 0. */
export function centre(table: Float64Array, width: number, column: number, rows: readonly number[]) {
  const values = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) values[i] = table[rows[i]! * width + column]!;
  return centreInPlace(values);
}

/** Mean of the values, which become their deviations from it; exactly 0 where they are all equal. */
export function centreInPlace(values: Float64Array) {
  const n = values.length;
  const first = n > 0 ? values[0]! : 0;
  let constant = true;
  let largest = 0;
  // Neumaier's compensated sum, written out: this is the innermost loop of every fit.
  let sum = 0;
  let lost = 0;
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    if (value !== first) constant = false;
    const size = Math.abs(value);
    if (size > largest) largest = size;
    const next = sum + value;
    lost += Math.abs(sum) >= size ? sum - next + value : value - next + sum;
    sum = next;
  }
  const mean = constant ? first : (sum + lost) / n;
  let largestDeviation = 0;
  for (let i = 0; i < n; i++) {
    const deviation = constant ? 0 : values[i]! - mean;
    values[i] = deviation;
    const size = Math.abs(deviation);
    if (size > largestDeviation) largestDeviation = size;
  }
  return { mean, deviations: values, constant, largest, largestDeviation };
}

/** The rows among `rows` where the column is observed; `rows` itself where it has no gap. */
export function observedRows(
  table: Float64Array,
  width: number,
  column: number,
  rows: readonly number[],
): readonly number[] {
  for (let i = 0; i < rows.length; i++)
    if (Number.isNaN(table[rows[i]! * width + column]!))
      return rows.filter((candidate) => !Number.isNaN(table[candidate * width + column]!));
  return rows;
}

/** Whether all these rows hold the same value. */
export function isConstant(table: Float64Array, width: number, column: number, rows: readonly number[]): boolean {
  for (let i = 1; i < rows.length; i++)
    if (table[rows[i]! * width + column]! !== table[rows[0]! * width + column]!) return false;
  return true;
}
