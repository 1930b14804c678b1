import type { CoordinatorHalf } from '../computation.js';
import type { NetBroadcast } from '../elastic-net/broadcast.js';
import { advanceNet, type NetState, startNet } from '../elastic-net/driver.js';
import type { CoxSpec, ModelResult } from '../frame.js';
import { COX } from './declaration.js';

/** Throws STUDY_INVALID at the start where lambda is to be cross-validated without inner folds. */
export const coxCoordinator: CoordinatorHalf<CoxSpec, NetBroadcast, NetState, ModelResult> = {
  name: 'cox',
  start: (spec, results) => startNet(COX, spec, results),
  advance: (spec, state, total) =>
    advanceNet(COX, spec, { penaltyScale: spec.penaltyScale, disclosive: spec.strata === 'none' }, state, total),
};
