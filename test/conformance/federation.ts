import type { Cohort, Outcome, SiteView } from '../../shared/cohort.site.js';
import type { CovariateColumn, Frame } from '../../shared/computations/frame.js';
import { type Fit, fitId } from '../../shared/fits.js';

/** One table of a reference case as holders would have it: rows split by site, or all rows with one holder. */

export interface CaseRows {
  readonly n: number;
  /** Site label per row. */
  readonly site: readonly string[];
  readonly featureNames: readonly string[];
  /** One column per feature, NaN = missing. */
  readonly features: readonly Float64Array[];
  readonly covariateColumns?: readonly CovariateColumn[];
  readonly covariates?: readonly Float64Array[];
  readonly outcome: { readonly y: Float64Array } | { readonly time: Float64Array; readonly event: Float64Array };
  /** Stratum label per row; by default the site. */
  readonly stratum?: readonly string[];
  /** Inner-fold cell per row, from 0. */
  readonly cell?: ArrayLike<number>;
}

export interface Holder {
  readonly view: SiteView;
  /** Row of the case's table for each row of the holder's cohort. */
  readonly rows: Int32Array;
}

/** `sites`: every site holds its own rows. `one`: a single holder of all rows, still labelled by site. */
export function holdersOf(
  table: CaseRows,
  how: 'sites' | 'one',
  results: ReadonlyMap<string, unknown> = new Map(),
): Holder[] {
  const labels = [...new Set(table.site)].sort();
  const groups = how === 'one' ? [labels] : labels.map((label) => [label]);
  const strata = [...new Set(table.stratum ?? table.site)].sort();
  return groups.map((sites, position) => holderOf(table, sites, strata, `holder-${position + 1}`, results));
}

function holderOf(
  table: CaseRows,
  sites: readonly string[],
  strata: readonly string[],
  holder: string,
  results: ReadonlyMap<string, unknown>,
): Holder {
  const rows = Int32Array.from(
    sites.flatMap((label) => [...Array(table.n).keys()].filter((row) => table.site[row] === label)),
  );
  const n = rows.length;
  const rowMajor = (columns: readonly Float64Array[]): Float64Array => {
    const values = new Float64Array(n * columns.length);
    for (let row = 0; row < n; row++)
      for (let column = 0; column < columns.length; column++)
        values[row * columns.length + column] = columns[column]![rows[row]!]!;
    return values;
  };
  const features = rowMajor(table.features);
  const siteOf = Int32Array.from(rows, (row) => sites.indexOf(table.site[row]!));
  const stratumOf = Int32Array.from(rows, (row) => strata.indexOf((table.stratum ?? table.site)[row]!));
  const cohort: Cohort = {
    holder,
    sites,
    siteOf,
    n,
    ids: [...rows].map((row) => `row-${String(row).padStart(7, '0')}`),
    featureNames: table.featureNames,
    features,
    covariateColumns: table.covariateColumns ?? [],
    covariates: rowMajor(table.covariates ?? []),
    outcome: outcomeOf(table, rows),
    batchNames: sites,
    batchOf: siteOf,
    stratumNames: strata,
    stratumOf,
    cellOf: Int32Array.from(rows, (row) => table.cell?.[row] ?? 0),
    calibration: new Uint8Array(n),
    train: new Uint8Array(n).fill(1),
    exclusions: [],
  };
  return { view: { cohort, results, harmonized: () => features, memo: new Map() }, rows };
}

function outcomeOf(table: CaseRows, rows: Int32Array): Outcome {
  if ('y' in table.outcome) {
    const { y } = table.outcome;
    return { type: 'binary', y: Uint8Array.from(rows, (row) => y[row]!) };
  }
  const { time, event } = table.outcome;
  return {
    type: 'survival',
    time: Float64Array.from(rows, (row) => time[row]!),
    event: Uint8Array.from(rows, (row) => event[row]!),
  };
}

/** The study's frame for a case. Thresholds are 1: a reference case is no patient cohort. */
export function frameOf(table: CaseRows, cells = 1): Frame {
  return {
    training: [...new Set(table.site)].sort(),
    external: [],
    features: table.featureNames,
    covariates: table.covariateColumns ?? [],
    endpoint: 'y' in table.outcome ? { type: 'binary' } : { type: 'survival', unit: 'days', horizon: null },
    cells,
    seed: 1,
    minimumCount: 1,
    minimumCohort: 1,
    minSites: 1,
  };
}

/** The fit over all rows, and with `cells` > 1 one more with each inner fold held out. */
export function fitsOf(table: CaseRows, arm: Fit['arm'], cells = 1): Fit[] {
  const sites = [...new Set(table.site)].sort();
  const inners: (number | null)[] = [null, ...(cells > 1 ? Array.from({ length: cells }, (_, cell) => cell) : [])];
  return inners.map((inner) => ({ id: fitId(arm, 'all', inner), arm, outer: 'all', inner, sites, heldOut: [] }));
}

/** Labels for a table without a site column: rows dealt in turn to three holders. */
export function dealtSites(n: number): string[] {
  return Array.from({ length: n }, (_, row) => `holder-${(row % 3) + 1}`);
}
