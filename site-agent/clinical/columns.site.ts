import { ConcordatError, type Problem } from '../../shared/errors.js';
import { CellReader } from '../cohort-cells.site.js';
import type { CohortMapping } from '../cohort-config.js';
import type { Table } from '../cohort-table.site.js';
import { type ClinicalConfig, type ClinicalEntry, namedInputs } from './config.js';
import {
  type ClinicalCase,
  type ClinicalInput,
  CODED_INPUTS,
  inputsOf,
  isNumericInput,
  SCORE_NAMES,
  type Score,
  type ScoreName,
  scoreOf,
  unitFactor,
} from './derive.js';

/** Scores of every row of the table, and how many rows lack one for which reason. */
export interface ClinicalColumns {
  readonly names: readonly ScoreName[];
  /** A row of the table: one score for each name. */
  readonly rows: readonly (readonly Score[])[];
}

/**
 * The clinical scores that cohort.yaml asks for, for every row of the table.
 *
 * @throws ConcordatError COHORT_INVALID with every problem at once: a score whose inputs are not named, a missing column, an entry that is no
 * number or no known code, a name that the table already has.
 */
export function clinicalColumns(config: ClinicalConfig, mapping: CohortMapping, table: Table): ClinicalColumns {
  const inputs = namedInputs(config);
  const problems: Problem[] = [];
  const names = wantedScores(
    config,
    inputs.map(([name]) => name),
    problems,
  );
  for (const name of names)
    if (table.header.includes(name))
      problems.push({
        file: table.file,
        row: 1,
        column: name,
        message: 'the table has a column of this name already; leave it out or rename it',
      });
  // Columns are named as the table has them: a score's input is this site's own matter and goes by no study name.
  const reader = new CellReader(table, { ...mapping, columns: {}, values: {} });
  const found = inputs.map(([name, entry]) => ({ name, entry, at: reader.find(entry.column) }));
  const rows = table.rows.map((_, row) => {
    const one: Record<string, number | string | null> = {};
    for (const { name, entry, at } of found) if (at !== null) one[name] = inputOf(name, entry, reader, row, at);
    return names.map((score) => scoreOf(score, one as ClinicalCase));
  });
  problems.push(...reader.problems);
  if (problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${table.file}: clinical scores meet ${problems.length} problems`, {
      problems,
    });
  return { names, rows };
}

function wantedScores(config: ClinicalConfig, named: readonly ClinicalInput[], problems: Problem[]): ScoreName[] {
  const lacking = (score: ScoreName) => inputsOf(score).needs.filter((input) => !named.includes(input));
  if (config.scores === undefined) return SCORE_NAMES.filter((score) => lacking(score).length === 0);
  const wanted = SCORE_NAMES.filter((score) => config.scores!.includes(score));
  for (const score of wanted)
    if (lacking(score).length > 0)
      problems.push({
        file: 'cohort.yaml',
        message: `${score} needs ${lacking(score).join(', ')} under clinical.inputs`,
      });
  return wanted;
}

function inputOf(
  name: ClinicalInput,
  entry: ClinicalEntry,
  reader: CellReader,
  row: number,
  at: number,
): number | string | null {
  if (isNumericInput(name)) {
    const value = reader.number(row, entry.column, at);
    const unit = unitFactor(name, entry.unit);
    return Number.isNaN(value) || !('factor' in unit) ? null : value * unit.factor;
  }
  const text = reader.text(row, entry.column, at);
  if (text === null) return null;
  const code = entry.values !== undefined && Object.hasOwn(entry.values, text) ? entry.values[text]! : text;
  const codes: readonly string[] = CODED_INPUTS[name];
  if (codes.includes(code)) return code;
  reader.problem(
    row,
    entry.column,
    `is none of ${codes.join(', ')}; map it under clinical.inputs.${name}.values in cohort.yaml`,
  );
  return null;
}

/** The table with the scores as further columns, missing ones empty. */
export function withScores(table: Table, { names, rows }: ClinicalColumns): Table {
  return {
    ...table,
    header: [...table.header, ...names],
    rows: table.rows.map((cells, row) => [
      ...cells,
      ...rows[row]!.map(({ value }) => (value === null ? '' : String(value))),
    ]),
  };
}

/** For each score how many rows have none, by reason; counts and names of inputs only. */
export function missingScores({ names, rows }: ClinicalColumns): { score: ScoreName; reason: string; rows: number }[] {
  const counts = new Map<string, { score: ScoreName; reason: string; rows: number }>();
  for (const row of rows)
    for (const [at, score] of row.entries()) {
      if (score.value !== null) continue;
      const key = `${names[at]}\n${score.reason}`;
      const entry = counts.get(key);
      if (entry === undefined) counts.set(key, { score: names[at]!, reason: score.reason, rows: 1 });
      else entry.rows++;
    }
  return [...counts.values()];
}
