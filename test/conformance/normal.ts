/**
 * Two-sided p-value of a standard normal statistic, 2 * (1 - Phi(|z|)) = erfc(|z| / sqrt 2), to about 1e-14 relative:
 * the series of erf below 2, the continued fraction of erfc above (Abramowitz and Stegun 7.1.5 and 7.1.14).
 */
export function twoSidedP(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  if (Number.isNaN(x)) return Number.NaN;
  if (x < 2) return 1 - erfSeries(x);
  let fraction = 0;
  for (let k = 200; k >= 1; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + fraction));
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; k < 200; k++) {
    term *= (-x * x) / k;
    const part = term / (2 * k + 1);
    sum += part;
    if (Math.abs(part) < 1e-18 * Math.abs(sum)) break;
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
