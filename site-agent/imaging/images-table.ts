import { ConcordatError, type Problem } from '../../shared/errors.js';
import type { Table } from '../cohort-table.site.js';

/** One row of a site's table of images: an image of a case with the mask of a lesion. Paths are as the table has them. */
export interface ImageRow {
  readonly case: string;
  /** Contrast phase or sequence; empty where the table has no such column. */
  readonly phase: string;
  /** Time point; empty where there is one only. */
  readonly timepoint: string;
  readonly image: string;
  readonly mask: string;
  /** Value of the lesion's voxels in the mask. */
  readonly label: number;
  /** Which lesion of the case it is, the same in every phase, time point and reading; the label unless the table names lesions. */
  readonly lesion: string;
  /** Mask of the organ, by default the lesion's own file; null where the table names none. */
  readonly organ: string | null;
  /** Value of the organ's voxels. The lesion always counts as part of its organ. */
  readonly organLabel: number;
  /** Day of the examination, for delta features; null where the table has none. */
  readonly date: string | null;
  /** Who drew the mask; empty for the reading that counts. Others serve to judge stability. */
  readonly reader: string;
}

const COLUMNS = [
  'case',
  'phase',
  'timepoint',
  'image',
  'mask',
  'label',
  'lesion',
  'organ',
  'organ_label',
  'date',
  'reader',
] as const;
const NEEDED = ['case', 'image', 'mask'] as const;

/**
 * @throws ConcordatError COHORT_INVALID with every problem at once: columns that are missing or unknown, empty cells, labels that are no whole
 * numbers, dates that are none, the same case, phase, time point, label and reader twice.
 */
export function imageRows(table: Table): ImageRow[] {
  const problems: Problem[] = [];
  const at = new Map(table.header.map((name, index) => [name, index]));
  for (const name of NEEDED)
    if (!at.has(name))
      problems.push({ file: table.file, row: 1, column: name, message: `the table has no column "${name}"` });
  for (const name of table.header)
    if (!(COLUMNS as readonly string[]).includes(name))
      problems.push({
        file: table.file,
        row: 1,
        column: name,
        message: `unknown column; known are ${COLUMNS.join(', ')}`,
      });
  const seen = new Map<string, number>();
  const rows = table.rows.map((cells, row): ImageRow => {
    const cell = (name: (typeof COLUMNS)[number]) => (at.has(name) ? cells[at.get(name)!]! : '');
    const problem = (column: string, message: string) =>
      problems.push({ file: table.file, row: row + 2, column, message });
    const label = (name: 'label' | 'organ_label'): number | null => {
      if (cell(name) === '') return null;
      if (/^\d{1,9}$/.test(cell(name)) && Number(cell(name)) > 0) return Number(cell(name));
      problem(name, 'is no whole number from 1');
      return null;
    };
    for (const name of NEEDED) if (at.has(name) && cell(name) === '') problem(name, 'is empty');
    const date = cell('date') === '' ? null : cell('date');
    if (date !== null && !isDay(date)) problem('date', 'is no day written as 2026-11-21');
    const organLabel = label('organ_label');
    const found: ImageRow = {
      case: cell('case'),
      phase: cell('phase'),
      timepoint: cell('timepoint'),
      image: cell('image'),
      mask: cell('mask'),
      label: label('label') ?? 1,
      lesion: cell('lesion') !== '' ? cell('lesion') : String(label('label') ?? 1),
      organ: cell('organ') !== '' ? cell('organ') : organLabel === null ? null : cell('mask'),
      organLabel: organLabel ?? 1,
      date,
      reader: cell('reader'),
    };
    const key = JSON.stringify([found.case, found.phase, found.timepoint, found.mask, found.label, found.reader]);
    const before = seen.get(key);
    if (before !== undefined) problem('case', `the same image and lesion stand in row ${before}`);
    seen.set(key, row + 2);
    return found;
  });
  if (problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${table.file} has ${problems.length} problems`, { problems });
  return rows;
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
