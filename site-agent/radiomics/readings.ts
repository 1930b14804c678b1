import { ConcordatError } from '../../shared/errors.js';
import type { Perturbation } from '../../shared/perturbation.js';
import type { Stability } from '../../shared/study.js';
import type { ImageRow } from '../imaging/images-table.js';

/** Where readings of images come from. */
export type ReadingSource = Exclude<NonNullable<Stability['source']>, { readonly type: 'table' }>;

/** One reading of a site's lesions: the images and masks that it is of. */
export interface Reading {
  /** 1 for the first. */
  readonly number: number;
  /** The reader's rows, without the name. */
  readonly rows: readonly ImageRow[];
  readonly perturbation: Perturbation | null;
}

/**
 * The readings of a table of images. Of readers, the one without a name is the first, the others follow by name, and only cases that a named
 * reader has read take part; a site where nobody read twice has none. Of perturbations there are as many as `repeats` says.
 *
 * @throws ConcordatError COHORT_INVALID where there are other than `repeats` readers; null takes as many as there are.
 */
export function readingsOf(source: ReadingSource, repeats: number | null, rows: readonly ImageRow[]): Reading[] {
  const own = rows.filter(({ reader }) => reader === '');
  if (source.type === 'perturbations') {
    const { type: _type, ...perturbation } = source;
    return Array.from({ length: repeats ?? 2 }, (_, at) => ({ number: at + 1, rows: own, perturbation }));
  }
  const names = [...new Set(rows.map(({ reader }) => reader))].filter((name) => name !== '').sort();
  if (names.length === 0) return [];
  if (repeats !== null && names.length + 1 !== repeats)
    throw new ConcordatError(
      'COHORT_INVALID',
      `the table of images has ${names.length + 1} readers, the study's selection.stability.repeats is ${repeats}`,
      { hint: 'The reader without a name is the first; leave out the rows of those who are too many.' },
    );
  const reread = new Set(rows.filter(({ reader }) => reader !== '').map((row) => row.case));
  return ['', ...names].map((name, at) => ({
    number: at + 1,
    rows: rows.filter((row) => row.reader === name && reread.has(row.case)).map((row) => ({ ...row, reader: '' })),
    perturbation: null,
  }));
}
