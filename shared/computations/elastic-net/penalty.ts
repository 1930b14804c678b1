/**
 * The elastic-net penalty and its optimality conditions, on the standardized scale:
 *
 *   -loglik(b)/n + lambda * sum_j (alpha |v_j b_j| + (1 - alpha)/2 (v_j b_j)^2)      (glmnet's objective)
 *
 * v_j is 1 where standardized predictors are penalised, 1/sd_j where the original ones are.
 */
export interface Penalty {
  readonly alpha: number;
  readonly factors: Float64Array;
}

export function penaltyValue(penalty: Penalty, columns: Int32Array, beta: Float64Array): number {
  let sum = 0;
  for (let a = 0; a < columns.length; a++) {
    const scaled = penalty.factors[columns[a]!]! * beta[a]!;
    sum += penalty.alpha * Math.abs(scaled) + 0.5 * (1 - penalty.alpha) * scaled * scaled;
  }
  return sum;
}

/**
 * Smallest lambda at which every coefficient is 0: max |g_j| / (n v_j alpha) at the null model. glmnet computes it for
 * alpha = 0 as if alpha were 1e-3. Columns without variance have gradient 0 and cannot enter.
 */
export function lambdaMax(penalty: Penalty, gradient: Float64Array, n: number): number {
  const alpha = Math.max(penalty.alpha, 1e-3);
  let largest = 0;
  for (let j = 0; j < gradient.length; j++) {
    const factor = penalty.factors[j]!;
    if (!(factor > 0)) continue;
    const value = Math.abs(gradient[j]!) / (n * factor * alpha);
    if (value > largest) largest = value;
  }
  return largest;
}

/**
 * Geometric path from `largest` down to ratio * largest. `coxnet`: glmnet's Cox routine takes the exponent 1/(count - 1)
 * in single precision, which moves its path by up to 1.5e-8; followed so that both give the same path.
 */
export function lambdaSequence(largest: number, ratio: number, count: number, coxnet: boolean): Float64Array {
  const lambdas = new Float64Array(count);
  const exponent = 1 / Math.max(1, count - 1);
  const step = Math.log(ratio) * (coxnet ? Math.fround(exponent) : exponent);
  for (let k = 0; k < count; k++) lambdas[k] = k === 0 ? largest : largest * Math.exp(step * k);
  return lambdas;
}

/** Largest violation of the optimality conditions, over all predictors and the intercept, in units of gradient / n. */
export function kktViolation(
  penalty: Penalty,
  lambda: number,
  n: number,
  gradient: Float64Array,
  interceptGradient: number,
  columns: Int32Array,
  beta: Float64Array,
): number {
  const { alpha, factors } = penalty;
  const dense = new Float64Array(gradient.length);
  for (let a = 0; a < columns.length; a++) dense[columns[a]!] = beta[a]!;
  let worst = Math.abs(interceptGradient) / n;
  for (let j = 0; j < gradient.length; j++) {
    const factor = factors[j]!;
    if (!(factor > 0)) continue;
    const l1 = lambda * alpha * factor;
    const slope = gradient[j]! / n - lambda * (1 - alpha) * factor * factor * dense[j]!;
    const violation = dense[j] === 0 ? Math.max(0, Math.abs(slope) - l1) : Math.abs(slope - l1 * Math.sign(dense[j]!));
    // A NaN must not pass for a solution.
    if (!(violation <= worst)) worst = violation;
  }
  return worst;
}

/**
 * Predictors that may be non-zero at `next`, judged from the gradient near the solution at `current` (sequential strong
 * rule, Tibshirani et al. 2012, JRSS B 74, eq. 6). It can err; the optimality conditions over all predictors decide.
 */
export function strongSet(
  penalty: Penalty,
  current: number,
  next: number,
  n: number,
  gradient: Float64Array,
  keep: Int32Array,
): Int32Array {
  const { alpha, factors } = penalty;
  const threshold = Math.min(2 * next - current, next) * alpha;
  const chosen = new Uint8Array(gradient.length);
  for (const j of keep) chosen[j] = 1;
  for (let j = 0; j < gradient.length; j++)
    if (factors[j]! > 0 && Math.abs(gradient[j]!) / n >= threshold * factors[j]!) chosen[j] = 1;
  return indicesOf(chosen);
}

export function indicesOf(chosen: Uint8Array): Int32Array {
  const indices: number[] = [];
  for (let j = 0; j < chosen.length; j++) if (chosen[j] === 1) indices.push(j);
  return Int32Array.from(indices);
}
