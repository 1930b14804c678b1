/** A texture matrix by its non-zero cells: how often (n) grey level i came with j, which is a grey level, length, size, distance or count. */
export interface Counts {
  readonly i: Int32Array;
  readonly j: Int32Array;
  readonly n: Float64Array;
  /** Voxels that could have contributed: once a direction and slice that the matrix was made from. */
  readonly voxels: number;
}

/** Up to this many cells a matrix is counted in an array, above in a map. */
const DENSE_CELLS = 1 << 22;

/** Counts pairs (i, j) with 1 ≤ i ≤ rows and 1 ≤ j ≤ columns. */
export class Tally {
  readonly #columns: number;
  readonly #dense: Float64Array | null;
  readonly #sparse = new Map<number, number>();
  #voxels = 0;

  constructor(rows: number, columns: number) {
    this.#columns = columns;
    this.#dense = rows * columns <= DENSE_CELLS ? new Float64Array(rows * columns) : null;
  }

  add(i: number, j: number, times = 1): void {
    const key = (i - 1) * this.#columns + j - 1;
    if (this.#dense) this.#dense[key]! += times;
    else this.#sparse.set(key, (this.#sparse.get(key) ?? 0) + times);
  }

  addVoxels(voxels: number): void {
    this.#voxels += voxels;
  }

  addAll(counts: Counts): void {
    for (let k = 0; k < counts.n.length; k++) this.add(counts.i[k]!, counts.j[k]!, counts.n[k]!);
    this.addVoxels(counts.voxels);
  }

  /** Cells in ascending order of i, then j, so that sums over them come out the same however they were counted. */
  counts(): Counts {
    const keys: number[] = [];
    if (this.#dense) {
      for (let key = 0; key < this.#dense.length; key++) if (this.#dense[key] !== 0) keys.push(key);
    } else keys.push(...[...this.#sparse.keys()].sort((a, b) => a - b));
    const at = (key: number): number => (this.#dense ? this.#dense[key]! : this.#sparse.get(key)!);
    return {
      i: Int32Array.from(keys, (key) => Math.floor(key / this.#columns) + 1),
      j: Int32Array.from(keys, (key) => (key % this.#columns) + 1),
      n: Float64Array.from(keys, at),
      voxels: this.#voxels,
    };
  }
}

/** The sum of several matrices. */
export function merged(matrices: readonly Counts[], rows: number): Counts {
  if (matrices.length === 1) return matrices[0]!;
  const columns = matrices.reduce((most, { j }) => j.reduce((high, value) => Math.max(high, value), most), 1);
  const tally = new Tally(rows, columns);
  for (const counts of matrices) tally.addAll(counts);
  return tally.counts();
}
