/**
 * The values of given ranks (0 the smallest). Whole numbers of a moderate range are counted; others are partitioned around medians of
 * three until every rank is in place (Hoare's selection, several ranks at once), which touches each value a few times where a sort would
 * touch it log n times.
 */
export function orderStatistics(values: Float64Array, ranks: readonly number[]): number[] {
  if (values.length === 0) return ranks.map(() => Number.NaN);
  const counted = byCounting(values, ranks);
  if (counted !== null) return counted;
  const work = values.slice();
  const wanted = [...new Set(ranks)].sort((a, b) => a - b);
  select(work, 0, work.length - 1, wanted, 0, wanted.length);
  return ranks.map((rank) => work[rank]!);
}

const LARGEST_RANGE = 1 << 20;

function byCounting(values: Float64Array, ranks: readonly number[]): number[] | null {
  let lowest = values[0]!;
  let highest = lowest;
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!;
    if (value !== Math.floor(value)) return null;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  if (!(highest - lowest < LARGEST_RANGE)) return null;
  const counts = new Uint32Array(highest - lowest + 1);
  for (let k = 0; k < values.length; k++) counts[values[k]! - lowest]!++;
  const order = [...ranks.keys()].sort((a, b) => ranks[a]! - ranks[b]!);
  const found = new Array<number>(ranks.length);
  let below = 0;
  let at = 0;
  for (const k of order) {
    while (below + counts[at]! <= ranks[k]!) below += counts[at++]!;
    found[k] = lowest + at;
  }
  return found;
}

/** Puts the ranks wanted[first..last) into place within work[low..high]. */
function select(
  work: Float64Array,
  low: number,
  high: number,
  wanted: readonly number[],
  first: number,
  last: number,
): void {
  let [from, to, a, b] = [low, high, first, last];
  while (a < b) {
    if (to - from < 32) {
      work.subarray(from, to + 1).sort();
      return;
    }
    const pivot = middle(work[from]!, work[(from + to) >> 1]!, work[to]!);
    let i = from;
    let j = to;
    while (i <= j) {
      while (work[i]! < pivot) i++;
      while (work[j]! > pivot) j--;
      if (i > j) break;
      const kept = work[i]!;
      work[i++] = work[j]!;
      work[j--] = kept;
    }
    // Now work[from..j] ≤ pivot ≤ work[i..to], and what lies between equals the pivot.
    let left = a;
    while (left < b && wanted[left]! <= j) left++;
    let right = left;
    while (right < b && wanted[right]! < i) right++;
    select(work, from, j, wanted, a, left);
    from = i;
    a = right;
  }
}

const middle = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
