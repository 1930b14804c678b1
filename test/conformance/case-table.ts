import { type ConformanceCase, pathIn } from './case-model.js';
import { type CaseRows, dealtSites } from './federation.js';
import { readTable, type Table, UnreadableCase } from './readers.js';

/** The input table of a case as rows of sites: columns are named by case.json, never here. */
export function inputOf(one: ConformanceCase, file?: string): Table {
  const name = file ?? one.document.input;
  if (name === null) throw new UnreadableCase(`${one.name}/case.json names no input`);
  return readTable(pathIn(one, name));
}

/**
 * Site labels of the case's rows. A case without a site column is dealt in turn to three holders, which must change
 * nothing. A column that is named but absent is an error, except in a block's own input, which may know no sites.
 */
export function sitesOf(
  one: ConformanceCase,
  table: Table,
  options: { column?: string | null; ownInput?: boolean } = {},
): readonly string[] {
  const column = options.column ?? one.document.site;
  if (column === null || (options.ownInput === true && !table.has(column))) return dealtSites(table.n);
  return table.text(column);
}

export function binaryRows(one: ConformanceCase, table: Table, features: readonly string[]): CaseRows {
  const response = required(one, 'response');
  return {
    n: table.n,
    site: sitesOf(one, table),
    featureNames: features,
    features: features.map((column) => table.numbers(column)),
    outcome: { y: table.numbers(response) },
    ...cellsOf(one, table),
  };
}

/** Survival rows; `stratified` makes every stratum a site, because a stratum lies within one site. */
export function survivalRows(
  one: ConformanceCase,
  table: Table,
  features: readonly string[],
  stratified: boolean,
): CaseRows {
  const strata = stratified ? one.document.strata : null;
  return {
    n: table.n,
    site: sitesOf(one, table, { column: strata }),
    featureNames: features,
    features: features.map((column) => table.numbers(column)),
    outcome: { time: table.numbers(required(one, 'time')), event: table.numbers(required(one, 'event')) },
    ...cellsOf(one, table),
  };
}

/** Fixed folds of the table as cells from 0, in ascending order of their labels. */
function cellsOf(one: ConformanceCase, table: Table): { cell?: Int32Array } {
  const { foldid } = one.document;
  if (foldid === null || !table.has(foldid)) return {};
  const fold = table.numbers(foldid);
  const labels = [...new Set(fold)].sort((a, b) => a - b);
  return { cell: Int32Array.from(fold, (label) => labels.indexOf(label)) };
}

export function cellCount(rows: CaseRows): number {
  return rows.cell === undefined ? 1 : new Set(Array.from(rows.cell)).size;
}

function required(one: ConformanceCase, field: 'response' | 'time' | 'event'): string {
  const column = one.document[field];
  if (column === null) throw new UnreadableCase(`${one.name}/case.json names no ${field} column`);
  return column;
}
