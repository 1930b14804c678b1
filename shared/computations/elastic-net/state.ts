import type { Fit } from '../../fits.js';
import type { NetBroadcast } from './broadcast.js';
import type { CrossValidation } from './cross-validation.js';
import type { Evaluation } from './evaluation.js';
import type { NewtonState } from './newton.js';
import type { PathState } from './path.js';
import type { Penalty } from './penalty.js';

/** What the coordinator keeps of one fit between rounds. */
export interface NetFit {
  readonly fit: Fit;
  readonly stage: 'counts' | 'null' | 'newton' | 'path' | 'done';
  readonly n: number;
  readonly events: number;
  readonly saturated: number;
  readonly mean: Float64Array;
  readonly sd: Float64Array;
  readonly penalty: Penalty;
  /** Multiplies the study's lambda to give the penalty on the mean log-likelihood. */
  readonly lambdaScale: number;
  readonly nullModel: Evaluation | null;
  /** In the study's units, decreasing. */
  readonly lambdas: Float64Array;
  readonly path: PathState | null;
  readonly newton: NewtonState | null;
  /** Rounds in which this fit asked for derivatives. */
  readonly rounds: number;
  /** Why no model can be fitted, or null. */
  readonly degenerate: string | null;
}

/** The fits of one arm and outer fold: the full one, and the inner ones that choose its lambda. */
export interface NetGroup {
  readonly full: number;
  readonly inner: readonly number[];
  readonly heldOut: 'waiting' | 'asked' | 'done';
  readonly cv: CrossValidation | null;
}

export interface NetState {
  readonly fits: readonly NetFit[];
  readonly groups: readonly NetGroup[];
  readonly asked: NetBroadcast;
  /** Training sites in the totals so far; null before the first. */
  readonly sites: readonly string[] | null;
  readonly notes: readonly string[];
}
