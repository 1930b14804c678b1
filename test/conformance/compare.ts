import type { Tolerance } from './case-model.js';

export interface Comparison {
  readonly values: number;
  /** The difference, in the stated unit, of the value that lies furthest out in units of its own tolerance. */
  readonly worst: number;
  readonly unit: string;
  readonly tolerance: string;
  readonly passed: boolean;
  /** Where the worst value is, what it is and what the reference has; empty when all are equal. */
  readonly detail: string;
}

/**
 * Passes if |got - want| <= abs + rel |want| for every value, both divided by `scale` (a feature SD) where one is given.
 * Missing must meet missing, and an infinity the same infinity. A tolerance of zero asks for equality.
 */
export function compare(
  want: ArrayLike<number>,
  got: ArrayLike<number>,
  tolerance: Tolerance,
  options: {
    scale?: (index: number) => number;
    label?: (index: number) => string;
    skip?: (index: number) => boolean;
  } = {},
): Comparison {
  const unit = tolerance.unit;
  const shown = `abs ${tolerance.abs} rel ${tolerance.rel}`;
  if (want.length !== got.length)
    return {
      values: want.length,
      worst: Number.POSITIVE_INFINITY,
      unit,
      tolerance: shown,
      passed: false,
      detail: `${got.length} values, the reference has ${want.length}`,
    };
  let values = 0;
  let worst = 0;
  let worstRatio = -1;
  let place = -1;
  for (let index = 0; index < want.length; index++) {
    if (options.skip?.(index)) continue;
    values++;
    const scale = options.scale?.(index) ?? 1;
    const reference = want[index]! / scale;
    const own = got[index]! / scale;
    const difference = differenceOf(own, reference);
    const allowed = tolerance.abs + tolerance.rel * (Number.isFinite(reference) ? Math.abs(reference) : 0);
    const ratio = difference === 0 ? 0 : difference / allowed;
    if (ratio > worstRatio) {
      worstRatio = ratio;
      worst = difference;
      place = index;
    }
  }
  const where = place < 0 ? '' : (options.label?.(place) ?? `value ${place + 1}`);
  const detail = place < 0 || worst === 0 ? '' : `worst at ${where}: ${got[place]} for ${want[place]}`;
  return { values, worst, unit, tolerance: shown, passed: worstRatio <= 1, detail };
}

function differenceOf(own: number, reference: number): number {
  if (Object.is(own, reference) || own === reference) return 0;
  if (Number.isNaN(own) || Number.isNaN(reference)) return Number.POSITIVE_INFINITY;
  return Math.abs(own - reference);
}
