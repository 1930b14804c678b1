import type { Cohort, SiteView } from '../../shared/cohort.site.js';
import type { Frame } from '../../shared/computations/frame.js';
import { momentsCoordinator } from '../../shared/computations/moments/advance.coordinator.js';
import { momentsSite } from '../../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../../shared/computations/moments/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { type Fit, fitId } from '../../shared/fits.js';

/** A plain table for tests: one entry per row, in any order. */
export interface TestTable {
  readonly site: readonly string[];
  readonly features: readonly string[];
  /** rows x features. */
  readonly x: readonly (readonly number[])[];
  readonly y?: readonly number[];
  readonly time?: readonly number[];
  readonly event?: readonly number[];
  /** Inner-fold cell per row; 0 everywhere by default. */
  readonly cell?: readonly number[];
  /** Cox stratum per row; by default the site. */
  readonly stratum?: readonly string[];
}

export function frameOfTable(table: TestTable, more: Partial<Frame> = {}): Frame {
  return {
    training: [...new Set(table.site)].sort(),
    external: [],
    features: table.features,
    covariates: [],
    endpoint: table.y !== undefined ? { type: 'binary' } : { type: 'survival', unit: 'days', horizon: null },
    cells: table.cell === undefined ? 1 : Math.max(...table.cell) + 1,
    seed: 1,
    minimumCount: 1,
    minimumCohort: 1,
    minSites: 3,
    ...more,
  };
}

/** The fits of one outer fold: the full one first, then one per cell where `inner`. */
export function fitsOfTable(frame: Frame, options: { heldOut?: readonly string[]; inner?: boolean } = {}): Fit[] {
  const heldOut = [...(options.heldOut ?? [])].sort();
  const outer = heldOut.length === 0 ? 'all' : `without-${heldOut.join('+')}`;
  const sites = frame.training.filter((site) => !heldOut.includes(site));
  const cells = options.inner === true ? Array.from({ length: frame.cells }, (_, cell) => cell) : [];
  return [null, ...cells].map((inner) => ({
    id: fitId('none', outer, inner),
    arm: 'none',
    outer,
    inner,
    sites,
    heldOut,
  }));
}

/** One view per holder; rows sorted by site, then by their place in the table. `harmonized` is the identity. */
export function viewsOfTable(
  table: TestTable,
  results: ReadonlyMap<string, unknown>,
  holderOf: (row: number) => string = (row) => table.site[row]!,
): SiteView[] {
  const holders = [...new Set(table.site.map((_, row) => holderOf(row)))].sort();
  const strata = [...new Set(table.stratum ?? table.site)].sort();
  return holders.map((holder) => {
    const rows = table.site
      .map((_, row) => row)
      .filter((row) => holderOf(row) === holder)
      .sort((a, b) => (table.site[a]! < table.site[b]! ? -1 : table.site[a]! > table.site[b]! ? 1 : a - b));
    const sites = [...new Set(rows.map((row) => table.site[row]!))].sort();
    const siteOf = Int32Array.from(rows, (row) => sites.indexOf(table.site[row]!));
    const features = Float64Array.from(rows.flatMap((row) => table.x[row]!));
    const cohort: Cohort = {
      holder,
      sites,
      siteOf,
      n: rows.length,
      ids: rows.map(String),
      featureNames: table.features,
      features,
      covariateColumns: [],
      covariates: new Float64Array(0),
      outcome:
        table.y !== undefined
          ? { type: 'binary', y: Uint8Array.from(rows, (row) => table.y![row]!) }
          : {
              type: 'survival',
              time: Float64Array.from(rows, (row) => table.time![row]!),
              event: Uint8Array.from(rows, (row) => table.event![row]!),
            },
      batchNames: sites,
      batchOf: siteOf,
      stratumNames: strata,
      stratumOf: Int32Array.from(rows, (row) => strata.indexOf((table.stratum ?? table.site)[row]!)),
      cellOf: Int32Array.from(rows, (row) => table.cell?.[row] ?? 0),
      calibration: new Uint8Array(rows.length),
      train: new Uint8Array(rows.length).fill(1),
      exclusions: [],
    };
    return { cohort, results, harmonized: () => features, memo: new Map() };
  });
}

/** Views of a table whose moments have been computed by the real computation, and the results to hand on. */
export function preparedViews(
  table: TestTable,
  frame: Frame,
  fits: readonly Fit[],
  holderOf?: (row: number) => string,
): { views: SiteView[]; results: Map<string, unknown> } {
  const results = new Map<string, unknown>();
  const views = viewsOfTable(table, results, holderOf);
  const moments = { declaration: momentsDeclaration, site: momentsSite, coordinator: momentsCoordinator };
  results.set('moments', runInMemory(moments, { frame, fits }, views).result);
  return { views, results };
}
