import { fCdf, fQuantile } from './f-distribution.js';

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

/**
 * One site's sums of `values`, subjects × k row-major. A site of one subject has nothing to tell and gives zeros. Differences from the first subject and
 * the first rater are what is added up, so that equal measurements, equal subjects and equal raters give exact zeros and not what rounding leaves.
 */
export function anovaSums(values: Float64Array, k: number): AnovaSums {
  const n = values.length / k;
  if (n < 2) return { sites: 0, subjects: 0, between: 0, within: 0, raters: 0 };
  const subject = new Float64Array(n);
  const rater = new Float64Array(k);
  let within = 0;
  for (let i = 0; i < n; i++) {
    const first = values[i * k]!;
    let own = 0;
    let mean = 0;
    for (let j = 0; j < k; j++) {
      own += values[i * k + j]! - values[j]!;
      mean += (values[i * k + j]! - first) / k;
      rater[j]! += (values[i * k + j]! - first) / n;
    }
    subject[i] = own / k;
    for (let j = 0; j < k; j++) {
      const off = values[i * k + j]! - first - mean;
      within += off * off;
    }
  }
  return { sites: 1, subjects: n, between: k * squaresAboutMean(subject), within, raters: n * squaresAboutMean(rater) };
}

/** The first entry is 0. */
function squaresAboutMean(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  return values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0);
}

/** The rest of the within-subject sum once raters are taken out; of what is below this share of it only rounding is known. */
const ROUNDING_SHARE = 1e-13;
function residual({ within, raters }: AnovaSums): number {
  const rest = within - raters;
  return rest <= ROUNDING_SHARE * within ? 0 : rest;
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
  const error = residual(sums) / errorDf;
  if (kind === 'ICC(3,1)') return oneWay(between, error, betweenDf, errorDf, k, tail);
  return agreement(between, error, sums.raters / (sites * (k - 1)), { sites, subjects, betweenDf, errorDf, k, tail });
}

/**
 * Reliability of the mean of the k measurements, ICC(1,k), ICC(2,k) or ICC(3,k), from that of a single one: Spearman and Brown's
 * formula, which the averaged forms of Shrout and Fleiss and both ends of McGraw and Wong's intervals obey.
 */
export function iccOfMean(single: Icc, k: number): Icc {
  const averaged = (value: number | null): number | null => {
    if (value === null) return null;
    const whole = 1 + (k - 1) * value;
    return whole > 0 ? (k * value) / whole : null;
  };
  return { value: averaged(single.value), low: averaged(single.low), high: averaged(single.high) };
}

/** The test that subjects do not differ. `f` is infinite where measurements agree wholly, null where nothing varies. */
export interface IccTest {
  readonly f: number | null;
  readonly df1: number;
  readonly df2: number;
  /** P(F >= f) where subjects do not differ. */
  readonly p: number | null;
}

/** Mean square between subjects over that within (one-way) or over the residual one (two-way). Shrout and Fleiss 1979, table 3. */
export function iccTest(kind: IccKind, sums: AnovaSums, k: number): IccTest {
  const df1 = sums.subjects - sums.sites;
  const df2 = kind === 'ICC(1,1)' ? sums.subjects * (k - 1) : df1 * (k - 1);
  if (k < 2 || sums.sites < 1 || df1 < 1) return { f: null, df1, df2, p: null };
  const error = (kind === 'ICC(1,1)' ? sums.within : residual(sums)) / df2;
  const between = sums.between / df1;
  if (error === 0) return between > 0 ? { f: Infinity, df1, df2, p: 0 } : { f: null, df1, df2, p: null };
  const f = between / error;
  // The upper tail as the lower one of 1/F, so that a small p keeps its digits.
  return { f, df1, df2, p: f > 0 ? fCdf(1 / f, df2, df1) : 1 };
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

/** Where subjects do not differ at all, an end of the interval may be 0 over 0. */
const finite = (end: number): number | null => (Number.isFinite(end) ? end : null);

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
  // With next to no degrees of freedom a quantile is beyond all numbers, and the end is what it tends to.
  return {
    value,
    low: finite(
      lowF === Infinity ? (-n * error) / spread : (n * (between - lowF * error)) / (lowF * spread + n * between),
    ),
    high: finite((n * (highF * between - error)) / (spread + n * highF * between)),
  };
}
