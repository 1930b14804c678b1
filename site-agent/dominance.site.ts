import type { Cohort } from '../shared/cohort.site.js';
import { ConcordatError } from '../shared/errors.js';

/**
 * Dominance (the p% rule of statistical offices; Hundepool et al., Statistical Disclosure Control, 2012, 4.2): a sum that one
 * patient nearly makes up tells that patient's value, however many sites are in it. A share of `most` in a site's own
 * sum bounds the share in every total that the site is in, because what others add can only make it smaller.
 */
interface Column {
  readonly name: string;
  readonly values: readonly number[];
}

/** Columns of which one case makes up more than `most` of the absolute values, or of the absolute deviations from the median. */
export function dominatedColumns(cohort: Cohort, most: number): string[] {
  return (
    numericColumns(cohort)
      // In zeros and ones there is no magnitude to hide; how few have the one is an affair of counts.
      .filter(({ values }) => values.some((value) => value !== 0 && value !== 1))
      .filter(({ values }) => Math.max(share(values), share(deviations(values))) > most)
      .map(({ name }) => name)
  );
}

/**
 * @throws ConcordatError COHORT_DOMINATED with every such column. Columns are named at the site only: the coordinator is told the code.
 */
export function requireNotDominated(cohort: Cohort, most: number): void {
  const columns = dominatedColumns(cohort, most);
  if (columns.length > 0)
    throw new ConcordatError(
      'COHORT_DOMINATED',
      'one case makes up nearly all of a column, so a sum would show its value',
      {
        problems: columns.map((column) => ({ column, message: 'is nearly all one case' })),
      },
    );
}

/** Of the sum of absolute values, what the largest one makes up; 0 where all are 0. */
function share(values: readonly number[]): number {
  let largest = 0;
  let sum = 0;
  for (const value of values) {
    largest = Math.max(largest, Math.abs(value));
    sum += Math.abs(value);
  }
  return sum > 0 ? largest / sum : 0;
}

function deviations(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return values.map((value) => value - median);
}

/** Features and numeric covariates, observed values of training and test rows alike. Levels are counted, not summed. */
function numericColumns(cohort: Cohort): Column[] {
  const { n, features, featureNames, covariates, covariateColumns } = cohort;
  const columnOf = (name: string, table: Float64Array, width: number, at: number): Column => ({
    name,
    values: Array.from({ length: n }, (_, row) => table[row * width + at]!).filter((value) => !Number.isNaN(value)),
  });
  return [
    ...featureNames.map((name, at) => columnOf(name, features, featureNames.length, at)),
    ...covariateColumns.flatMap(({ name, levels }, at) =>
      levels === null ? [columnOf(name, covariates, covariateColumns.length, at)] : [],
    ),
  ];
}
