import { assert } from '../../errors.js';
import type { Arm } from '../../fits.js';
import {
  CALIBRATION_START,
  CALIBRATION_STEPS_MAX,
  CALIBRATION_TOLERANCE,
  type Calibration,
  type CalibrationCoefficients,
  calibrationStep,
} from '../../metrics/calibration.js';
import { slopeStep } from '../../metrics/survival-calibration.js';
import { youdenFromHistogram } from '../../metrics/threshold.js';
import type { Total } from '../../tensors.js';
import type { CoordinatorHalf, Done, Step } from '../computation.js';
import type { ModelResult, ValidateSpec } from '../frame.js';
import {
  BINS_MAX,
  countName,
  groupNamed,
  groupsOf,
  histogramName,
  innerFitsOf,
  outersOf,
  poolsCalibration,
  tensorName,
  thresholdKey,
  type Unit,
  type ValidateBroadcast,
  validateDeclaration,
} from './declaration.js';
import type { Threshold, ValidateResult } from './result.js';
import { summarize } from './summarize.coordinator.js';

/** Used where no threshold can be chosen from data. */
const DEFAULT_THRESHOLD = 0.5;

interface PooledCalibration {
  readonly unit: number;
  readonly group: string;
  readonly at: CalibrationCoefficients;
  readonly steps: number;
  /** Undefined while it runs. */
  readonly done?: Calibration | null;
}

export interface ValidateState {
  readonly broadcast: ValidateBroadcast;
  readonly thresholds: readonly Threshold[];
  readonly notes: readonly string[];
  /** Totals of the evaluation round. */
  readonly values: ReadonlyMap<string, Float64Array>;
  readonly calibrations: readonly PooledCalibration[];
}

/**
 * Validation: count, then a histogram of out-of-fold predictions for the threshold, then one round of per-site metrics
 * and sums over sites, then a few Newton steps for pooled calibration. A survival endpoint needs the last two only.
 */
export const validateCoordinator: CoordinatorHalf<ValidateSpec, ValidateBroadcast, ValidateState, ValidateResult> = {
  name: 'validate',
  start(spec, results) {
    const units = unitsOf(spec, results);
    const empty = { notes: [], values: new Map(), calibrations: [] };
    // A study that evaluates nobody still has one round, because a computation cannot end before it began.
    if (choosesThreshold(spec) || !evaluatesAnyone(spec, units))
      return step({ ...empty, thresholds: fixedThresholds(spec, units), broadcast: { phase: 'count', units } });
    return evaluateStep({ ...empty, thresholds: fixedThresholds(spec, units) }, units);
  },
  advance(spec, state, total) {
    const { broadcast } = state;
    switch (broadcast.phase) {
      case 'count':
        if (!choosesThreshold(spec)) return finish(spec, state);
        return step({ ...state, broadcast: { phase: 'histogram', units: broadcast.units, bins: binsOf(spec, total) } });
      case 'histogram': {
        const chosen = { ...state, ...chooseThresholds(spec, broadcast, total) };
        return evaluatesAnyone(spec, broadcast.units) ? evaluateStep(chosen, broadcast.units) : finish(spec, chosen);
      }
      case 'evaluate':
        return calibrateStep(spec, {
          ...state,
          values: total.values,
          calibrations: pooledCalibrations(spec, broadcast),
        });
      case 'calibrate':
        return calibrateStep(spec, {
          ...state,
          calibrations: state.calibrations.map((entry) => advanceCalibration(spec, broadcast.units, entry, total)),
        });
    }
  },
};

function unitsOf(spec: ValidateSpec, results: ReadonlyMap<string, unknown>): Unit[] {
  const arms = [...new Set(spec.fits.map((fit) => fit.arm))];
  return spec.models.flatMap(({ name }) => {
    const result = results.get(name) as ModelResult | undefined;
    assert(result !== undefined, `validate needs the result of model ${name}`);
    const fitted = (arm: Arm) =>
      spec.fits.some((fit) => fit.arm === arm) &&
      spec.fits.every((fit) => fit.arm !== arm || result.models[fit.id] !== undefined);
    return arms.filter(fitted).map((arm): Unit => ({ model: name, arm }));
  });
}

function choosesThreshold(spec: ValidateSpec): boolean {
  return spec.frame.endpoint.type === 'binary' && spec.threshold === 'youden';
}

function evaluatesAnyone(spec: ValidateSpec, units: readonly Unit[]): boolean {
  return validateDeclaration.leaves(spec, { phase: 'evaluate', units, thresholds: {} }).length > 0;
}

function fixedThresholds(spec: ValidateSpec, units: readonly Unit[]): Threshold[] {
  const value = spec.threshold;
  if (spec.frame.endpoint.type === 'survival' || value === 'youden') return [];
  const none = { bins: null, youden: null, bound: null };
  return everyOuter(spec, units).map(({ unit, outer }) => ({ ...unit, outer, value, source: 'fixed', ...none }));
}

function everyOuter(spec: ValidateSpec, units: readonly Unit[]): { unit: Unit; outer: string }[] {
  return units.flatMap((unit) => outersOf(spec, unit.arm).map((fit) => ({ unit, outer: fit.outer })));
}

function step(state: ValidateState): Step<ValidateState, ValidateBroadcast> {
  return { kind: 'step', state, broadcast: state.broadcast };
}

function evaluateStep(
  state: Omit<ValidateState, 'broadcast'>,
  units: readonly Unit[],
): Step<ValidateState, ValidateBroadcast> {
  const thresholds = Object.fromEntries(
    state.thresholds.map((entry) => [thresholdKey(entry, entry.outer), entry.value]),
  );
  return step({ ...state, broadcast: { phase: 'evaluate', units, thresholds } });
}

/** A histogram of both classes has at most N / minimumCount cells, so that a cell holds minimumCount on average. */
function binsOf(spec: ValidateSpec, total: Total): Record<string, number> {
  const bins: Record<string, number> = {};
  for (const fit of outersOf(spec, spec.fits[0]!.arm)) {
    const n = total.values.get(countName(fit))![0]!;
    const count = Math.min(BINS_MAX, Math.floor(n / (2 * spec.frame.minimumCount)));
    if (count >= 2) bins[fit.outer] = count;
  }
  return bins;
}

function chooseThresholds(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'histogram' },
  total: Total,
): { thresholds: Threshold[]; notes: string[] } {
  const notes: string[] = [];
  const thresholds = broadcast.units.flatMap((unit) =>
    outersOf(spec, unit.arm).map((fit): Threshold => {
      const base = { ...unit, outer: fit.outer };
      const bins = broadcast.bins[fit.outer];
      const counts = total.values.get(histogramName(unit, fit));
      const youden =
        bins === undefined || counts === undefined
          ? null
          : youdenFromHistogram(counts.subarray(bins, 2 * bins), counts.subarray(0, bins));
      if (youden !== null && bins !== undefined)
        return { ...base, source: 'youden', value: youden.threshold, bins, youden: youden.youden, bound: youden.bound };
      notes.push(
        `threshold of ${thresholdKey(unit, fit.outer)}: too few patients or one class only, ${DEFAULT_THRESHOLD} is used`,
      );
      return { ...base, source: 'default', value: DEFAULT_THRESHOLD, bins: null, youden: null, bound: null };
    }),
  );
  const all = outersOf(spec, spec.fits[0]!.arm)[0]!;
  if (innerFitsOf(spec, all).length === 0)
    notes.push('thresholds come from apparent predictions of the training patients: the study has no inner folds');
  return { thresholds, notes };
}

function pooledCalibrations(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'evaluate' },
): PooledCalibration[] {
  return broadcast.units.flatMap((unit, index) =>
    groupsOf(spec, unit)
      .filter((group) => poolsCalibration(spec, group))
      .map((group) => ({ unit: index, group: group.name, at: CALIBRATION_START, steps: 0 })),
  );
}

function advanceCalibration(
  spec: ValidateSpec,
  units: readonly Unit[],
  entry: PooledCalibration,
  total: Total,
): PooledCalibration {
  if (entry.done !== undefined) return entry;
  const unit = units[entry.unit]!;
  const sums = total.values.get(tensorName('calibration', unit, groupNamed(spec, unit, entry.group)))!;
  if (spec.frame.endpoint.type === 'survival') return advanceSlope(entry, sums);
  const next = calibrationStep(sums, entry.at);
  if (next === null || entry.steps + 1 >= CALIBRATION_STEPS_MAX) return { ...entry, done: null };
  const moved = { ...entry, at: next.next, steps: entry.steps + 1 };
  if (next.change >= CALIBRATION_TOLERANCE) return moved;
  const { slopeSe, interceptSe, inTheLargeSe } = next;
  return { ...moved, done: { ...next.next, slopeSe, interceptSe, inTheLargeSe } };
}

/** A survival model's scores have a slope only. */
function advanceSlope(entry: PooledCalibration, sums: Float64Array): PooledCalibration {
  const step = slopeStep(sums, entry.at.slope);
  if (step === null || entry.steps + 1 >= CALIBRATION_STEPS_MAX) return { ...entry, done: null };
  const at = { ...entry.at, slope: step.next };
  if (step.change >= CALIBRATION_TOLERANCE) return { ...entry, at, steps: entry.steps + 1 };
  const none = { interceptSe: Number.NaN, inTheLargeSe: Number.NaN };
  return { ...entry, done: { ...at, ...none, slopeSe: step.se } };
}

function calibrateStep(
  spec: ValidateSpec,
  state: ValidateState,
): Step<ValidateState, ValidateBroadcast> | Done<ValidateResult> {
  const { units } = state.broadcast;
  const active = state.calibrations.flatMap(({ unit, group, at, done }) =>
    done === undefined ? [{ unit, group, at }] : [],
  );
  if (active.length > 0) return step({ ...state, broadcast: { phase: 'calibrate', units, active } });
  return finish(spec, state);
}

function finish(spec: ValidateSpec, state: ValidateState): Done<ValidateResult> {
  const { units } = state.broadcast;
  const calibrations = new Map(
    state.calibrations.map((entry) => {
      const unit = units[entry.unit]!;
      return [tensorName('calibration', unit, groupNamed(spec, unit, entry.group)), entry.done ?? null] as const;
    }),
  );
  return {
    kind: 'done',
    result: summarize(spec, {
      units,
      thresholds: state.thresholds,
      values: state.values,
      calibrations,
      notes: state.notes,
    }),
  };
}
