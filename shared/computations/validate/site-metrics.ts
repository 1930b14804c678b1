import { type Estimate, waldInterval, wilsonInterval } from '../../metrics/intervals.js';
import type { Frame } from '../frame.js';
import { CLASS_MINIMUM, FLAG, HORIZON_METRICS, siteMetricNames } from './declaration.js';
import type { Metric, Metrics } from './result.js';

export const REASON: Readonly<Record<number, string>> = {
  [FLAG.absent]: 'the site took no part in validation',
  [FLAG.fewOfClass]: `not estimable: fewer than ${CLASS_MINIMUM} patients of a class`,
  [FLAG.perfect]: 'not estimable: 0 or 1, so it has no standard error; listed, not averaged',
  [FLAG.empty]: 'no patient to evaluate',
  [FLAG.noCalibration]: 'does not exist: the scores are constant or separate the classes',
  [FLAG.noBaseline]: 'absolute risk is not defined: nobody is followed to the horizon, or the fit has no baseline',
  [FLAG.noPairs]: 'not estimable: no two patients can be ordered',
};

/** Why a value is null; `path` is a JSON pointer. */
export interface Note {
  readonly path: string;
  readonly reason: string;
}

/**
 * One site's own tensor as it stands in result.json. The coordinator reads it so, and the site does too when it looks for its
 * own numbers before it ratifies.
 */
export function siteMetrics(frame: Frame, tensor: Float64Array | undefined, path: string, notes: Note[]): Metrics {
  const names = siteMetricNames(frame);
  const read = (name: string) => {
    const at = names.indexOf(name);
    return { value: tensor?.[2 * at] ?? 0, flag: tensor?.[2 * at + 1] ?? FLAG.absent };
  };
  const metrics: Record<string, Metric> = {};
  const set = (name: string, make: (value: number) => Metric) => {
    const { value, flag } = read(name);
    if (flag === FLAG.ok) metrics[name] = make(value);
    else if (flag === FLAG.suppressed) metrics[name] = { suppressed: true };
    else {
      metrics[name] = null;
      notes.push({ path: `${path}/${name}`, reason: REASON[flag] ?? `undefined (${flag})` });
    }
  };
  set('n', (value) => ({ value }));
  set('events', (value) => ({ value }));
  if (frame.endpoint.type === 'survival') {
    set('cIndex', (value) => waldInterval(value, Math.sqrt(read('cIndexVariance').value), 0, 1));
    set('calibrationSlope', (value) => waldInterval(value, read('calibrationSlopeSe').value));
    if (frame.endpoint.horizon !== null) for (const name of HORIZON_METRICS) set(name, (value) => ({ value }));
    return metrics;
  }
  set('auc', (value) => waldInterval(value, Math.sqrt(read('aucVariance').value), 0, 1));
  set('calibrationIntercept', (value) => waldInterval(value, read('calibrationInterceptSe').value));
  set('calibrationSlope', (value) => waldInterval(value, read('calibrationSlopeSe').value));
  set('brier', (value) => ({ value }));
  const events = read('events').value;
  const rate = (share: number, of: number): Estimate => wilsonInterval(Math.round(share * of), of);
  set('sensitivity', (value) => rate(value, events));
  set('specificity', (value) => rate(value, read('n').value - events));
  return metrics;
}
