import { assert } from '../../errors.js';
import type { Total } from '../../tensors.js';
import type { CoordinatorHalf, Done, Step } from '../computation.js';
import type { NetBroadcast } from '../elastic-net/broadcast.js';
import { advanceNet, restartWhereSitesChanged, startNet, trainingSitesIn } from '../elastic-net/driver.js';
import type { NetState } from '../elastic-net/state.js';
import type { CoxSpec, ModelResult, ModelSummary } from '../frame.js';
import { type BaselinePoint, baselineOf, baselineTensor, intervalsFor } from './baseline.js';
import { COX, type CoxBroadcast } from './declaration.js';

/** Models are fitted first; then, where the study has a horizon, one round for their baseline hazards. */
export type CoxState =
  | { readonly stage: 'fitting'; readonly net: NetState }
  | {
      readonly stage: 'baseline';
      readonly net: NetState;
      readonly result: ModelResult;
      readonly points: readonly BaselinePoint[];
    };

/** Throws STUDY_INVALID at the start where lambda is to be cross-validated without inner folds. */
export const coxCoordinator: CoordinatorHalf<CoxSpec, CoxBroadcast, CoxState, ModelResult> = {
  name: 'cox',
  watchesSites: true,
  start: (spec, results) => fitting(startNet(COX, spec, results)),
  advance(spec, state, total) {
    if (state.stage === 'baseline') {
      // A baseline over other sites than the coefficients belongs to no model.
      const again = restartWhereSitesChanged(COX, spec, state.net, total);
      return again === null ? { kind: 'done', result: withBaselines(spec, state, total) } : fitting(again);
    }
    const options = { penaltyScale: spec.penaltyScale, disclosive: spec.strata === 'none' };
    const next = advanceNet(COX, spec, options, state.net, total);
    if (next.kind === 'step') return fitting(next);
    return fitted(spec, { ...state.net, sites: trainingSitesIn(spec, total) }, next);
  },
};

function fitting(step: Step<NetState, NetBroadcast>): Step<CoxState, CoxBroadcast> {
  return {
    kind: 'step',
    state: { stage: 'fitting', net: step.state },
    broadcast: { ...step.broadcast, baseline: [] },
  };
}

function fitted(
  spec: CoxSpec,
  net: NetState,
  done: Done<ModelResult>,
): Step<CoxState, CoxBroadcast> | Done<ModelResult> {
  const { endpoint } = spec.frame;
  if (endpoint.type !== 'survival' || endpoint.horizon === null) return done;
  const { result } = done;
  const points = spec.fits.flatMap((fit, index): BaselinePoint[] => {
    const model = result.models[fit.id];
    // Without a finite optimum a score is no log relative hazard, so there is no baseline either.
    if (fit.inner !== null || model?.type !== 'linear' || result.summaries[fit.id]?.converged !== true) return [];
    return [{ fit: index, intervals: intervalsFor(spec, net.fits[index]!.events), beta: model.beta }];
  });
  if (points.length === 0) return done;
  return {
    kind: 'step',
    state: { stage: 'baseline', net, result, points },
    broadcast: { counts: new Int32Array(0), points: [], heldOut: [], baseline: points },
  };
}

function withBaselines(spec: CoxSpec, state: Extract<CoxState, { stage: 'baseline' }>, total: Total): ModelResult {
  const summaries: Record<string, ModelSummary> = { ...state.result.summaries };
  for (const point of state.points) {
    const id = spec.fits[point.fit]!.id;
    const sums = total.values.get(baselineTensor(spec, point));
    assert(sums !== undefined, `the total lacks ${baselineTensor(spec, point)}`);
    const baseline = baselineOf(spec, point, sums);
    const summary = summaries[id]!;
    const notes =
      baseline === null ? [...summary.notes, 'nobody is followed to the horizon: no absolute risk'] : summary.notes;
    summaries[id] = { ...summary, baseline, notes };
  }
  return { ...state.result, summaries };
}
