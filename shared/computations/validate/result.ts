import type { Arm } from '../../fits.js';

/** A number with its 95 % interval where it has one; a cell below the disclosure threshold; or undefined (see notes). */
export type Metric =
  | { readonly value: number; readonly low?: number; readonly high?: number }
  | { readonly suppressed: true }
  | null;

/**
 * Binary: n, events, auc, calibrationIntercept (in the large: slope held at 1), calibrationSlope, brier, sensitivity,
 * specificity. Survival: n, events, cIndex, calibrationSlope; with a horizon brier and observedExpected (risk by the horizon: 1 -
 * Kaplan-Meier over mean predicted). Pooled, a Brier score is the mean of the sites' own, and observed and expected are means of the
 * sites' too, weighted by patients: censoring is estimated within each site.
 */
export type Metrics = Readonly<Record<string, Metric>>;

export interface Threshold {
  readonly model: string;
  readonly arm: Arm;
  /** Outer fold whose training patients set it. */
  readonly outer: string;
  /** Probability from which on a patient is called positive. */
  readonly value: number;
  readonly source: 'youden' | 'fixed' | 'default';
  /** Equal bins of [0, 1] that the threshold was chosen from, Youden's index there, and by how much a finer choice could exceed it. */
  readonly bins: number | null;
  readonly youden: number | null;
  readonly bound: number | null;
}

export interface ValidationFold {
  /** `without-<site>`, `leave-one-site-out` (those folds together), `external`, `split`, `cross-validation`. */
  readonly name: string;
  readonly model: string;
  readonly arm: Arm;
  readonly heldOut: readonly string[];
  /** Whether the numbers judge the way of making a model (each fold makes its own) or the one published model. */
  readonly evaluates: 'procedure' | 'model';
  readonly sites: Readonly<Record<string, Metrics>>;
  readonly pooled: Metrics;
}

export interface ValidateResult {
  readonly thresholds: readonly Threshold[];
  readonly folds: readonly ValidationFold[];
  /** The study's own model under its own harmonization: each site as held out or external, and the best pooled fold. */
  readonly sites: Readonly<Record<string, Metrics>>;
  readonly pooled: Metrics;
  /** Name of the fold that `pooled` is from; null where there is none. */
  readonly pooledFold: string | null;
  /** Why a value is null or what to know about it; `path` is a JSON pointer (RFC 6901) into result.json. */
  readonly notes: readonly { readonly path: string; readonly reason: string }[];
}
