import { assert } from '../../errors.js';
import type { Arm, Fit } from '../../fits.js';
import { CALIBRATION_SUMS, type CalibrationCoefficients } from '../../metrics/calibration.js';
import { SLOPE_SUMS } from '../../metrics/survival-calibration.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import type { Frame, ValidateSpec } from '../frame.js';

export type { Metric, Metrics, Threshold, ValidateResult, ValidationFold } from './result.js';

/** A model under one harmonization. */
export interface Unit {
  readonly model: string;
  readonly arm: Arm;
}

/** A set of patients that one unit is judged on, at one or more sites. */
export interface Group {
  /** `without-<site>`, `external`, `split`, `cross-validation`, or `leave-one-site-out` (all such folds together). */
  readonly name: string;
  readonly evaluates: 'procedure' | 'model';
  readonly rows: 'held-out' | 'external' | 'test' | 'out-of-fold';
  /** Who is scored by which fit (inner = null); out-of-fold rows by the inner fits of the same outer fold. */
  readonly parts: readonly { readonly site: string; readonly fit: Fit }[];
}

export type ValidateBroadcast =
  | { readonly phase: 'count'; readonly units: readonly Unit[] }
  | {
      readonly phase: 'histogram';
      readonly units: readonly Unit[];
      /** Outer fold -> bins of [0, 1]; an outer fold with too few patients is absent. */
      readonly bins: Readonly<Record<string, number>>;
    }
  | {
      readonly phase: 'evaluate';
      readonly units: readonly Unit[];
      /** thresholdKey -> threshold; empty for a survival endpoint. */
      readonly thresholds: Readonly<Record<string, number>>;
    }
  | {
      readonly phase: 'calibrate';
      readonly units: readonly Unit[];
      readonly active: readonly {
        readonly unit: number;
        readonly group: string;
        readonly at: CalibrationCoefficients;
      }[];
    };

/** Rows of a site's metrics tensor; each holds [value, flag]. */
export const BINARY_METRICS = [
  'n',
  'events',
  'auc',
  'aucVariance',
  'calibrationIntercept',
  'calibrationInterceptSe',
  'calibrationSlope',
  'calibrationSlopeSe',
  'brier',
  'sensitivity',
  'specificity',
] as const;
export const SURVIVAL_METRICS = [
  'n',
  'events',
  'cIndex',
  'cIndexVariance',
  'calibrationSlope',
  'calibrationSlopeSe',
] as const;
/** With a declared horizon absolute risk is defined, and these with it. */
export const HORIZON_METRICS = ['brier', 'observedExpected'] as const;
/** Sums over sites of n times the site's Brier score, observed and mean expected risk, and of n. */
export const HORIZON_ENTRIES = ['brier', 'observed', 'expected', 'n'] as const;

/** Rows of a site's metrics tensor in one study. */
export function siteMetricNames(frame: Frame): readonly string[] {
  if (frame.endpoint.type === 'binary') return BINARY_METRICS;
  return frame.endpoint.horizon === null ? SURVIVAL_METRICS : [...SURVIVAL_METRICS, ...HORIZON_METRICS];
}

/** Entries of the sums over sites. The first five are PairSums. */
export const PAIR_ENTRIES = ['concordant', 'pairs', 'sumAA', 'sumAU', 'sumUU', 'n', 'events', 'sites'] as const;
export const CONFUSION_ENTRIES = ['tp', 'fp', 'tn', 'fn'] as const;

/** Why a metric has no value. A tensor that nobody filled reads `absent`. */
export const FLAG = {
  absent: 0,
  ok: 1,
  suppressed: 2,
  fewOfClass: 3,
  perfect: 4,
  empty: 5,
  noCalibration: 6,
  noPairs: 7,
  noBaseline: 8,
} as const;

/** More bins would not make a threshold clinically finer. */
export const BINS_MAX = 200;

/** Fewer patients of a class than this and discrimination is not estimable. */
export const CLASS_MINIMUM = 5;

/** Counts times 4 are whole numbers: halves for ties, quarters for their squares. */
const PAIRS = { ring: 64, fractionBits: 2, bound: 2 ** 50 } as const;

export const validateDeclaration: Declaration<ValidateSpec, ValidateBroadcast> = {
  name: 'validate',
  leaves(spec, broadcast) {
    switch (broadcast.phase) {
      case 'count':
        return outersOf(spec, spec.fits[0]!.arm).map((fit) => countLeaf(spec.frame, fit));
      case 'histogram':
        return broadcast.units.flatMap((unit) =>
          outersOf(spec, unit.arm).flatMap((fit) => {
            const bins = broadcast.bins[fit.outer];
            return bins === undefined ? [] : [histogramLeaf(spec.frame, unit, fit, bins)];
          }),
        );
      case 'evaluate':
        return broadcast.units.flatMap((unit) =>
          groupsOf(spec, unit).flatMap((group) => groupLeaves(spec, unit, group)),
        );
      case 'calibrate':
        return broadcast.active.map((entry) => {
          const unit = broadcast.units[entry.unit]!;
          return calibrationLeaf(spec.frame, unit, groupNamed(spec, unit, entry.group));
        });
    }
  },
};

/** Fits without inner fold of one arm, in the plan's order: the outer folds. */
export function outersOf(spec: ValidateSpec, arm: Arm): Fit[] {
  return spec.fits.filter((fit) => fit.arm === arm && fit.inner === null);
}

/** Fits of the same outer fold that hold out one cell each, or none where the study has no inner folds. */
export function innerFitsOf(spec: ValidateSpec, outer: Fit): Fit[] {
  return spec.fits.filter((fit) => fit.arm === outer.arm && fit.outer === outer.outer && fit.inner !== null);
}

export function groupsOf(spec: ValidateSpec, unit: Unit): Group[] {
  const { frame } = spec;
  const outers = outersOf(spec, unit.arm);
  const all = outers.find((fit) => fit.heldOut.length === 0);
  assert(all !== undefined, `arm ${unit.arm} has no fit of all training sites`);
  const groups: Group[] = [];
  const heldOut = outers.filter((fit) => fit.heldOut.length > 0);
  for (const fit of heldOut) {
    const parts = fit.heldOut.map((site) => ({ site, fit }));
    groups.push({ name: fit.outer, evaluates: 'procedure', rows: 'held-out', parts });
  }
  const single = heldOut.filter((fit) => fit.heldOut.length === 1);
  if (single.length > 1) {
    const parts = single.map((fit) => ({ site: fit.heldOut[0]!, fit }));
    groups.push({ name: 'leave-one-site-out', evaluates: 'procedure', rows: 'held-out', parts });
  }
  const everywhere = (sites: readonly string[]) => sites.map((site) => ({ site, fit: all }));
  if (frame.external.length > 0)
    groups.push({ name: 'external', evaluates: 'model', rows: 'external', parts: everywhere(frame.external) });
  if (spec.hasSplit) groups.push({ name: 'split', evaluates: 'model', rows: 'test', parts: everywhere(all.sites) });
  if (innerFitsOf(spec, all).length > 0)
    groups.push({
      name: 'cross-validation',
      evaluates: 'procedure',
      rows: 'out-of-fold',
      parts: everywhere(all.sites),
    });
  return groups;
}

export function groupNamed(spec: ValidateSpec, unit: Unit, name: string): Group {
  const group = groupsOf(spec, unit).find((candidate) => candidate.name === name);
  assert(group !== undefined, `there is no group ${name}`);
  return group;
}

/** The per-site numbers of `leave-one-site-out` are those of its folds and are not sent twice. */
export function sendsSites(spec: ValidateSpec, group: Group): boolean {
  return spec.perSite && group.name !== 'leave-one-site-out';
}

/** One site's sums are its metrics; and where per-site numbers may not be seen, neither may sums of a few sites. */
export function sendsSums(spec: ValidateSpec, group: Group): boolean {
  return group.parts.length > 1 && (spec.perSite || group.parts.length >= spec.frame.minSites);
}

/** Pooled calibration needs sites scored by one and the same frozen model. */
export function poolsCalibration(spec: ValidateSpec, group: Group): boolean {
  return group.evaluates === 'model' && sendsSums(spec, group);
}

/** Absolute risk is added up over sites that one frozen model scored. */
export function poolsHorizon(spec: ValidateSpec, group: Group): boolean {
  const { endpoint } = spec.frame;
  return endpoint.type === 'survival' && endpoint.horizon !== null && poolsCalibration(spec, group);
}

export function thresholdKey(unit: Unit, outer: string): string {
  return `${unit.model}/${unit.arm}/${outer}`;
}

export function countName(fit: Fit): string {
  return `count/${fit.outer}`;
}

export function tensorName(
  what: 'site' | 'pairs' | 'brier' | 'calibration' | 'horizon',
  unit: Unit,
  group: Group,
): string {
  return `${what}/${unit.model}/${unit.arm}/${group.name}`;
}

export function histogramName(unit: Unit, fit: Fit): string {
  return `histogram/${thresholdKey(unit, fit.outer)}`;
}

export function siteTensorName(unit: Unit, group: Group, site: string): string {
  return `${tensorName('site', unit, group)}/${site}`;
}

function base(frame: Frame, sites: readonly string[], fold: string) {
  const cells = Array.from({ length: Math.max(1, frame.cells) }, (_, cell) => cell);
  return {
    contributors: sites.map((site) => ({ site, cells })),
    visibility: sites.length < frame.minSites ? 'site' : 'total',
    momentColumns: 0,
    fold,
  } as const;
}

function countLeaf(frame: Frame, fit: Fit): TensorSpec {
  return {
    ...base(frame, fit.sites, fit.outer),
    ...COUNT,
    name: countName(fit),
    kind: 'validate.count',
    shape: [2],
    meaning: 'number of training patients and of events among them, to choose how coarse the next histogram is',
  };
}

function histogramLeaf(frame: Frame, unit: Unit, fit: Fit, bins: number): TensorSpec {
  return {
    ...base(frame, fit.sites, fit.outer),
    ...COUNT,
    name: histogramName(unit, fit),
    kind: 'validate.histogram',
    shape: [2, bins],
    meaning: `how many training patients without and with the event have a predicted probability in each of ${bins} bins`,
  };
}

function groupLeaves(spec: ValidateSpec, unit: Unit, group: Group): TensorSpec[] {
  const binary = spec.frame.endpoint.type === 'binary';
  const leaves: TensorSpec[] = [];
  if (sendsSites(spec, group))
    for (const { site } of group.parts)
      leaves.push({
        ...base(spec.frame, [site], group.name),
        ...STATISTIC,
        visibility: 'site',
        name: siteTensorName(unit, group, site),
        kind: `validate.metrics.${group.rows}`,
        shape: [siteMetricNames(spec.frame).length, 2],
        meaning: binary
          ? 'this site’s own n, events, AUC, calibration, Brier score, sensitivity and specificity of the model'
          : 'this site’s own n, events, C-index, calibration slope and, with a horizon, Brier score and observed over expected risk of the model',
      });
  if (!sendsSums(spec, group)) return leaves;
  const shared = base(
    spec.frame,
    group.parts.map(({ site }) => site),
    group.name,
  );
  leaves.push({
    ...shared,
    ...PAIRS,
    name: tensorName('pairs', unit, group),
    kind: `validate.pairs.${group.rows}`,
    shape: [PAIR_ENTRIES.length + (binary ? CONFUSION_ENTRIES.length : 0)],
    meaning:
      'numbers of correctly ordered pairs of patients within sites, of patients, events, and right and wrong calls',
  });
  if (binary)
    leaves.push({
      ...shared,
      ...STATISTIC,
      name: tensorName('brier', unit, group),
      kind: `validate.brier.${group.rows}`,
      shape: [1],
      meaning: 'sum of squared differences between predicted probability and outcome',
    });
  if (poolsHorizon(spec, group))
    leaves.push({
      ...shared,
      ...STATISTIC,
      name: tensorName('horizon', unit, group),
      kind: `validate.horizon.${group.rows}`,
      shape: [HORIZON_ENTRIES.length],
      meaning: 'Brier score, observed and expected risk at the horizon, each times the number of patients',
    });
  return leaves;
}

function calibrationLeaf(frame: Frame, unit: Unit, group: Group): TensorSpec {
  const sites = group.parts.map(({ site }) => site);
  return {
    ...base(frame, sites, group.name),
    ...STATISTIC,
    name: tensorName('calibration', unit, group),
    kind: `validate.calibration.${group.rows}`,
    shape: [frame.endpoint.type === 'binary' ? CALIBRATION_SUMS : SLOPE_SUMS],
    meaning:
      frame.endpoint.type === 'binary'
        ? 'gradient and curvature of a two-parameter recalibration of the model’s scores'
        : 'gradient and curvature of a Cox model, stratified by site, of the model’s scores alone',
  };
}
