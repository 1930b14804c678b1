import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { combatCoordinator } from '../../harmonization/combat/advance.coordinator.js';
import { combatSite } from '../../harmonization/combat/contribute.site.js';
import { combatDeclaration } from '../../harmonization/combat/declaration.js';
import { harmonizedFeatures } from '../../harmonization/harmonized.site.js';
import type { Cohort, SiteView } from '../../shared/cohort.site.js';
import type { CombatSpec, CovariateColumn, Frame } from '../../shared/computations/frame.js';
import { momentsCoordinator } from '../../shared/computations/moments/advance.coordinator.js';
import { momentsSite } from '../../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../../shared/computations/moments/declaration.js';
import { type Arm, type Fit, fitId } from '../../shared/fits.js';

export const combat = { declaration: combatDeclaration, site: combatSite, coordinator: combatCoordinator };
export const moments = { declaration: momentsDeclaration, site: momentsSite, coordinator: momentsCoordinator };

/** One patient of a test table. */
export interface Row {
  readonly id: string;
  readonly site: string;
  readonly batch?: string;
  readonly features: readonly number[];
  readonly covariates?: readonly number[];
  readonly y?: number;
  readonly cell?: number;
  readonly calibration?: boolean;
  readonly train?: boolean;
}

export function cohortOf(
  holder: string,
  given: readonly Row[],
  featureNames: readonly string[],
  covariateColumns: readonly CovariateColumn[] = [],
): Cohort {
  const rows = [...given].sort((a, b) => (a.site === b.site ? order(a.id, b.id) : order(a.site, b.site)));
  const sites = [...new Set(rows.map((row) => row.site))].sort();
  const batchNames = [...new Set(rows.map((row) => row.batch ?? row.site))].sort();
  return {
    holder,
    sites,
    siteOf: Int32Array.from(rows, (row) => sites.indexOf(row.site)),
    n: rows.length,
    ids: rows.map((row) => row.id),
    featureNames,
    features: Float64Array.from(rows.flatMap((row) => [...row.features])),
    covariateColumns,
    covariates: Float64Array.from(rows.flatMap((row) => [...(row.covariates ?? [])])),
    outcome: { type: 'binary', y: Uint8Array.from(rows, (row) => row.y ?? 0) },
    batchNames,
    batchOf: Int32Array.from(rows, (row) => batchNames.indexOf(row.batch ?? row.site)),
    stratumNames: sites,
    stratumOf: Int32Array.from(rows, (row) => sites.indexOf(row.site)),
    cellOf: Int32Array.from(rows, (row) => row.cell ?? 0),
    calibration: Uint8Array.from(rows, (row) => (row.calibration === true ? 1 : 0)),
    train: Uint8Array.from(rows, (row) => (row.train === false ? 0 : 1)),
    exclusions: [],
  };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One holder per site, or one holder of all rows. */
export function holdersOf(rows: readonly Row[], split: 'sites' | 'one', ...names: TailOfCohort): Cohort[] {
  if (split === 'one') return [cohortOf('all', rows, ...names)];
  const sites = [...new Set(rows.map((row) => row.site))].sort();
  return sites.map((site) =>
    cohortOf(
      site,
      rows.filter((row) => row.site === site),
      ...names,
    ),
  );
}
type TailOfCohort = [featureNames: readonly string[], covariateColumns?: readonly CovariateColumn[]];

export function frameOf(
  training: readonly string[],
  features: readonly string[],
  covariates: readonly CovariateColumn[] = [],
  more: Partial<Frame> = {},
): Frame {
  return {
    training: [...training].sort(),
    external: [],
    features,
    covariates,
    endpoint: { type: 'binary' },
    cells: 1,
    seed: 1,
    minimumCount: 5,
    minimumCohort: 10,
    minSites: 3,
    ...more,
  };
}

export function fitOf(
  arm: Arm,
  training: readonly string[],
  heldOut: readonly string[] = [],
  inner: number | null = null,
): Fit {
  const outer = heldOut.length === 0 ? 'all' : `without-${heldOut.join('+')}`;
  const sites = training.filter((site) => !heldOut.includes(site)).sort();
  return { id: fitId(arm, outer, inner), arm, outer, inner, sites, heldOut: [...heldOut] };
}

export function viewOf(
  cohort: Cohort,
  frame: Frame,
  results: ReadonlyMap<string, unknown> = new Map(),
  combatSpec: CombatSpec | null = null,
  heldOut: 'calibration' | 'none' | 'transductive' = 'calibration',
): SiteView {
  const memo = new Map<string, unknown>();
  return {
    cohort,
    results,
    memo,
    harmonized: (fit) => harmonizedFeatures({ cohort, results, frame, combatSpec, heldOut, memo }, fit),
  };
}

/** Folder of reference values, or undefined with a loud line where the environment does not name it. */
export function referenceFolder(...parts: string[]): string | undefined {
  const root = process.env['CONCORDAT_REFERENCE'];
  const folder = root === undefined ? undefined : join(root, ...parts);
  if (folder !== undefined && existsSync(folder)) return folder;
  process.stderr.write(`SKIPPED: reference values ${parts.join('/')} need CONCORDAT_REFERENCE\n`);
  return undefined;
}

export function readCsv(path: string): Record<string, string>[] {
  return parse(readFileSync(path), { columns: true, skip_empty_lines: true }) as Record<string, string>[];
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

export function numberOf(text: string | undefined): number {
  return text === undefined || text === '' || text === 'NA' ? Number.NaN : Number(text);
}
