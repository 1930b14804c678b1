import type { Cohort, Outcome } from '../shared/cohort.site.js';
import { BELOW_MINIMUM_COHORT } from '../shared/computations/describe/declaration.js';
import type { CovariateColumn } from '../shared/computations/frame.js';
import { assert, ConcordatError, type Problem } from '../shared/errors.js';
import { armsOf } from '../shared/plan.js';
import type { Study } from '../shared/study.js';
import { studySites } from '../shared/study.js';
import { columnRoles, hasPatterns, stratumColumn } from '../shared/study-parse.js';
import { CellReader } from './cohort-cells.site.js';
import type { CohortMapping } from './cohort-config.js';
import { drawCalibration, drawCells } from './cohort-folds.site.js';
import { oddities } from './cohort-oddities.site.js';
import type { Table } from './cohort-table.site.js';

/** A typed cohort, and what is odd about the table without being wrong. Warnings are local, as problems are. */
export interface CohortLoad {
  readonly cohort: Cohort;
  readonly warnings: readonly Problem[];
}

const PROBLEMS_MAX = 1000;

/** Why a case is left out whose patient has withdrawn; it leaves the site counted among the other reasons. */
export const REMOVED = 'withdrawn by the patient';

/**
 * One site's table as the study's cohort. Every structural problem is found before anything is given up: missing columns,
 * duplicate ids, text in numbers, unknown levels, impossible outcomes. A case that is merely unusable (no outcome, no
 * value of a covariate that ComBat needs) is left out and counted by reason. With `siteColumn`, only the rows that it
 * names as the site's are taken. `isRemoved` names cases whose patients have withdrawn.
 *
 * @throws ConcordatError COHORT_INVALID with file, row, column and reason of each problem; never a cell's content.
 */
export function cohortOf(
  study: Study,
  mapping: CohortMapping,
  table: Table,
  site: string,
  siteColumn: string | null = null,
  isRemoved: (id: string) => boolean = () => false,
): CohortLoad {
  return assemble(study, mapping, table, { holder: site, siteColumn, sites: [site] }, isRemoved);
}

/**
 * One table with a site column: a cohort for each site of the study, or one holder with all rows. Either way the same
 * rows get the same cells, calibration marks and order. Rows of sites that the study does not name are left aside.
 */
export function cohortsFromTable(
  study: Study,
  mapping: CohortMapping,
  table: Table,
  siteColumn: string,
  options: { readonly oneHolder: boolean },
): CohortLoad[] {
  const sites = studySites(study);
  if (options.oneHolder) return [assemble(study, mapping, table, { holder: 'all', siteColumn, sites })];
  // Problems of all sites are found together before the table is divided.
  assemble(study, mapping, table, { holder: 'all', siteColumn, sites });
  return sites.map((site) => assemble(study, mapping, table, { holder: site, siteColumn, sites: [site] }));
}

/** The column that names cases where nobody says: the first that has an entry, a different one, in every row. */
export function guessIdColumn(study: Study, table: Table, siteColumn: string | null): string | null {
  const taken = new Set([
    ...columnRoles(study).map(([, column]) => column),
    ...(siteColumn === null ? [] : [siteColumn]),
  ]);
  for (const name of study.cohort.features) if (!name.includes('*')) taken.add(name);
  for (const [at, name] of table.header.entries()) {
    if (taken.has(name)) continue;
    const entries = table.rows.map((cells) => cells[at]!);
    const isNumber = entries.every((entry) => /^[+-]?\d*\.\d+([eE][+-]?\d+)?$/.test(entry));
    if (!isNumber && !entries.includes('') && new Set(entries).size === entries.length) return name;
  }
  return null;
}

interface Division {
  readonly holder: string;
  readonly siteColumn: string | null;
  /** Study sites whose rows are wanted, sorted. */
  readonly sites: readonly string[];
}

interface Row {
  /** Index into table.rows. */
  readonly at: number;
  readonly site: number;
  readonly id: string;
}

function assemble(
  study: Study,
  mapping: CohortMapping,
  table: Table,
  division: Division,
  isRemoved: (id: string) => boolean = () => false,
): CohortLoad {
  if (hasPatterns(study))
    throw new ConcordatError('STUDY_INVALID', `study "${study.name}" still has feature patterns`, {
      hint: 'A study is proposed with its features by name; `concordat study propose` replaces the patterns.',
    });
  const reader = new CellReader(table, mapping);
  const warnings: Problem[] = [];
  const rows = namedRows(study, mapping, table, division, reader, warnings);
  const columns = readColumns(study, reader, rows);
  if (reader.problems.length > 0) throw invalid(table, reader.problems);
  assert(columns !== null, 'columns were read without a problem');

  const reasons = rows.map((row, index) => (isRemoved(row.id) ? REMOVED : unusable(study, columns, index)));
  leaveOutSmallSites(study, division, rows, reasons);
  const kept = rows.map((_, index) => index).filter((index) => reasons[index] === null);
  kept.sort((a, b) => compareRows(rows[a]!, rows[b]!));
  const cohort = typed(study, division, rows, columns, kept, countReasons(division, rows, reasons));
  return { cohort, warnings: [...warnings, ...oddities(study, table, cohort)] };
}

function compareRows(a: Row, b: Row): number {
  return a.site - b.site || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Rows of the wanted sites with their ids; duplicates and empty ids become problems, strange sites a warning. */
function namedRows(
  study: Study,
  mapping: CohortMapping,
  table: Table,
  division: Division,
  reader: CellReader,
  warnings: Problem[],
): Row[] {
  const idColumn = mapping.id ?? guessIdColumn(study, table, division.siteColumn);
  const idAt = idColumn === null ? null : reader.find(idColumn);
  const siteAt = division.siteColumn === null ? null : reader.find(division.siteColumn);
  if ((idColumn !== null && idAt === null) || (division.siteColumn !== null && siteAt === null)) return [];
  const known = new Set(studySites(study));
  const rows: Row[] = [];
  const firstRow = new Map<string, number>();
  const strange = new Set<string>();
  let strangeRows = 0;
  for (const [at, cells] of table.rows.entries()) {
    const label = siteAt === null ? division.sites[0]! : (reader.text(at, division.siteColumn!, siteAt) ?? '');
    const site = division.sites.indexOf(label);
    if (site < 0) {
      if (!known.has(label)) {
        strange.add(label);
        strangeRows++;
      }
      continue;
    }
    const id = idAt === null ? `row ${String(at + 2).padStart(9, '0')}` : cells[idAt]!;
    if (id === '') reader.problem(at, idColumn!, 'the case has no id');
    const key = `${label}\n${id}`;
    const before = firstRow.get(key);
    if (before === undefined) firstRow.set(key, at);
    else if (id !== '') reader.problem(at, idColumn!, `the id of row ${before + 2} stands here again`);
    rows.push({ at, site, id });
  }
  if (strangeRows > 0)
    warnings.push({
      file: table.file,
      column: division.siteColumn!,
      message: `${strangeRows} rows of ${strange.size} sites that the study does not name were left aside`,
    });
  for (const [index, label] of division.sites.entries())
    if (!rows.some((row) => row.site === index))
      reader.problems.push({
        file: table.file,
        ...(division.siteColumn === null ? {} : { column: division.siteColumn }),
        message: `the table has no row of site "${label}"`,
      });
  return rows;
}

/** Everything read for the rows, in their order; NaN or null where missing. */
interface Columns {
  readonly features: Float64Array;
  readonly covariates: Float64Array;
  readonly y: Float64Array;
  readonly time: Float64Array | null;
  readonly split: (string | null)[] | null;
  readonly fold: Float64Array | null;
  readonly batch: (string | null)[] | null;
  readonly stratum: (string | null)[] | null;
}

function readColumns(study: Study, reader: CellReader, rows: readonly Row[]): Columns | null {
  const { cohort, validation } = study;
  const numbers = (column: string): Float64Array | null => {
    const at = reader.find(column);
    return at === null ? null : Float64Array.from(rows, (row) => reader.number(row.at, column, at));
  };
  const texts = (column: string): (string | null)[] | null => {
    const at = reader.find(column);
    return at === null ? null : rows.map((row) => reader.text(row.at, column, at));
  };
  const binary = (column: string): Float64Array | null => {
    const at = reader.find(column);
    return at === null ? null : Float64Array.from(rows, (row) => reader.level(row.at, column, at, ['0', '1']));
  };

  const endpoint = cohort.endpoint;
  const y = binary(endpoint.type === 'binary' ? endpoint.column : endpoint.event);
  const time = endpoint.type === 'survival' ? numbers(endpoint.time) : null;
  if (time !== null && endpoint.type === 'survival')
    for (const [index, value] of time.entries())
      if (value < 0) reader.problem(rows[index]!.at, endpoint.time, 'a follow-up time cannot be negative');

  const p = cohort.features.length;
  const features = new Float64Array(rows.length * p).fill(Number.NaN);
  for (const [feature, name] of cohort.features.entries()) {
    const values = numbers(name);
    if (values !== null) for (const [index, value] of values.entries()) features[index * p + feature] = value;
  }
  const c = cohort.covariates.length;
  const covariates = new Float64Array(rows.length * c).fill(Number.NaN);
  for (const [covariate, { column, levels }] of cohort.covariates.entries()) {
    const at = reader.find(column);
    if (at === null) continue;
    for (const [index, row] of rows.entries())
      covariates[index * c + covariate] =
        levels === undefined ? reader.number(row.at, column, at) : reader.level(row.at, column, at, levels);
  }

  const split = cohort.split === undefined ? null : texts(cohort.split.column);
  if (split !== null && cohort.split !== undefined)
    for (const [index, value] of split.entries())
      if (value !== null && value !== cohort.split.train && value !== cohort.split.test)
        reader.problem(
          rows[index]!.at,
          cohort.split.column,
          `is neither "${cohort.split.train}" nor "${cohort.split.test}"`,
        );
  const fold = cohort.fold === undefined ? null : numbers(cohort.fold);
  if (fold !== null && cohort.fold !== undefined) {
    const cells = Math.max(1, validation.folds);
    const fromZero = fold.includes(0);
    for (const [index, value] of fold.entries())
      if (!Number.isInteger(value) || value < 0 || value > (fromZero ? cells - 1 : cells))
        reader.problem(
          rows[index]!.at,
          cohort.fold,
          `must be a fold from ${fromZero ? 0 : 1} to ${fromZero ? cells - 1 : cells}, as validation.folds says`,
        );
  }
  const batch = cohort.batch === undefined ? null : texts(cohort.batch);
  const stratumName = stratumColumn(study);
  const stratum = stratumName === null ? null : texts(stratumName);
  if (y === null) return null;
  return { features, covariates, y, time, split, fold, batch, stratum };
}

/** Why the case cannot be used, or null. The first reason that applies is counted. */
function unusable(study: Study, columns: Columns, index: number): string | null {
  const { cohort, harmonization, validation } = study;
  if (Number.isNaN(columns.y[index]!)) return 'outcome missing';
  if (columns.time !== null && Number.isNaN(columns.time[index]!)) return 'follow-up time missing';
  if (columns.split !== null && columns.split[index] === null) return 'split missing';
  if (columns.batch !== null && columns.batch[index] === null) return 'batch missing';
  if (columns.stratum !== null && columns.stratum[index] === null) return 'stratum missing';
  if (harmonization.method === 'combat' || validation.arms.includes('combat'))
    for (const [covariate, { column }] of cohort.covariates.entries())
      if (
        harmonization.covariates.includes(column) &&
        Number.isNaN(columns.covariates[index * cohort.covariates.length + covariate]!)
      )
        return `covariate ${column} missing`;
  const p = cohort.features.length;
  if (columns.features.subarray(index * p, (index + 1) * p).every((value) => Number.isNaN(value)))
    return 'all features missing';
  return null;
}

/**
 * A site below the minimum cohort sits out: none of its cases enters any sum, so whatever it is asked it contributes
 * zeros. `describe` names it, and its cases are counted under this reason.
 */
function leaveOutSmallSites(study: Study, division: Division, rows: readonly Row[], reasons: (string | null)[]): void {
  for (const site of division.sites.keys()) {
    const usable = [...rows.keys()].filter((index) => rows[index]!.site === site && reasons[index] === null);
    if (usable.length < study.privacy.minimumCohort) for (const index of usable) reasons[index] = BELOW_MINIMUM_COHORT;
  }
}

function countReasons(
  division: Division,
  rows: readonly Row[],
  reasons: readonly (string | null)[],
): Cohort['exclusions'] {
  const counts = new Map<string, number>();
  for (const [index, reason] of reasons.entries()) {
    if (reason === null) continue;
    const key = JSON.stringify([division.sites[rows[index]!.site], reason]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts.keys()].sort().map((key) => {
    const [site, reason] = JSON.parse(key) as [string, string];
    return { site, reason, count: counts.get(key)! };
  });
}

function typed(
  study: Study,
  division: Division,
  rows: readonly Row[],
  columns: Columns,
  kept: readonly number[],
  exclusions: Cohort['exclusions'],
): Cohort {
  const { cohort, validation, harmonization, seed } = study;
  const n = kept.length;
  const gather = (source: Float64Array, width: number): Float64Array => {
    const values = new Float64Array(n * width);
    for (const [row, index] of kept.entries())
      values.set(source.subarray(index * width, (index + 1) * width), row * width);
    return values;
  };
  const siteOf = Int32Array.from(kept, (index) => rows[index]!.site);
  const ids = kept.map((index) => rows[index]!.id);
  const y = Uint8Array.from(kept, (index) => columns.y[index]!);
  const outcome: Outcome =
    columns.time === null ? { type: 'binary', y } : { type: 'survival', time: gather(columns.time, 1), event: y };
  const train = Uint8Array.from(kept, (index) =>
    columns.split === null || columns.split[index] === cohort.split!.train ? 1 : 0,
  );
  const cells = Math.max(1, validation.folds);
  const cellOf = new Int32Array(n);
  const calibration = new Uint8Array(n);
  // Cases are spent on calibration only where some harmonization is calibrated by them.
  const calibrates = harmonization.heldOut === 'calibration' && armsOf(study).some((arm) => arm !== 'none');
  const calibrationCases = calibrates ? harmonization.calibrationCases : 0;
  for (const [site, label] of division.sites.entries()) {
    const own = [...siteOf.keys()].filter((row) => siteOf[row] === site);
    const drawn = drawCells(
      seed,
      label,
      own.map((row) => ({ id: ids[row]!, outcomeClass: y[row]!, train: train[row] === 1 })),
      cells,
    );
    const marks = drawCalibration(
      seed,
      label,
      own.map((row) => ids[row]!),
      calibrationCases,
    );
    for (const [position, row] of own.entries()) {
      // Tables number folds from 0 or from 1; the remainder gives the same division either way.
      cellOf[row] = columns.fold === null ? drawn[position]! : columns.fold[kept[row]!]! % cells;
      calibration[row] = marks[position]!;
    }
  }
  const labels = (source: (string | null)[] | null): { names: string[]; of: Int32Array } => {
    const full = kept.map((index) => {
      const site = division.sites[rows[index]!.site]!;
      // A scanner or stratum is estimated where its patients are, so two sites' equal labels are two groups.
      return source === null ? site : `${site}/${source[index]}`;
    });
    const names = source === null ? [...division.sites] : [...new Set(full)].sort();
    const position = new Map(names.map((name, index) => [name, index]));
    return { names, of: Int32Array.from(full, (name) => position.get(name)!) };
  };
  const batch = labels(columns.batch);
  const stratum = labels(columns.stratum);
  const covariateColumns: CovariateColumn[] = cohort.covariates.map(({ column, levels }) => ({
    name: column,
    levels: levels ?? null,
  }));
  return {
    holder: division.holder,
    sites: division.sites,
    siteOf,
    n,
    ids,
    featureNames: cohort.features,
    features: gather(columns.features, cohort.features.length),
    covariateColumns,
    covariates: gather(columns.covariates, covariateColumns.length),
    outcome,
    batchNames: batch.names,
    batchOf: batch.of,
    stratumNames: stratum.names,
    stratumOf: stratum.of,
    cellOf,
    calibration,
    train,
    exclusions,
  };
}

function invalid(table: Table, problems: readonly Problem[]): ConcordatError {
  const order = new Map(table.header.map((name, at) => [name, at]));
  const sorted = [...problems].sort(
    (a, b) => (a.row ?? 0) - (b.row ?? 0) || (order.get(a.column ?? '') ?? -1) - (order.get(b.column ?? '') ?? -1),
  );
  const shown = sorted.slice(0, PROBLEMS_MAX);
  if (sorted.length > PROBLEMS_MAX)
    shown.push({ file: table.file, message: `and ${sorted.length - PROBLEMS_MAX} more problems` });
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
  return new ConcordatError('COHORT_INVALID', `${table.file} cannot be used as it is: ${count}`, { problems: shown });
}
