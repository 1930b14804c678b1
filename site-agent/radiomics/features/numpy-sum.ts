/**
 * Sums in the order in which numpy adds: parts of 8,192 one after another, each of them halved down to blocks of at most 128 that are
 * summed in eight lanes. The order decides the last bit, and with it whether the mean of equal values is that value: in a flat region
 * skewness and kurtosis are 0 and 0 where it is, ±1 and 1 where it is not.
 *
 * Source: numpy, pairwise_sum in loops_utils.h.src and the buffer of its iterator (numpy 1.24).
 */
export function numpySum(values: ArrayLike<number>, round: Rounding = exact): number {
  let sum = 0;
  for (let from = 0; from < values.length; from += BUFFER)
    sum = round(sum + pairwise(values, from, Math.min(values.length, from + BUFFER), round));
  return sum;
}

/** What an operation's result is rounded to: `Math.fround` where numpy sums in float32. */
export type Rounding = (value: number) => number;

export const exact: Rounding = (value) => value;

const BUFFER = 8192;
const BLOCK = 128;
const LANES = 8;

function pairwise(values: ArrayLike<number>, from: number, to: number, round: Rounding): number {
  const count = to - from;
  if (count < LANES) {
    let sum = 0;
    for (let k = from; k < to; k++) sum = round(sum + values[k]!);
    return sum;
  }
  if (count > BLOCK) {
    const half = Math.floor(count / 2);
    const middle = from + half - (half % LANES);
    return round(pairwise(values, from, middle, round) + pairwise(values, middle, to, round));
  }
  const lanes = new Float64Array(LANES);
  const whole = to - (count % LANES);
  for (let k = 0; k < LANES; k++) lanes[k] = values[from + k]!;
  for (let k = from + LANES; k < whole; k += LANES)
    for (let lane = 0; lane < LANES; lane++) lanes[lane] = round(lanes[lane]! + values[k + lane]!);
  const two = (a: number): number => round(lanes[a]! + lanes[a + 1]!);
  let sum = round(round(two(0) + two(2)) + round(two(4) + two(6)));
  for (let k = whole; k < to; k++) sum = round(sum + values[k]!);
  return sum;
}
