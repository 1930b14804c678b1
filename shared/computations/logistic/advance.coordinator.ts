import type { CoordinatorHalf } from '../computation.js';
import type { NetBroadcast } from '../elastic-net/broadcast.js';
import { advanceNet, startNet } from '../elastic-net/driver.js';
import type { NetState } from '../elastic-net/state.js';
import type { LogisticSpec, ModelResult } from '../frame.js';
import { LOGISTIC } from './declaration.js';

const options = { penaltyScale: 'mean', disclosive: false } as const;

/** Throws STUDY_INVALID at the start where lambda is to be cross-validated without inner folds. */
export const logisticCoordinator: CoordinatorHalf<LogisticSpec, NetBroadcast, NetState, ModelResult> = {
  name: 'logistic',
  watchesSites: true,
  start: (spec, results) => startNet(LOGISTIC, spec, results),
  advance: (spec, state, total) => advanceNet(LOGISTIC, spec, options, state, total),
};
