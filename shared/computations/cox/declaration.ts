import type { Declaration } from '../computation.js';
import { type NetBroadcast, type NetFamily, netLeaves } from '../elastic-net/broadcast.js';
import type { CoxSpec } from '../frame.js';

export const COX: NetFamily = { name: 'cox', intercept: false, saturated: true, heldOutRows: 'all' };

/**
 * Cox regression, penalised or not. Stratified by site, so that risk sets stay at home: what leaves are counts, score
 * vectors, information over the active predictors and log partial likelihoods, never a sum at an event time.
 */
export const coxDeclaration: Declaration<CoxSpec, NetBroadcast> = {
  name: 'cox',
  leaves: (spec, broadcast) => netLeaves(COX, spec, broadcast),
};
