import type { Declaration } from '../computation.js';
import { type NetBroadcast, type NetFamily, netLeaves } from '../elastic-net/broadcast.js';
import type { LogisticSpec } from '../frame.js';

export const LOGISTIC: NetFamily = { name: 'logistic', intercept: true, saturated: false, heldOutRows: 'cell' };

/**
 * Logistic regression, penalised (elastic net) or not. What leaves: counts, score vectors, information over the active
 * predictors, the log-likelihood, and deviances of held-out patients.
 */
export const logisticDeclaration: Declaration<LogisticSpec, NetBroadcast> = {
  name: 'logistic',
  leaves: (spec, broadcast) => netLeaves(LOGISTIC, spec, broadcast),
};
