import { describe, expect, it } from 'vitest';
import {
  addPairSums,
  aucPairSums,
  brierSum,
  calibrate,
  concordanceOf,
  concordancePairSums,
  confusionAt,
  delong,
  histogramAuc,
  NO_PAIRS,
  probabilityBin,
  waldInterval,
  wilsonInterval,
  youdenThresholds,
} from '../../shared/metrics/index.js';
import { expectClose, readGolden, readRows, statsReference } from './reference.js';

// Tolerances are those of the reference folder's case.json files (quantities auc, statistic, glm, concordance).
const AUC = { abs: 1e-12, rel: 0 };
const STATISTIC = { abs: 1e-9, rel: 1e-8 };
const CONCORDANCE = { abs: 1e-10, rel: 0 };
const STANDARD_ERROR = { abs: 0, rel: 1e-7 };

interface Roc {
  auc: number;
  var_delong: number;
  ci95_delong: [number, number, number];
  youden: { threshold: number[]; sensitivity: number[]; specificity: number[] };
}

describe.skipIf(statsReference === undefined)('metrics equal pROC 1.18.0, glm and prop.test of R 4.2.2', () => {
  const golden = statsReference === undefined ? {} : readGolden('metrics', 'golden.json');
  const predictions = statsReference === undefined ? [] : readRows('metrics', 'predictions.csv');
  const aSAH = statsReference === undefined ? [] : readRows('metrics', 'aSAH.csv');
  const column = (rows: Record<string, string>[], name: string) => Float64Array.from(rows, (row) => Number(row[name]));
  const y = Uint8Array.from(predictions, (row) => Number(row['y']));

  const rocs = (block: string) => (golden[block] ?? {}) as Record<string, Roc>;
  const rocCases: [string, Roc, Float64Array, Uint8Array][] = [];
  for (const name of ['p1', 'p2', 'p3_ties'])
    rocCases.push([name, rocs('roc')[name]!, column(predictions, name.slice(0, 2)), y]);
  for (const name of ['s100b', 'ndka', 'wfns']) {
    const outcome = Uint8Array.from(aSAH, (row) => Number(row['outcome']));
    rocCases.push([name, rocs('aSAH')[name]!, column(aSAH, name), outcome]);
  }

  it.each(rocCases)('ROC of %s: AUC, DeLong variance and interval, Youden threshold', (name, want, score, outcome) => {
    const got = delong(score, outcome);
    const interval = waldInterval(got.auc, Math.sqrt(got.variance), 0, 1);
    expectClose(`${name} auc`, got.auc, want.auc, AUC, 'pROC::roc');
    expectClose(`${name} variance`, got.variance, want.var_delong, STATISTIC, 'pROC::var');
    expectClose(`${name} low`, interval.low, want.ci95_delong[0], STATISTIC, 'pROC::ci.auc');
    expectClose(`${name} high`, interval.high, want.ci95_delong[2], STATISTIC, 'pROC::ci.auc');
    const best = youdenThresholds(score, outcome);
    expect(best.thresholds).toHaveLength(want.youden.threshold.length);
    for (const [i, threshold] of best.thresholds.entries()) {
      expectClose(`${name} threshold`, threshold, want.youden.threshold[i]!, AUC, 'pROC::coords');
      const at = confusionAt(score, outcome, threshold);
      expectClose(`${name} sens`, at.tp / (at.tp + at.fn), want.youden.sensitivity[i]!, AUC, 'pROC::coords');
      expectClose(`${name} spec`, at.tn / (at.tn + at.fp), want.youden.specificity[i]!, AUC, 'pROC::coords');
    }
  });

  it('AUC within sites: each site by DeLong, and pairs within sites summed', () => {
    const p1 = column(predictions, 'p1');
    const perSite = golden['per_site_auc_p1'] as Record<string, { n: number; auc: number; se_delong: number }>;
    let sums = NO_PAIRS;
    for (const [site, want] of Object.entries(perSite)) {
      const rows = predictions.flatMap((row, i) => (row['site'] === site ? [i] : []));
      const score = Float64Array.from(rows, (row) => p1[row]!);
      const outcome = Uint8Array.from(rows, (row) => y[row]!);
      const got = delong(score, outcome);
      expect(rows).toHaveLength(want.n);
      expectClose(`${site} auc`, got.auc, want.auc, AUC, 'pROC per site');
      expectClose(`${site} se`, Math.sqrt(got.variance), want.se_delong, STATISTIC, 'pROC per site');
      sums = addPairSums(sums, aucPairSums(score, outcome));
    }
    expectClose('pooled', concordanceOf(sums)!.value, golden['within_site_stratified_auc_p1'] as number, AUC, 'sum');
  });

  it('AUC from histograms', () => {
    const p1 = column(predictions, 'p1');
    for (const [bins, want] of Object.entries(golden['histogram_auc_p1'] as Record<string, number>)) {
      const counts = [new Float64Array(Number(bins)), new Float64Array(Number(bins))];
      for (let i = 0; i < y.length; i++) counts[y[i]!]![probabilityBin(p1[i]!, Number(bins))]!++;
      expectClose(`${bins} bins`, histogramAuc(counts[1]!, counts[0]!), want, AUC, 'findInterval');
    }
  });

  it.each(['p1', 'p2'])('calibration and Brier score of %s', (name) => {
    const want = (golden['calibration'] as Record<string, Record<string, number>>)[name]!;
    const p = column(predictions, name);
    const got = calibrate(
      p.map((value) => Math.log(value / (1 - value))),
      y,
    )!;
    expectClose('slope', got.slope, want['calibration_slope']!, STATISTIC, 'glm(y ~ logit p)');
    expectClose('slope se', got.slopeSe, want['slope_se']!, STATISTIC, 'glm(y ~ logit p)');
    expectClose('intercept', got.intercept, want['recalibration_intercept_joint']!, STATISTIC, 'glm(y ~ logit p)');
    expectClose('in the large', got.inTheLarge, want['calibration_in_the_large']!, STATISTIC, 'glm(y ~ offset)');
    expectClose('in the large se', got.inTheLargeSe, want['citl_se']!, STATISTIC, 'glm(y ~ offset)');
    expectClose('brier', brierSum(p, y) / y.length, want['brier']!, AUC, 'mean squared error');
  });

  it('confusion counts and Wilson interval', () => {
    for (const [key, want] of Object.entries(golden['confusion'] as Record<string, Record<string, number>>)) {
      const [name, threshold] = key.split('_') as [string, string];
      const got = confusionAt(column(predictions, name), y, Number(threshold));
      expect(got).toEqual({ tp: want['tp'], fp: want['fp'], tn: want['tn'], fn: want['fn'] });
      const wilson = wilsonInterval(got.tp, got.tp + got.fn);
      const [low, high] = want['wilson_sens'] as unknown as [number, number];
      expectClose(`${key} sensitivity`, wilson.value, want['sensitivity']!, AUC, 'formula');
      expectClose(`${key} low`, wilson.low, low, STATISTIC, 'prop.test(correct = FALSE)');
      expectClose(`${key} high`, wilson.high, high, STATISTIC, 'prop.test(correct = FALSE)');
    }
  });

  it.each(['lung_inst', 'veteran', 'synth_ties'])('concordance of %s equals survival 3.5-3', (set) => {
    const survival = readGolden('survival', set, 'golden.json');
    const names = survival['description'] as { time: string; event: string; site: string; covariates: string[] };
    const rows = readRows('survival', set, 'input.csv');
    const time = column(rows, names.time);
    const event = Uint8Array.from(rows, (row) => Number(row[names.event]));
    for (const ties of ['efron', 'breslow'])
      for (const [fit, block] of [
        ['pooled', 'concordance'],
        ['stratified_by_site', 'concordance_strat'],
      ] as const) {
        const of = survival[ties] as Record<string, { coef: Record<string, number>; C: number; se: number }>;
        const beta = of[fit]!.coef;
        const score = Float64Array.from(rows, (row) =>
          names.covariates.reduce((sum, name) => sum + beta[name]! * Number(row[name]), 0),
        );
        // R computes with a printed beta of 17 digits too, but in another order: equal rows must stay tied, so round.
        const tied = score.map((value) => Math.round(value * 1e10) / 1e10);
        const strata = fit === 'pooled' ? [''] : [...new Set(rows.map((row) => row[names.site]!))];
        let sums = NO_PAIRS;
        for (const stratum of strata) {
          const own = rows.flatMap((row, i) => (stratum === '' || row[names.site] === stratum ? [i] : []));
          sums = addPairSums(
            sums,
            concordancePairSums(
              Float64Array.from(own, (i) => tied[i]!),
              Float64Array.from(own, (i) => time[i]!),
              Uint8Array.from(own, (i) => event[i]!),
            ),
          );
        }
        const got = concordanceOf(sums)!;
        expectClose(`${ties} ${fit} C`, got.value, of[block]!.C, CONCORDANCE, 'survival::concordance');
        expectClose(`${ties} ${fit} se`, got.se, of[block]!.se, STANDARD_ERROR, 'survival::concordance');
      }
  });

  it('the comparison can fail: ten times the tolerance away is refused', () => {
    expect(() => expectClose('auc', 0.5 + 1e-11, 0.5, AUC, 'self-test')).toThrow(/difference/);
  });
});
