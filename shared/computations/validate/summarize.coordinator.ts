import type { Calibration } from '../../metrics/calibration.js';
import { waldInterval, wilsonInterval } from '../../metrics/intervals.js';
import { concordanceOf } from '../../metrics/pairs.js';
import type { ValidateSpec } from '../frame.js';
import {
  CONFUSION_ENTRIES,
  FLAG,
  type Group,
  groupsOf,
  HORIZON_ENTRIES,
  HORIZON_METRICS,
  PAIR_ENTRIES,
  poolsCalibration,
  poolsHorizon,
  sendsSites,
  sendsSums,
  siteTensorName,
  tensorName,
  type Unit,
} from './declaration.js';
import type { Metric, Metrics, Threshold, ValidateResult, ValidationFold } from './result.js';
import { type Note, REASON, siteMetrics } from './site-metrics.js';

/** Everything the rounds of `validate` gave: totals of the evaluation, and the pooled calibrations that converged. */
export interface Collected {
  readonly units: readonly Unit[];
  readonly thresholds: readonly Threshold[];
  readonly values: ReadonlyMap<string, Float64Array>;
  /** tensorName('calibration', ...) -> coefficients, or null where they do not exist. */
  readonly calibrations: ReadonlyMap<string, Calibration | null>;
  readonly notes: readonly string[];
}

export function summarize(spec: ValidateSpec, collected: Collected): ValidateResult {
  const notes: Note[] = collected.notes.map((reason) => ({ path: '/validation', reason }));
  const folds: ValidationFold[] = [];
  for (const unit of collected.units)
    for (const group of groupsOf(spec, unit)) {
      const path = `/validation/folds/${folds.length}`;
      folds.push(foldOf(spec, unit, group, collected, path, notes));
    }
  return { thresholds: collected.thresholds, folds, ...headline(spec, folds), notes };
}

function foldOf(
  spec: ValidateSpec,
  unit: Unit,
  group: Group,
  collected: Collected,
  path: string,
  notes: Note[],
): ValidationFold {
  const sites: Record<string, Metrics> = {};
  // The folds of leave-one-site-out have already noted what is undefined at their sites.
  const repeated = group.name === 'leave-one-site-out';
  if (spec.perSite)
    for (const { site, fit } of group.parts) {
      const sender = repeated ? { ...group, name: fit.outer } : group;
      const tensor = collected.values.get(siteTensorName(unit, sender, site));
      sites[site] = siteMetrics(spec.frame, tensor, `${path}/sites/${site}`, repeated ? [] : notes);
    }
  return {
    name: group.name,
    model: unit.model,
    arm: unit.arm,
    heldOut: group.rows === 'held-out' ? group.parts.map(({ site }) => site) : [],
    evaluates: group.evaluates,
    sites,
    pooled: pooledMetrics(spec, unit, group, sites, collected, `${path}/pooled`, notes),
  };
}

function pooledMetrics(
  spec: ValidateSpec,
  unit: Unit,
  group: Group,
  sites: Readonly<Record<string, Metrics>>,
  collected: Collected,
  path: string,
  notes: Note[],
): Metrics {
  const binary = spec.frame.endpoint.type === 'binary';
  if (group.parts.length === 1 && sendsSites(spec, group)) return sites[group.parts[0]!.site]!;
  const names = binary
    ? ['n', 'events', 'auc', 'calibrationIntercept', 'calibrationSlope', 'brier', 'sensitivity', 'specificity']
    : ['n', 'events', 'cIndex', 'calibrationSlope', ...(hasHorizon(spec) ? HORIZON_METRICS : [])];
  const undefinedAll = (reason: string): Metrics => {
    notes.push({ path, reason });
    return Object.fromEntries(names.map((name) => [name, null]));
  };
  if (!sendsSums(spec, group))
    return undefinedAll(
      `fewer than ${spec.frame.minSites} sites: their sums would show single sites, so none are sent`,
    );
  const sums = collected.values.get(tensorName('pairs', unit, group))!;
  const entry = (name: (typeof PAIR_ENTRIES)[number]) => sums[PAIR_ENTRIES.indexOf(name)]!;
  const contributing = entry('sites');
  if (contributing === 0) return undefinedAll('no site has enough patients of both classes to be summed');
  if (contributing < group.parts.length)
    notes.push({
      path,
      reason: `${group.parts.length - contributing} of ${group.parts.length} sites are not in the sums: a count there is below ${spec.frame.minimumCount}, or hides one that is`,
    });
  const n = entry('n');
  const events = entry('events');
  const metrics: Record<string, Metric> = { n: { value: n }, events: { value: events } };
  const pairs = {
    concordant: entry('concordant'),
    pairs: entry('pairs'),
    sumAA: entry('sumAA'),
    sumAU: entry('sumAU'),
    sumUU: entry('sumUU'),
  };
  const discrimination = binary ? 'auc' : 'cIndex';
  const concordance = concordanceOf(pairs);
  if (concordance === null) notes.push({ path: `${path}/${discrimination}`, reason: 'not estimable at any site' });
  metrics[discrimination] = concordance === null ? null : waldInterval(concordance.value, concordance.se, 0, 1);
  const calibration = collected.calibrations.get(tensorName('calibration', unit, group)) ?? null;
  if (binary)
    metrics['calibrationIntercept'] =
      calibration === null ? null : waldInterval(calibration.inTheLarge, calibration.inTheLargeSe);
  metrics['calibrationSlope'] = calibration === null ? null : waldInterval(calibration.slope, calibration.slopeSe);
  if (calibration === null)
    notes.push({
      path: `${path}/calibrationSlope`,
      reason: poolsCalibration(spec, group)
        ? REASON[FLAG.noCalibration]!
        : 'calibration is pooled only over sites scored by one frozen model; see the sites',
    });
  if (!binary)
    return { ...metrics, ...(hasHorizon(spec) ? horizonMetrics(spec, unit, group, collected, path, notes) : {}) };
  metrics['brier'] = { value: collected.values.get(tensorName('brier', unit, group))![0]! / n };
  const [tp, fp, tn, fn] = CONFUSION_ENTRIES.map((_, at) => sums[PAIR_ENTRIES.length + at]!) as [
    number,
    number,
    number,
    number,
  ];
  metrics['sensitivity'] = tp + fn > 0 ? wilsonInterval(tp, tp + fn) : null;
  metrics['specificity'] = tn + fp > 0 ? wilsonInterval(tn, tn + fp) : null;
  for (const name of ['sensitivity', 'specificity'])
    if (metrics[name] === null) notes.push({ path: `${path}/${name}`, reason: REASON[FLAG.empty]! });
  return metrics;
}

function hasHorizon(spec: ValidateSpec): boolean {
  return spec.frame.endpoint.type === 'survival' && spec.frame.endpoint.horizon !== null;
}

/** Absolute risk over sites scored by one frozen model, where at least one follows somebody to the horizon. */
function horizonMetrics(
  spec: ValidateSpec,
  unit: Unit,
  group: Group,
  collected: Collected,
  path: string,
  notes: Note[],
): Metrics {
  const sums = collected.values.get(tensorName('horizon', unit, group));
  const [brier, observed, expected, n] = sums ?? new Float64Array(HORIZON_ENTRIES.length);
  if (n! > 0 && expected! > 0)
    return { brier: { value: brier! / n! }, observedExpected: { value: observed! / expected! } };
  const reason = poolsHorizon(spec, group)
    ? REASON[FLAG.noBaseline]!
    : 'absolute risk is pooled only over sites scored by one frozen model; see the sites';
  for (const name of HORIZON_METRICS) notes.push({ path: `${path}/${name}`, reason });
  return Object.fromEntries(HORIZON_METRICS.map((name) => [name, null]));
}

/** What a reader looks for first: the study's own model and harmonization at sites it never trained on. */
function headline(spec: ValidateSpec, folds: readonly ValidationFold[]) {
  const model = spec.models[0]?.name;
  const arm = spec.fits[0]?.arm;
  const own = folds.filter((fold) => fold.model === model && fold.arm === arm);
  const named = (name: string) => own.find((fold) => fold.name === name);
  const sites: Record<string, Metrics> = {};
  const groups = own.filter((fold) => fold.name.startsWith('without-'));
  for (const fold of [named('cross-validation'), named('split'), ...groups, named('external')])
    if (fold !== undefined) Object.assign(sites, fold.sites);
  const best =
    named('external') ?? named('leave-one-site-out') ?? groups[0] ?? named('split') ?? named('cross-validation');
  return { sites, pooled: best?.pooled ?? {}, pooledFold: best?.name ?? null };
}
