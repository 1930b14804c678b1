import type { Declaration } from '../computation.js';
import { type NetBroadcast, type NetFamily, netLeaves } from '../elastic-net/broadcast.js';
import type { CoxSpec } from '../frame.js';
import { type BaselinePoint, baselineLeaves } from './baseline.js';

export const COX: NetFamily = { name: 'cox', intercept: false, saturated: true, heldOutRows: 'all' };

export interface CoxBroadcast extends NetBroadcast {
  /** Models whose baseline hazard is wanted: the last round, where the study declares a horizon. */
  readonly baseline: readonly BaselinePoint[];
}

/**
 * Cox regression, penalised or not. Stratified by site, so that risk sets stay at home: what leaves are counts, score
 * vectors, information over the active predictors and log partial likelihoods, never a sum at an event time; with a
 * horizon also deaths and hazard-weighted time at risk on a coarse grid.
 */
export const coxDeclaration: Declaration<CoxSpec, CoxBroadcast> = {
  name: 'cox',
  leaves: (spec, broadcast) => [...netLeaves(COX, spec, broadcast), ...baselineLeaves(spec, broadcast.baseline)],
};
