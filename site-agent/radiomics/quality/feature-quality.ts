/** One feature over the cases of a site. */
export interface FeatureQuality {
  readonly name: string;
  /** Cases with a value, and without. */
  readonly n: number;
  readonly missing: number;
  readonly missingShare: number;
  /** All values there are equal; with one value or none there is nothing to tell. */
  readonly constant: boolean;
  readonly median: number | null;
  /** Rows whose value lies far from the others. */
  readonly outliers: readonly number[];
  /** An earlier feature that says the same: correlation ±1. */
  readonly duplicateOf: string | null;
}

/** Modified z-scores beyond this are outliers: B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers, ASQC 1993. */
export const OUTLIER_SCORE = 3.5;
/** |r| this near to 1 is rounding. */
const SAME = 1 - 1e-10;
/** A spread of this share of the values themselves is rounding: the feature is constant. */
const ROUNDING = 1e-12;

/**
 * Quality of each feature. `columns[f][row]` is a value or null where it is missing; a value that is not finite counts as missing.
 *
 * An outlier's modified z-score 0.6745·(x − median)/MAD is beyond ±3.5, MAD being the median absolute deviation; where more than half of the values are
 * equal, MAD is 0 and nothing is called an outlier. A duplicate has the same cases missing as an earlier feature and correlates with it by ±1 to 1e-10,
 * over three cases or more.
 */
export function featureQuality(
  names: readonly string[],
  columns: readonly (readonly (number | null)[])[],
): FeatureQuality[] {
  const representatives: { readonly name: string; readonly gaps: string; readonly standard: Float64Array }[] = [];
  return names.map((name, f): FeatureQuality => {
    const column = columns[f]!.map((value) => (value !== null && Number.isFinite(value) ? value : null));
    const values = Float64Array.from(column.filter((value) => value !== null));
    const missing = column.length - values.length;
    const constant = values.length > 1 && isConstant(values);
    const standard = constant || values.length < 3 ? null : standardized(values);
    const gaps = column.flatMap((value, row) => (value === null ? [row] : [])).join(',');
    const same =
      standard === null
        ? undefined
        : representatives.find((one) => one.gaps === gaps && Math.abs(dot(one.standard, standard)) >= SAME);
    if (standard !== null && same === undefined) representatives.push({ name, gaps, standard });
    return {
      name,
      n: values.length,
      missing,
      missingShare: column.length === 0 ? 0 : missing / column.length,
      constant,
      median: values.length === 0 ? null : median(values),
      outliers: outliersOf(column, values),
      duplicateOf: same?.name ?? null,
    };
  });
}

function isConstant(values: Float64Array): boolean {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high - low <= ROUNDING * Math.max(Math.abs(low), Math.abs(high));
}

function median(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function outliersOf(column: readonly (number | null)[], values: Float64Array): number[] {
  if (values.length < 3) return [];
  const middle = median(values);
  const deviation = median(values.map((value) => Math.abs(value - middle)));
  if (!(deviation > 0)) return [];
  return column.flatMap((value, row) =>
    value !== null && Math.abs((0.6745 * (value - middle)) / deviation) > OUTLIER_SCORE ? [row] : [],
  );
}

/** Mean 0 and length 1, so that a product of two is their correlation. */
function standardized(values: Float64Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const centred = values.map((value) => value - mean);
  const length = Math.sqrt(dot(centred, centred));
  return centred.map((value) => value / length);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
