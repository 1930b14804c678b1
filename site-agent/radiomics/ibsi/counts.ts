/** A texture matrix by its non-zero cells: how often (n) grey level i came with j, which is a grey level, length, size, distance or count. */
export interface Counts {
  readonly i: Int32Array;
  readonly j: Int32Array;
  readonly n: Float64Array;
  /** Voxels that could have contributed: once for each direction and slice that the matrix was made from. */
  readonly voxels: number;
}

/** The cells that `fill` adds, in the order of i, then j; those without a count are left out. */
export function countsOf(voxels: number, fill: (add: (i: number, j: number, count: number) => void) => void): Counts {
  const cells: number[] = [];
  fill((i, j, count) => {
    if (count !== 0) cells.push(i, j, count);
  });
  const column = (k: number): number[] => Array.from({ length: cells.length / 3 }, (_, c) => cells[3 * c + k]!);
  return { i: Int32Array.from(column(0)), j: Int32Array.from(column(1)), n: Float64Array.from(column(2)), voxels };
}

/** Up to this many cells a matrix is counted in an array, above in a map. */
const DENSE_CELLS = 1 << 20;

/** Counts pairs (row, j) with 1 ≤ row ≤ rows and 1 ≤ j ≤ columns. */
export class Tally {
  readonly #columns: number;
  readonly #dense: Float64Array | null;
  readonly #sparse = new Map<number, number>();

  constructor(rows: number, columns: number) {
    this.#columns = columns;
    this.#dense = rows * columns <= DENSE_CELLS ? new Float64Array(rows * columns) : null;
  }

  add(row: number, j: number, times = 1): void {
    const key = (row - 1) * this.#columns + j - 1;
    if (this.#dense) this.#dense[key]! += times;
    else this.#sparse.set(key, (this.#sparse.get(key) ?? 0) + times);
  }

  /** Cells in ascending order, so that sums over them come out the same however they were counted; row r is grey level `levels[r - 1]`. */
  counts(voxels: number, levels: ArrayLike<number>): Counts {
    const columns = this.#columns;
    return countsOf(voxels, (add) => {
      const put = (key: number, count: number): void =>
        add(levels[Math.floor(key / columns)]!, (key % columns) + 1, count);
      if (this.#dense)
        this.#dense.forEach((count, key) => {
          put(key, count);
        });
      else for (const key of Float64Array.from(this.#sparse.keys()).sort()) put(key, this.#sparse.get(key)!);
    });
  }
}

/** The sum of several matrices. */
export function merged(matrices: readonly Counts[]): Counts {
  if (matrices.length === 1) return matrices[0]!;
  const highest = (pick: (counts: Counts) => Int32Array): number =>
    matrices.reduce((most, counts) => pick(counts).reduce((high, value) => Math.max(high, value), most), 1);
  const rows = highest(({ i }) => i);
  const tally = new Tally(
    rows,
    highest(({ j }) => j),
  );
  let voxels = 0;
  for (const { i, j, n, voxels: more } of matrices) {
    for (let k = 0; k < n.length; k++) tally.add(i[k]!, j[k]!, n[k]!);
    voxels += more;
  }
  return tally.counts(
    voxels,
    Array.from({ length: rows }, (_, row) => row + 1),
  );
}
