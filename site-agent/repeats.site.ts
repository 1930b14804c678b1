import type { Cohort } from '../shared/cohort.site.js';
import { ConcordatError } from '../shared/errors.js';
import type { Study } from '../shared/study.js';
import { CellReader } from './cohort-cells.site.js';
import type { CohortMapping } from './cohort-config.js';
import type { Table } from './cohort-table.site.js';

/** Column of a table of repeated measurements that names the reading: a reader, a second scan, a perturbation. */
export const READING_COLUMN = 'reading';

/**
 * The cohort with its patients' repeated measurements, which judge the stability of features. The table has the cohort's id column, `reading`, and
 * the features; every reading names the same reader or way of measuring throughout. Rows of cases that the cohort does not have are left
 * aside; a patient who lacks a reading has a gap there.
 *
 * @throws ConcordatError COHORT_INVALID with every problem at once, among them another number of readings than the study's.
 */
export function withRepeats(study: Study, cohort: Cohort, mapping: CohortMapping, table: Table): Cohort {
  const stability = study.selection?.stability;
  if (stability === undefined) return cohort;
  const reader = new CellReader(table, mapping);
  const idAt = mapping.id === null ? null : reader.find(mapping.id);
  const readingAt = reader.find(READING_COLUMN);
  const columns = study.cohort.features.map((name) => ({ name, at: reader.find(name) }));
  const count = stability.repeats;
  const p = columns.length;
  const values = new Float64Array(cohort.n * count * p).fill(Number.NaN);
  if (idAt !== null && readingAt !== null) {
    const readings = [...new Set(table.rows.map((cells) => cells[readingAt]!))].sort();
    if (readings.length !== count)
      reader.problems.push({
        file: table.file,
        column: READING_COLUMN,
        message: `the table has ${readings.length} readings, the study's selection.stability.repeats is ${count}`,
      });
    const rowOf = new Map(cohort.ids.map((id, row) => [id, row]));
    const seen = new Set<string>();
    for (const [at, cells] of table.rows.entries()) {
      const reading = readings.indexOf(cells[readingAt]!);
      const key = JSON.stringify([cells[idAt], reading]);
      if (seen.has(key)) reader.problem(at, READING_COLUMN, 'the case has this reading twice');
      seen.add(key);
      const row = rowOf.get(cells[idAt]!);
      if (row === undefined || reading >= count) continue;
      for (const [feature, { name, at: column }] of columns.entries())
        if (column !== null) values[(row * count + reading) * p + feature] = reader.number(at, name, column);
    }
  }
  if (reader.problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${table.file} has ${reader.problems.length} problems`, {
      problems: reader.problems,
    });
  return { ...cohort, repeats: { count, values } };
}
