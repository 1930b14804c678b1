/** Beyond this a score's exponential would leave the tensor's bound; e^18 times the average hazard is past all use. */
const SCORE_BOUND = 18;

/**
 * Deaths and the mean of the risk set's sum of exp(score), per interval of a grid from 0 to `horizon`: [2, intervals].
 * A death at an edge counts in the interval that ends there.
 */
export function baselineSums(
  rows: Uint8Array,
  time: Float64Array,
  event: Uint8Array,
  eta: Float64Array,
  horizon: number,
  intervals: number,
): Float64Array {
  const sums = new Float64Array(2 * intervals);
  const width = horizon / intervals;
  for (let row = 0; row < rows.length; row++) {
    if (rows[row] === 0) continue;
    const until = time[row]!;
    const weight = Math.exp(Math.min(SCORE_BOUND, Math.max(-SCORE_BOUND, eta[row]!)));
    const last = Math.max(0, Math.ceil(until / width) - 1);
    if (event[row] === 1 && until <= horizon) sums[Math.min(last, intervals - 1)]! += 1;
    for (let g = 0; g < intervals && g <= last; g++)
      sums[intervals + g]! += weight * Math.min(1, Math.max(0, until / width - g));
  }
  return sums;
}
