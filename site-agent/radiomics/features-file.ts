import { z } from 'zod';
import { csvText, numberCell } from '../../shared/csv.js';
import { ConcordatError, type Problem } from '../../shared/errors.js';
import type { Table } from '../cohort-table.site.js';
import type { FeatureSet } from './feature.js';
import { type CanonicalSettings, differingSettings } from './settings-digest.js';

/** A patient's features, or why some or all are missing. */
export interface CaseRow {
  readonly case: string;
  readonly status: 'ok' | 'partial' | 'failed';
  /** Empty, or what is missing and why, and what is remarkable about what is there. Local: it stays at the site. */
  readonly reason: string;
  readonly features: FeatureSet;
  /** Of a table by lesion: which of the case's lesions it is. */
  readonly lesion?: string;
}

/** What a site keeps beside a table of features: which settings it was made with, from which table of images. */
const aboutSchema = z.strictObject({
  format: z.literal('concordat-features-1'),
  digest: z.string(),
  settings: z.record(z.string(), z.unknown()),
  /** SHA-256 of the table of images. */
  images: z.string(),
  cases: z.int(),
});
export type FeaturesAbout = z.output<typeof aboutSchema>;

export function parseAbout(text: string): FeaturesAbout | null {
  try {
    const read = aboutSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}

/** Columns before the features. */
export const CASE_COLUMNS = ['case', 'status', 'reason'] as const;

/** CSV: case, status, reason, then one column a feature; a missing one is empty. A table by lesion has `lesion` after `case`. */
export function caseCsv(rows: readonly CaseRow[], names: readonly string[]): string {
  const byLesion = rows.some(({ lesion }) => lesion !== undefined);
  const lines = rows.map((row) => [
    row.case,
    ...(byLesion ? [row.lesion ?? ''] : []),
    row.status,
    row.reason,
    ...names.map((name) => numberCell(row.features.get(name)?.value ?? null)),
  ]);
  const [first, ...others] = CASE_COLUMNS;
  return csvText([[first, ...(byLesion ? ['lesion'] : []), ...others, ...names], ...lines]);
}

/** All feature names of the rows, in the order in which they first come. */
export function namesOf(rows: readonly CaseRow[]): string[] {
  return [...new Set(rows.flatMap((row) => [...row.features.keys()]))];
}

/**
 * The site's table with the features of each case as further columns; empty for a case without images. `idColumn` is the table's own name of the
 * column that names cases. A decimal comma is written where the table has one.
 *
 * @throws ConcordatError COHORT_INVALID where the table has a column of a feature's name, or no column `idColumn`.
 */
export function withFeatures(table: Table, features: Table, idColumn: string, decimal: '.' | ','): Table {
  const problems: Problem[] = [];
  const names = features.header.slice(CASE_COLUMNS.length);
  const taken = new Set(table.header);
  for (const name of names)
    if (taken.has(name))
      problems.push({
        file: table.file,
        row: 1,
        column: name,
        message: 'the table has a column of this name, and the images give one too',
      });
  const idAt = table.header.indexOf(idColumn);
  if (idAt < 0)
    problems.push({ file: table.file, row: 1, column: idColumn, message: `the table has no column "${idColumn}"` });
  if (problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${table.file} does not go with the features of its images`, {
      problems,
    });
  const byCase = new Map(features.rows.map((cells) => [cells[0]!, cells]));
  const none = names.map(() => '');
  const local = (text: string) => (decimal === ',' ? text.replace('.', ',') : text);
  return {
    ...table,
    header: [...table.header, ...names],
    rows: table.rows.map((cells) => [
      ...cells,
      ...(byCase.get(cells[idAt]!)?.slice(CASE_COLUMNS.length).map(local) ?? none),
    ]),
  };
}

/** Why there are no features for a study's settings, where those of other settings are at hand: in which settings they differ. */
export function otherSettings(wanted: CanonicalSettings, others: readonly FeaturesAbout[]): Problem[] {
  const compared = others.map((about) => differingSettings(wanted, about.settings));
  const closest = compared.sort((a, b) => a.length - b.length)[0] ?? [];
  return closest.map(({ setting, here, there }) => ({
    message: `imaging.${setting}: the study says ${here ?? 'nothing'}, the features at hand were extracted with ${there ?? 'nothing'}`,
  }));
}
