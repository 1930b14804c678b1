import { aucPairSums, delong } from '../../metrics/auc.js';
import { brierSum, calibrate } from '../../metrics/calibration.js';
import { concordancePairSums } from '../../metrics/concordance.js';
import { addPairSums, concordanceOf, NO_PAIRS, type PairSums } from '../../metrics/pairs.js';
import { survivalBrier } from '../../metrics/survival-brier.js';
import { calibrationSlope, horizonRisk, SLOPE_SUMS } from '../../metrics/survival-calibration.js';
import { type Confusion, confusionAt } from '../../metrics/threshold.js';
import { partialLikelihood, riskOrder } from '../cox/partial-likelihood.site.js';
import { probabilitiesOf } from '../score.site.js';
import { BINARY_METRICS, CLASS_MINIMUM, FLAG, HORIZON_METRICS, SURVIVAL_METRICS } from './declaration.js';

/** Scored patients of one site. Pairs are formed within `stratum` only: inner folds, and strata of a Cox model. */
export interface ScoredRows {
  readonly score: Float64Array;
  readonly stratum: Int32Array;
  readonly outcome:
    | { readonly type: 'binary'; readonly y: Uint8Array }
    | { readonly type: 'survival'; readonly time: Float64Array; readonly event: Uint8Array };
}

/** What one site says about one group: its own metrics, and its terms of the sums over sites. */
export interface SiteEvaluation {
  /** [value, flag] per metric. */
  readonly metrics: Float64Array;
  /** False where a count is below the disclosure threshold: then the site is in no sum, or subtraction would show it. */
  readonly summable: boolean;
  /** No pairs where the site's discrimination is not estimable. */
  readonly pairs: PairSums;
  readonly n: number;
  readonly events: number;
  readonly confusion: Confusion;
  readonly brier: number;
  /** HORIZON_ENTRIES; null where absolute risk is not defined. */
  readonly horizon: readonly number[] | null;
}

/** What leaves as the flag `suppressed` whatever its size: all that depends on the outcome, and n itself. */
export interface Withheld {
  readonly outcome: boolean;
  readonly n: boolean;
}

export const NOTHING_WITHHELD: Withheld = { outcome: false, n: false };

/** A site without any patient in the group has nothing to keep back, unless that is told by n too. */
function keepsBack(withheld: Withheld, n: number): boolean {
  return withheld.outcome && (n > 0 || withheld.n);
}

type Flag = (typeof FLAG)[keyof typeof FLAG];

class MetricsTensor {
  readonly values: Float64Array;
  constructor(private readonly names: readonly string[]) {
    this.values = new Float64Array(names.length * 2);
  }
  set(name: string, value: number, flag: Flag = FLAG.ok): void {
    const at = this.names.indexOf(name);
    this.values[2 * at] = flag === FLAG.ok ? value : 0;
    this.values[2 * at + 1] = flag;
  }
}

/**
 * A site's metrics of a binary endpoint. Counts from 1 to minimumCount - 1 (patients, events or non-events) leave as the
 * flag `suppressed`, and with them everything that they could be had from: rates and the AUC by their denominators, the
 * Brier score where all probabilities are known to be one (a model without predictors), the interval of the calibration
 * intercept, which is close to 1 / sqrt(events) then. `threshold` is on the probability scale.
 */
export function evaluateBinary(
  rows: ScoredRows,
  y: Uint8Array,
  threshold: number,
  minimumCount: number,
  withheld: Withheld = NOTHING_WITHHELD,
): SiteEvaluation {
  const n = y.length;
  const events = y.reduce((sum, value) => sum + value, 0);
  const nonEvents = n - events;
  const probability = probabilitiesOf(rows.score);
  const confusion = confusionAt(probability, y, threshold);
  const brier = brierSum(probability, y);
  const tensor = new MetricsTensor(BINARY_METRICS);
  const small = (count: number) => count > 0 && count < minimumCount;
  const countFlag = keepsBack(withheld, n) || small(n) || small(events) || small(nonEvents) ? FLAG.suppressed : FLAG.ok;
  tensor.set('n', n, withheld.n || small(n) ? FLAG.suppressed : FLAG.ok);
  tensor.set('events', events, countFlag);
  const suppressed = countFlag === FLAG.suppressed;
  const { flag, sums, value, variance } = discrimination(rows, events, nonEvents, suppressed, () =>
    binaryPairs(rows, y),
  );
  tensor.set('auc', value, flag);
  tensor.set('aucVariance', variance, flag);

  const calibration = flag === FLAG.ok || flag === FLAG.perfect ? calibrate(rows.score, y) : null;
  const calibrationFlag =
    calibration !== null ? FLAG.ok : flag === FLAG.ok || flag === FLAG.perfect ? FLAG.noCalibration : flag;
  tensor.set('calibrationIntercept', calibration?.inTheLarge ?? 0, calibrationFlag);
  tensor.set('calibrationInterceptSe', calibration?.inTheLargeSe ?? 0, calibrationFlag);
  tensor.set('calibrationSlope', calibration?.slope ?? 0, calibrationFlag);
  tensor.set('calibrationSlopeSe', calibration?.slopeSe ?? 0, calibrationFlag);
  tensor.set('brier', brier / n, suppressed ? FLAG.suppressed : n === 0 ? FLAG.empty : FLAG.ok);
  const rateFlag = (denominator: number): Flag =>
    countFlag === FLAG.suppressed ? FLAG.suppressed : denominator === 0 ? FLAG.empty : FLAG.ok;
  tensor.set('sensitivity', confusion.tp / events, rateFlag(events));
  tensor.set('specificity', confusion.tn / nonEvents, rateFlag(nonEvents));
  const summable = n > 0 && countFlag === FLAG.ok;
  return { metrics: tensor.values, summable, pairs: sums, n, events, confusion, brier, horizon: null };
}

/** A site's metrics of a survival endpoint: Harrell's C within strata. */
export function evaluateSurvival(
  rows: ScoredRows,
  time: Float64Array,
  event: Uint8Array,
  minimumCount: number,
  withheld: Withheld = NOTHING_WITHHELD,
  absolute: { readonly horizon: number; readonly cumulativeHazard: number | null } | null = null,
): SiteEvaluation {
  const n = event.length;
  const events = event.reduce((sum, value) => sum + value, 0);
  const tensor = new MetricsTensor(absolute === null ? SURVIVAL_METRICS : [...SURVIVAL_METRICS, ...HORIZON_METRICS]);
  const small = (count: number) => count > 0 && count < minimumCount;
  const countFlag =
    keepsBack(withheld, n) || small(n) || small(events) || small(n - events) ? FLAG.suppressed : FLAG.ok;
  tensor.set('n', n, withheld.n || small(n) ? FLAG.suppressed : FLAG.ok);
  tensor.set('events', events, countFlag);
  const pairs = () => ({
    sums: stratifiedPairs(rows, (own) => survivalPairs(own, rows.score, time, event)),
    variance: null,
  });
  // Censored patients are no class of their own: C needs events and somebody who outlives them.
  const suppressed = countFlag === FLAG.suppressed;
  const { flag, sums, value, variance } = discrimination(rows, events, CLASS_MINIMUM, suppressed, pairs);
  tensor.set('cIndex', value, flag);
  tensor.set('cIndexVariance', variance, flag);
  const isScored = flag === FLAG.ok || flag === FLAG.perfect;
  const slope = isScored ? calibrationSlope((at) => slopeSums(rows, time, event, at)) : null;
  const slopeFlag = slope !== null ? FLAG.ok : isScored ? FLAG.noCalibration : flag;
  tensor.set('calibrationSlope', slope?.slope ?? 0, slopeFlag);
  tensor.set('calibrationSlopeSe', slope?.se ?? 0, slopeFlag);
  let sumsAtHorizon: readonly number[] | null = null;
  if (absolute !== null) {
    const { horizon, cumulativeHazard } = absolute;
    const survival = rows.score.map((score) => Math.exp(-(cumulativeHazard ?? 0) * Math.exp(score)));
    const brier = cumulativeHazard === null ? null : survivalBrier(time, event, survival, horizon);
    const risk = cumulativeHazard === null ? null : horizonRisk(time, event, survival, horizon);
    const isDefined = brier !== null && risk !== null && risk.expected > 0;
    const horizonFlag = countFlag !== FLAG.ok ? countFlag : isDefined ? FLAG.ok : FLAG.noBaseline;
    tensor.set('brier', brier ?? 0, horizonFlag);
    tensor.set('observedExpected', isDefined ? risk.observed / risk.expected : 0, horizonFlag);
    if (isDefined) sumsAtHorizon = [n * brier, n * risk.observed, n * risk.expected, n];
  }
  const none = { tp: 0, fp: 0, tn: 0, fn: 0 };
  return {
    metrics: tensor.values,
    summable: n > 0 && countFlag === FLAG.ok,
    pairs: sums,
    n,
    events,
    confusion: none,
    brier: 0,
    horizon: sumsAtHorizon,
  };
}

/** SLOPE_SUMS of one site's patients at a slope: Efron's ties, risk sets within `stratum`. */
export function slopeSums(
  { score, stratum }: Pick<ScoredRows, 'score' | 'stratum'>,
  time: Float64Array,
  event: Uint8Array,
  slope: number,
): Float64Array {
  const order = riskOrder(new Uint8Array(score.length).fill(1), stratum, time);
  const eta = score.map((value) => slope * value);
  const { gradient, information } = partialLikelihood(order, event, score, 1, eta, Int32Array.of(0), true);
  const sums = new Float64Array(SLOPE_SUMS);
  sums.set([gradient[0]!, information[0]!]);
  return sums;
}

function discrimination(
  rows: ScoredRows,
  events: number,
  others: number,
  suppressed: boolean,
  pairsOf: () => { sums: PairSums; variance: number | null },
): { flag: Flag; sums: PairSums; value: number; variance: number } {
  const none = (flag: Flag) => ({ flag, sums: NO_PAIRS, value: 0, variance: 0 });
  if (suppressed) return none(FLAG.suppressed);
  if (rows.score.length === 0) return none(FLAG.empty);
  if (events < CLASS_MINIMUM || others < CLASS_MINIMUM) return none(FLAG.fewOfClass);
  const { sums, variance } = pairsOf();
  const concordance = concordanceOf(sums);
  if (concordance === null) return none(FLAG.noPairs);
  if (concordance.value === 0 || concordance.value === 1) return none(FLAG.perfect);
  return {
    flag: FLAG.ok,
    sums,
    value: concordance.value,
    variance: variance ?? concordance.se * concordance.se,
  };
}

/** Scores of one model: DeLong's variance. Scores of several (inner folds): pairs within each, jackknife variance. */
function binaryPairs(rows: ScoredRows, y: Uint8Array): { sums: PairSums; variance: number | null } {
  const oneStratum = rows.stratum.every((stratum) => stratum === rows.stratum[0]);
  if (oneStratum) return { sums: aucPairSums(rows.score, y), variance: delong(rows.score, y).variance };
  const sums = stratifiedPairs(rows, (own) =>
    aucPairSums(
      Float64Array.from(own, (row) => rows.score[row]!),
      Uint8Array.from(own, (row) => y[row]!),
    ),
  );
  return { sums, variance: null };
}

function survivalPairs(own: Int32Array, score: Float64Array, time: Float64Array, event: Uint8Array): PairSums {
  return concordancePairSums(
    Float64Array.from(own, (row) => score[row]!),
    Float64Array.from(own, (row) => time[row]!),
    Uint8Array.from(own, (row) => event[row]!),
  );
}

function stratifiedPairs(rows: ScoredRows, pairsOf: (own: Int32Array) => PairSums): PairSums {
  const strata = [...new Set(rows.stratum)].sort((a, b) => a - b);
  let sums = NO_PAIRS;
  for (const stratum of strata) {
    const own: number[] = [];
    for (let row = 0; row < rows.stratum.length; row++) if (rows.stratum[row] === stratum) own.push(row);
    sums = addPairSums(sums, pairsOf(Int32Array.from(own)));
  }
  return sums;
}
