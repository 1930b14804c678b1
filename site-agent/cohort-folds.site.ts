import { rankKey } from '../shared/rng.js';

/** What fold and calibration drawing needs of one site's kept rows. */
export interface DrawnRow {
  readonly id: string;
  /** Outcome class: y, or the event indicator. */
  readonly outcomeClass: number;
  readonly train: boolean;
}

/**
 * Inner-fold cell of every row of one site. Within each outcome class rows stand in the order of a seeded key of
 * (site, id) and are dealt out in turn; the next class goes on where the last one stopped, so cells differ by at most one
 * row and classes are spread evenly. Test rows are dealt after the training rows. The key knows only seed, site and
 * id: whoever holds the rows draws the same cells.
 */
export function drawCells(seed: number, site: string, rows: readonly DrawnRow[], cells: number): Int32Array {
  const keys = rows.map((row) => rankKey(seed, 'fold', site, row.id));
  const order = rows.map((_, index) => index);
  order.sort((a, b) => {
    const left = rows[a]!;
    const right = rows[b]!;
    if (left.train !== right.train) return left.train ? -1 : 1;
    if (left.outcomeClass !== right.outcomeClass) return left.outcomeClass - right.outcomeClass;
    return keys[a]! < keys[b]! ? -1 : 1;
  });
  const cellOf = new Int32Array(rows.length);
  for (const [position, index] of order.entries()) cellOf[index] = position % cells;
  return cellOf;
}

/** Marks the first min(cases, floor(n / 2)) rows of one site by a seeded key: what it is calibrated on when held out. */
export function drawCalibration(seed: number, site: string, ids: readonly string[], cases: number): Uint8Array {
  const keys = ids.map((id) => rankKey(seed, 'calibration', site, id));
  const order = ids.map((_, index) => index).sort((a, b) => (keys[a]! < keys[b]! ? -1 : 1));
  const marks = new Uint8Array(ids.length);
  for (const index of order.slice(0, Math.min(cases, Math.floor(ids.length / 2)))) marks[index] = 1;
  return marks;
}
