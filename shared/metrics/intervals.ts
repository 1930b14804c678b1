/** 97.5 % quantile of the standard normal, as R's qnorm(0.975) prints it. */
export const Z_975 = 1.959963984540054;

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Wald interval value -+ 1.96 se, cut at `floor` and `ceiling` (an AUC's interval stays within [0, 1], as in pROC). */
export function waldInterval(value: number, se: number, floor = -Infinity, ceiling = Infinity): Estimate {
  return { value, low: Math.max(floor, value - Z_975 * se), high: Math.min(ceiling, value + Z_975 * se) };
}

/** Wilson's score interval of a proportion (Wilson 1927; prop.test without continuity correction). `total` > 0. */
export function wilsonInterval(successes: number, total: number): Estimate {
  const z2 = Z_975 * Z_975;
  const value = successes / total;
  const centre = (value + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z_975 / (1 + z2 / total)) * Math.sqrt((value * (1 - value)) / total + z2 / (4 * total * total));
  return { value, low: successes === 0 ? 0 : centre - half, high: successes === total ? 1 : centre + half };
}
