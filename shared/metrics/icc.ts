import { fQuantile } from './f-distribution.js';

/**
 * Intraclass correlation of repeated measurements: the shares of variance of Shrout and Fleiss, Psychol Bull 1979;86:420-8, with the intervals
 * of McGraw and Wong, Psychol Methods 1996;1:30-46. Sums of several sites add up: subjects are centred by site and raters nested in site, so
 * that a difference between scanners is no variance between subjects. With one site the values are those of the papers.
 */
export type IccKind = 'ICC(1,1)' | 'ICC(2,1)' | 'ICC(3,1)';
export const ICC_KINDS: readonly IccKind[] = ['ICC(1,1)', 'ICC(2,1)', 'ICC(3,1)'];

/** Sums of squares of one feature with k measurements of every subject. They and the counts add up over sites. */
export interface AnovaSums {
  readonly sites: number;
  readonly subjects: number;
  /** k times the squared distances of subjects' means from their site's mean. */
  readonly between: number;
  /** Squared distances of measurements from their subject's mean. */
  readonly within: number;
  /** Subjects times the squared distances of raters' means from their site's mean. */
  readonly raters: number;
}

/** One site's sums of `values`, subjects × k row-major. A site of one subject has nothing to tell and gives zeros. */
export function anovaSums(values: Float64Array, k: number): AnovaSums {
  const n = values.length / k;
  if (n < 2) return { sites: 0, subjects: 0, between: 0, within: 0, raters: 0 };
  const subject = new Float64Array(n);
  const rater = new Float64Array(k);
  let grand = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < k; j++) {
      const value = values[i * k + j]!;
      subject[i]! += value / k;
      rater[j]! += value / n;
      grand += value / (n * k);
    }
  let between = 0;
  let within = 0;
  let raters = 0;
  for (let i = 0; i < n; i++) {
    between += k * (subject[i]! - grand) * (subject[i]! - grand);
    for (let j = 0; j < k; j++) {
      const off = values[i * k + j]! - subject[i]!;
      within += off * off;
    }
  }
  for (let j = 0; j < k; j++) raters += n * (rater[j]! - grand) * (rater[j]! - grand);
  return { sites: 1, subjects: n, between, within, raters };
}

export interface Icc {
  /** Null where nothing varies or too few subjects are left. Estimates below 0 stay as they are. */
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

const UNDEFINED: Icc = { value: null, low: null, high: null };

/** The coefficient with its two-sided interval at `level` (0.95), from sums over one or more sites. */
export function icc(kind: IccKind, sums: AnovaSums, k: number, level = 0.95): Icc {
  const { sites, subjects } = sums;
  const betweenDf = subjects - sites;
  if (k < 2 || sites < 1 || betweenDf < 1) return UNDEFINED;
  const between = sums.between / betweenDf;
  const tail = 1 - (1 - level) / 2;
  if (kind === 'ICC(1,1)') {
    const df = subjects * (k - 1);
    return oneWay(between, sums.within / df, betweenDf, df, k, tail);
  }
  const errorDf = betweenDf * (k - 1);
  // The rest of the within-subject sum once raters are taken out; rounding may leave it a hair below 0.
  const error = Math.max(0, sums.within - sums.raters) / errorDf;
  if (kind === 'ICC(3,1)') return oneWay(between, error, betweenDf, errorDf, k, tail);
  return agreement(between, error, sums.raters / (sites * (k - 1)), { sites, subjects, betweenDf, errorDf, k, tail });
}

function oneWay(between: number, error: number, df1: number, df2: number, k: number, tail: number): Icc {
  const total = between + (k - 1) * error;
  if (!(total > 0)) return UNDEFINED;
  const value = (between - error) / total;
  if (error === 0) return { value, low: 1, high: 1 };
  const f = between / error;
  const bound = (ratio: number) => (ratio - 1) / (ratio + k - 1);
  return { value, low: bound(f / fQuantile(tail, df1, df2)), high: bound(f * fQuantile(tail, df2, df1)) };
}

interface Design {
  readonly sites: number;
  readonly subjects: number;
  readonly betweenDf: number;
  readonly errorDf: number;
  readonly k: number;
  readonly tail: number;
}

/** ICC(2,1); `n` is the mean number of subjects that a rater measured. McGraw and Wong 1996, table 7, for the interval. */
function agreement(between: number, error: number, raters: number, design: Design): Icc {
  const { k, tail, betweenDf, errorDf } = design;
  const n = design.subjects / design.sites;
  const total = between + (k - 1) * error + (k * (raters - error)) / n;
  if (!(total > 0)) return UNDEFINED;
  const value = (between - error) / total;
  if (value >= 1) return { value, low: 1, high: 1 };
  const a = (k * value) / (n * (1 - value));
  const b = 1 + (k * value * (n - 1)) / (n * (1 - value));
  const top = a * raters + b * error;
  const df = (top * top) / ((a * raters * a * raters) / (design.sites * (k - 1)) + (b * error * b * error) / errorDf);
  if (!(df > 0)) return { value, low: null, high: null };
  const lowF = fQuantile(tail, betweenDf, df);
  const highF = fQuantile(tail, df, betweenDf);
  const spread = k * raters + (k * n - k - n) * error;
  return {
    value,
    low: (n * (between - lowF * error)) / (lowF * spread + n * between),
    high: (n * (highF * between - error)) / (spread + n * highF * between),
  };
}
