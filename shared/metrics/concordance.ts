import { type PairSums, pairSumsOf } from './pairs.js';
import { ascendingOrder, denseRanks } from './ranks.js';

/**
 * Harrell's concordance of a risk score (higher = earlier event) as survival::concordance counts it: a pair is usable
 * when the earlier time is an event and the other patient lives longer, or is censored at that same time; two events at
 * one time are no pair; a tied score counts half. O(n log n) by two sweeps over a Fenwick tree of score ranks.
 * time: n, any unit; event: n, 1 = event; score: n.
 */
export function concordancePairSums(score: Float64Array, time: Float64Array, event: Uint8Array): PairSums {
  const n = score.length;
  const { ranks, distinct } = denseRanks(score);
  const order = ascendingOrder(time);
  const concordantOf = new Float64Array(n);
  const pairsOf = new Float64Array(n);

  // Sweep from the last time to the first: each event meets everyone who outlives it.
  const later = new FenwickTree(distinct);
  forEachTime(order, time, 'descending', (rows) => {
    for (const row of rows) if (event[row] === 0) later.add(ranks[row]!);
    for (const row of rows) {
      if (event[row] === 0) continue;
      const lower = later.below(ranks[row]!);
      const tied = later.below(ranks[row]! + 1) - lower;
      concordantOf[row]! += lower + tied / 2;
      pairsOf[row]! += later.total;
    }
    for (const row of rows) if (event[row] === 1) later.add(ranks[row]!);
  });

  // Sweep forwards: everyone meets the events that came before (for the censored, also those at the same time).
  const earlier = new FenwickTree(distinct);
  const meetEvents = (row: number) => {
    const notHigher = earlier.below(ranks[row]! + 1);
    const tied = notHigher - earlier.below(ranks[row]!);
    concordantOf[row]! += earlier.total - notHigher + tied / 2;
    pairsOf[row]! += earlier.total;
  };
  forEachTime(order, time, 'ascending', (rows) => {
    for (const row of rows) if (event[row] === 1) meetEvents(row);
    for (const row of rows) if (event[row] === 1) earlier.add(ranks[row]!);
    for (const row of rows) if (event[row] === 0) meetEvents(row);
  });
  return pairSumsOf(concordantOf, pairsOf);
}

function forEachTime(
  order: Int32Array,
  time: Float64Array,
  direction: 'ascending' | 'descending',
  visit: (rows: Int32Array) => void,
): void {
  const groups: Int32Array[] = [];
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && time[order[to]!] === time[order[from]!]) to++;
    groups.push(order.subarray(from, to));
    from = to;
  }
  if (direction === 'descending') groups.reverse();
  for (const rows of groups) visit(rows);
}

/** Counts per rank with prefix sums in O(log n) (Fenwick 1994). */
class FenwickTree {
  total = 0;
  private readonly sums: Int32Array;

  constructor(size: number) {
    this.sums = new Int32Array(size + 1);
  }

  add(rank: number): void {
    this.total++;
    for (let i = rank + 1; i < this.sums.length; i += i & -i) this.sums[i]!++;
  }

  /** How many added ranks are smaller than `rank`. */
  below(rank: number): number {
    let sum = 0;
    for (let i = rank; i > 0; i -= i & -i) sum += this.sums[i]!;
    return sum;
  }
}
