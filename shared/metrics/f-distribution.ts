/**
 * Distribution function and quantiles of F, through the regularized incomplete beta function (Abramowitz and Stegun 26.6.2, 26.5; the
 * continued fraction by Lentz's method). Degrees of freedom need not be whole: Satterthwaite's are not.
 */

/** P(F <= x) with `df1` and `df2` degrees of freedom; 0 below 0. */
export function fCdf(x: number, df1: number, df2: number): number {
  if (!(x > 0)) return 0;
  if (x === Number.POSITIVE_INFINITY) return 1;
  return incompleteBeta((df1 * x) / (df1 * x + df2), df1 / 2, df2 / 2);
}

/**
 * Smallest x with P(F <= x) >= p, for 0 < p < 1, by bisection on the share x df1 / (x df1 + df2), which lies in (0, 1); on the other share where that is
 * the smaller one, so that a quantile far out keeps its digits. Infinite where it is beyond the largest double.
 */
export function fQuantile(p: number, df1: number, df2: number): number {
  if (incompleteBeta(0.5, df1 / 2, df2 / 2) < p) {
    const rest = leastShare((share) => incompleteBeta(share, df2 / 2, df1 / 2) >= 1 - p);
    return (df2 * (1 - rest)) / (df1 * rest);
  }
  const share = leastShare((at) => incompleteBeta(at, df1 / 2, df2 / 2) >= p);
  return (df2 * share) / (df1 * (1 - share));
}

/** Smallest double in (0, 1) that `holds`, which every larger one does too. */
function leastShare(holds: (share: number) => boolean): number {
  let low = 0;
  let high = 1;
  // A share may be as small as 1e-308: a halving for each power of two, and one for each bit.
  for (let step = 0; step < 1100; step++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges quickly on this side of the mean only; the other side by symmetry.
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(1 - x, b, a)) / b;
}

function fraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) break;
  }
  return result;
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/** Natural logarithm of the gamma function for x > 0 (Lanczos 1964, g = 7). */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const t = x - 1 + 7.5;
  const sum = LANCZOS.reduce((total, weight, at) => total + weight / (x + at), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}
