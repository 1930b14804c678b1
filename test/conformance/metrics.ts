import {
  aucPairSums,
  brierSum,
  CALIBRATION_START,
  CALIBRATION_STEPS_MAX,
  CALIBRATION_TOLERANCE,
  type CalibrationStep,
  calibrationStep,
  calibrationSums,
  confusionAt,
  delong,
  histogramAuc,
  probabilityBin,
  waldInterval,
  youdenThresholds,
} from '../../shared/metrics/index.js';
import { type ConformanceCase, pathIn } from './case-model.js';
import { sitesOf } from './case-table.js';
import { lazily, stringsOf } from './glm.js';
import { ringSum } from './product.js';
import { isRecord, numeric, readTable, type Table } from './readers.js';
import type { KindRunner, Sheet } from './sheet.js';

/** Blocks with one part per predictor, site or threshold: the quantity is the block and what lies below the part. */
const NESTED = ['roc', 'calibration', 'confusion'];
const ROC_QUANTITIES = [
  'direction',
  'n_case',
  'n_control',
  'auc',
  'var_delong',
  'se',
  'ci95_delong',
  'ci95_logit_delong',
  'youden',
  'closest_topleft',
  'pauc_spec_1_0.8',
  'pauc_corrected',
  'roc_points',
  'wilcoxon_U',
];
/** Blocks named after their predictor. */
const OF_PREDICTOR = ['per_site_auc', 'within_site_stratified_auc', 'histogram_auc'];

/** metrics: discrimination and calibration, each site adding its own sums; pooled scores with one holder. */
export const metricsRunner: KindRunner = {
  quantityOf(_file, path, one) {
    const [block, part, ...rest] = path;
    if (block === undefined) return 'metrics';
    const base = OF_PREDICTOR.find((name) => one.document.features.some((feature) => block === `${name}_${feature}`));
    if (base === 'per_site_auc') return rest.length === 0 ? base : `${base}.${rest.join('.')}`;
    if (base !== undefined) return base;
    if (part === undefined) return block;
    if (NESTED.includes(block)) return rest.length === 0 ? `${block}:${part}` : `${block}.${rest.join('.')}`;
    if (part === 'test') return 'delong_paired';
    if (rest.length > 0 && ROC_QUANTITIES.includes(rest[0]!)) return `roc.${rest.join('.')}`;
    return path.join('.');
  },
  run(one, sheet) {
    for (const [file, entry] of Object.entries(one.document.files)) {
      if (!file.endsWith('.json')) continue;
      const golden = sheet.json(file);
      const blocks = isRecord(entry['blocks']) ? entry['blocks'] : {};
      for (const [block, value] of Object.entries(golden)) {
        const meta = isRecord(blocks[block]) ? blocks[block] : {};
        const data = lazily(() => dataOf(one, meta));
        if (isRecord(value)) roc(sheet, file, block, value, data);
        if (block === 'calibration' && isRecord(value)) calibration(sheet, file, value, data);
        if (block === 'confusion' && isRecord(value)) confusion(sheet, file, value, data);
        for (const feature of one.document.features) ofPredictor(sheet, file, block, feature, value, data);
      }
    }
  },
};

interface Predictions {
  readonly table: Table;
  readonly y: Float64Array;
  readonly site: readonly string[];
  readonly predictors: readonly string[];
}

function dataOf(one: ConformanceCase, meta: Readonly<Record<string, unknown>>): Predictions {
  const file = typeof meta['input'] === 'string' ? meta['input'] : (one.document.input ?? '');
  const table = readTable(pathIn(one, file));
  const response = typeof meta['response'] === 'string' ? meta['response'] : (one.document.response ?? '');
  const listed = stringsOf(meta['predictors']);
  return {
    table,
    y: table.numbers(response),
    site: sitesOf(one, table, { ownInput: true }),
    predictors: listed.length > 0 ? listed : one.document.features,
  };
}

/** Scores and outcomes of the rows that have both, of all sites or of one. */
function scoresOf(data: Predictions, predictor: string, site?: string): { score: Float64Array; y: Uint8Array } {
  const values = data.table.numbers(predictor);
  const rows = [...values.keys()].filter(
    (row) =>
      !Number.isNaN(values[row]!) && !Number.isNaN(data.y[row]!) && (site === undefined || data.site[row] === site),
  );
  return { score: Float64Array.from(rows, (row) => values[row]!), y: Uint8Array.from(rows, (row) => data.y[row]!) };
}

/** What every site adds up alone, then their sum through the ring. */
function overSites(
  data: Predictions,
  predictor: string,
  sums: (score: Float64Array, y: Uint8Array) => ArrayLike<number>,
): Float64Array {
  const labels = [...new Set(data.site)].sort();
  return ringSum(
    labels.map((site) => {
      const { score, y } = scoresOf(data, predictor, site);
      return Float64Array.from(sums(score, y));
    }),
  );
}

/** The predictor that a part such as `p3_ties` or `p1_0.5` speaks of. */
function predictorOf(data: Predictions, part: string): string | undefined {
  const fitting = data.predictors.filter((name) => part === name || part.startsWith(`${name}_`));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

function roc(
  sheet: Sheet,
  file: string,
  block: string,
  value: Readonly<Record<string, unknown>>,
  data: () => Predictions,
): void {
  for (const [part, golden] of Object.entries(value)) {
    if (!isRecord(golden) || !('auc' in golden) || !('var_delong' in golden)) continue;
    const scores = lazily(() => scoresOf(data(), predictorOf(data(), part) ?? part));
    const own = lazily(() => delong(scores().score, scores().y));
    const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
      if (key in golden) sheet.compare({ file, path: [block, part, key] }, got, { tolerance: [tolerance] });
    };
    compare('n_case', 'auc', () => [own().events]);
    compare('n_control', 'auc', () => [own().nonEvents]);
    compare('auc', 'auc', () => [own().auc]);
    compare('var_delong', 'statistic', () => [own().variance]);
    compare('se', 'statistic', () => [Math.sqrt(own().variance)]);
    compare('ci95_delong', 'statistic', () => {
      const { low, value: auc, high } = waldInterval(own().auc, Math.sqrt(own().variance), 0, 1);
      return [low, auc, high];
    });
    compare('wilcoxon_U', 'statistic', () => [aucPairSums(scores().score, scores().y).concordant]);
    const youden = golden['youden'];
    if (!isRecord(youden)) continue;
    const best = lazily(() => youdenThresholds(scores().score, scores().y).thresholds);
    for (const key of Object.keys(youden))
      sheet.compare(
        { file, path: [block, part, 'youden', key] },
        () =>
          best().map((threshold) =>
            key === 'threshold' ? threshold : rateOf(key, { ...confusionAt(scores().score, scores().y, threshold) }),
          ),
        { tolerance: [key === 'threshold' ? 'statistic' : 'auc'] },
      );
  }
}

function rateOf(key: string, { tp, fp, fn, tn }: { tp: number; fp: number; fn: number; tn: number }): number {
  const rates: Readonly<Record<string, number>> = {
    tp,
    fp,
    fn,
    tn,
    sensitivity: tp / (tp + fn),
    specificity: tn / (tn + fp),
    ppv: tp / (tp + fp),
    npv: tn / (tn + fn),
    accuracy: (tp + tn) / (tp + fp + fn + tn),
  };
  return rates[key] ?? Number.NaN;
}

const logit = (probability: number): number => Math.log(probability / (1 - probability));

function calibration(
  sheet: Sheet,
  file: string,
  value: Readonly<Record<string, unknown>>,
  data: () => Predictions,
): void {
  for (const [part, golden] of Object.entries(value)) {
    if (!isRecord(golden)) continue;
    const predictor = () => predictorOf(data(), part) ?? part;
    const calibrated = lazily(() => federatedCalibration(data(), predictor()));
    const sums = lazily(() =>
      overSites(data(), predictor(), (p, y) => [
        brierSum(p, y),
        y.length,
        y.reduce((a, b) => a + b, 0),
        p.reduce((a, b) => a + b, 0),
      ]),
    );
    const compare = (key: string, tolerance: string, got: () => number): void => {
      if (key in golden)
        sheet.compare({ file, path: ['calibration', part, key] }, () => [got()], { tolerance: [tolerance] });
    };
    compare('calibration_slope', 'glm', () => calibrated().at.slope);
    compare('recalibration_intercept_joint', 'glm', () => calibrated().at.intercept);
    compare('calibration_in_the_large', 'glm', () => calibrated().at.inTheLarge);
    compare('slope_se', 'glm', () => calibrated().step.slopeSe);
    compare('citl_se', 'glm', () => calibrated().step.inTheLargeSe);
    compare('brier', 'statistic', () => sums()[0]! / sums()[1]!);
    // The golden's O/E is events over the sum of predicted probabilities.
    compare('OE_ratio', 'statistic', () => sums()[2]! / sums()[3]!);
  }
}

function federatedCalibration(data: Predictions, predictor: string) {
  let at = CALIBRATION_START;
  for (let round = 0; round < CALIBRATION_STEPS_MAX; round++) {
    const sums = overSites(data, predictor, (p, y) => calibrationSums(p.map(logit), y, at));
    const step: CalibrationStep | null = calibrationStep(sums, at);
    if (step === null) throw new Error('the calibration model has no estimate');
    at = step.next;
    if (step.change < CALIBRATION_TOLERANCE) return { at, step };
  }
  throw new Error('the calibration model did not converge');
}

function confusion(
  sheet: Sheet,
  file: string,
  value: Readonly<Record<string, unknown>>,
  data: () => Predictions,
): void {
  const offered = ['tp', 'fp', 'fn', 'tn', 'sensitivity', 'specificity'];
  for (const [part, golden] of Object.entries(value)) {
    if (!isRecord(golden)) continue;
    const threshold = numeric(golden['threshold'])?.[0] ?? Number(part.split('_').at(-1));
    const counts = lazily(() => {
      const sums = overSites(data(), predictorOf(data(), part) ?? part, (p, y) => {
        const { tp, fp, fn, tn } = confusionAt(p, y, threshold);
        return [tp, fp, fn, tn];
      });
      return { tp: sums[0]!, fp: sums[1]!, fn: sums[2]!, tn: sums[3]! };
    });
    for (const key of offered.filter((name) => name in golden))
      sheet.compare({ file, path: ['confusion', part, key] }, () => [rateOf(key, counts())], { tolerance: ['auc'] });
  }
}

function ofPredictor(
  sheet: Sheet,
  file: string,
  block: string,
  feature: string,
  value: unknown,
  data: () => Predictions,
): void {
  if (block === `per_site_auc_${feature}` && isRecord(value)) perSiteAuc(sheet, file, block, feature, value, data);
  if (block === `within_site_stratified_auc_${feature}`)
    sheet.compare(
      { file, path: [block] },
      () => {
        const sums = overSites(data(), feature, (score, y) => {
          const { concordant, pairs } = aucPairSums(score, y);
          return [concordant, pairs];
        });
        return [sums[0]! / sums[1]!];
      },
      { tolerance: ['auc'] },
    );
  if (block === `histogram_auc_${feature}` && isRecord(value))
    for (const key of Object.keys(value)) {
      const bins = Number(key);
      const binned = lazily(() => {
        const counts = overSites(data(), feature, (p, y) => binCounts(p, y, bins));
        return histogramAuc(counts.slice(0, bins), counts.slice(bins));
      });
      const { score, y } = scoresOf(data(), feature);
      const distance = Math.abs(delong(score, y).auc - binned());
      sheet.compare({ file, path: [block, key] }, () => [binned()], {
        tolerance: ['auc'],
        note: `${bins} bins, ${distance.toExponential(1)} from the unbinned AUC`,
      });
    }
}

function perSiteAuc(
  sheet: Sheet,
  file: string,
  block: string,
  feature: string,
  value: Readonly<Record<string, unknown>>,
  data: () => Predictions,
): void {
  for (const [site, golden] of Object.entries(value)) {
    if (!isRecord(golden)) continue;
    const own = lazily(() => {
      const { score, y } = scoresOf(data(), feature, site);
      return delong(score, y);
    });
    const compare = (key: string, tolerance: string, got: () => number): void => {
      if (key in golden) sheet.compare({ file, path: [block, site, key] }, () => [got()], { tolerance: [tolerance] });
    };
    compare('n', 'auc', () => own().events + own().nonEvents);
    compare('n_case', 'auc', () => own().events);
    compare('auc', 'auc', () => own().auc);
    compare('se_delong', 'statistic', () => Math.sqrt(own().variance));
  }
}

/** Counts of events, then of non-events, per equal-width bin of [0, 1]. */
function binCounts(p: Float64Array, y: Uint8Array, bins: number): Float64Array {
  const counts = new Float64Array(2 * bins);
  for (let i = 0; i < y.length; i++) counts[(y[i] === 1 ? 0 : bins) + probabilityBin(p[i]!, bins)]! += 1;
  return counts;
}
