import { type ConformanceCase, pathIn } from './case-model.js';
import { inputOf, sitesOf } from './case-table.js';
import type { CombatOptions } from './combat-fit.js';
import type { CaseRows } from './federation.js';
import { readTable, type Table, UnreadableCase } from './readers.js';

/** What a ComBat case brings: rows by site, the covariate design, the training split and the unit of comparison. */
export interface CombatData {
  readonly input: Table;
  readonly rows: CaseRows;
  readonly design: CombatOptions['design'];
  readonly train: Uint8Array;
  /** Value of the split column per row; null where the case has none. */
  readonly split: readonly string[] | null;
  /** Sample SD (n - 1) of each input column over the rows that train; 1 where it does not vary. */
  readonly sd: readonly number[];
}

export function readData(one: ConformanceCase): CombatData {
  const { document } = one;
  const input = inputOf(one);
  if (document.site === null) throw new UnreadableCase(`${one.name}/case.json names no site column`);
  const rows: CaseRows = {
    n: input.n,
    site: sitesOf(one, input),
    featureNames: document.features,
    features: document.features.map((column) => input.numbers(column)),
    outcome: { y: new Float64Array(input.n) },
  };
  const splitColumn = document.split?.['column'];
  const split = splitColumn === undefined ? null : input.text(splitColumn);
  const trainLabel = document.split?.['train'] ?? 'train';
  const train = Uint8Array.from({ length: input.n }, (_, row) => (split === null || split[row] === trainLabel ? 1 : 0));
  return {
    input,
    rows,
    design: designOf(one, input),
    train,
    split,
    sd: rows.features.map((column) => sampleSd(column, train)),
  };
}

/** The covariate design: the file that case.json names, else the covariate columns with R's treatment contrasts. */
function designOf(one: ConformanceCase, input: Table): CombatOptions['design'] {
  const { design, covariates, factors, id } = one.document;
  if (design !== null && design !== undefined) {
    const table = readTable(pathIn(one, design.file));
    const position = rowPositions(input, table, id);
    return design.columns.map((name) => {
      const values = table.numbers(name);
      return { name, values: Float64Array.from(position, (row) => values[row]!) };
    });
  }
  return covariates.flatMap((name) => {
    const levels = factors[name];
    if (levels === undefined) return [{ name, values: input.numbers(name) }];
    const text = input.text(name);
    return levels.slice(1).map((level) => ({
      name: `${name}${level}`,
      values: Float64Array.from(text, (value) => (value === level ? 1 : 0)),
    }));
  });
}

/** Row of `table` for each row of the input, by id where both have it, else in order. */
export function rowPositions(input: Table, table: Table, id: string | null, wanted?: readonly number[]): number[] {
  const rows = wanted ?? Array.from({ length: input.n }, (_, row) => row);
  if (id !== null && input.has(id) && table.has(id)) {
    const at = new Map(table.text(id).map((value, row) => [value, row]));
    const ids = input.text(id);
    return rows.map((row) => {
      const found = at.get(ids[row]!);
      if (found === undefined) throw new UnreadableCase('a golden lacks rows of the input');
      return found;
    });
  }
  if (table.n !== rows.length)
    throw new UnreadableCase(`a golden has ${table.n} rows where the input has ${rows.length}`);
  return rows.map((_, position) => position);
}

function sampleSd(column: Float64Array, train: Uint8Array): number {
  const values = column.filter((value, row) => train[row] === 1 && !Number.isNaN(value));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (values.length - 1));
  return sd > 0 ? sd : 1;
}
