/** Row indices in ascending order of `values`; equal values keep row order. */
export function ascendingOrder(values: Float64Array): Int32Array {
  const order = Int32Array.from(values, (_, index) => index);
  return order.sort((a, b) => values[a]! - values[b]! || a - b);
}

/** Midranks, 1-based: equal values share the mean of their ranks. O(n log n). */
export function midranks(values: Float64Array): Float64Array {
  const order = ascendingOrder(values);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    const rank = (from + 1 + to) / 2;
    for (let i = from; i < to; i++) ranks[order[i]!] = rank;
    from = to;
  }
  return ranks;
}

/** Position of each value among the distinct values, 0-based: equal values share one. */
export function denseRanks(values: Float64Array): { ranks: Int32Array; distinct: number } {
  const order = ascendingOrder(values);
  const ranks = new Int32Array(values.length);
  let distinct = 0;
  for (let i = 0; i < order.length; i++) {
    if (i > 0 && values[order[i]!] !== values[order[i - 1]!]) distinct++;
    ranks[order[i]!] = distinct;
  }
  return { ranks, distinct: order.length === 0 ? 0 : distinct + 1 };
}
