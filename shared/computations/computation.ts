import type { SiteView } from '../cohort.site.js';
import type { Contribution, TensorSpec, Total } from '../tensors.js';

/**
 * A federated computation: two pure halves that share one declaration. `Spec` is plain JSON derived from the study
 * (and so covered by its hash); `Broadcast` and `Result` are documents (shared/document.ts): plain data and typed arrays.
 */
export interface Declaration<Spec, Broadcast> {
  readonly name: string;
  /** Every tensor that will leave in answer to this broadcast, in sending order. Same answer at every site. */
  leaves(spec: Spec, broadcast: Broadcast): TensorSpec[];
}

/** The half that may see patient rows. Pure: no clock, no I/O, no randomness but the study's seed. */
export interface SiteHalf<Spec, Broadcast> {
  readonly name: string;
  contribute(spec: Spec, broadcast: Broadcast, view: SiteView): Contribution;
}

export interface Step<State, Broadcast> {
  readonly kind: 'step';
  readonly state: State;
  readonly broadcast: Broadcast;
}

export interface Done<Result> {
  readonly kind: 'done';
  readonly result: Result;
}

/** The half that sees only totals. Pure. State is held in memory and rebuilt by replaying totals after a restart. */
export interface CoordinatorHalf<Spec, Broadcast, State, Result> {
  readonly name: string;
  /**
   * True where `advance` itself sees to it that totals over different sites are not combined. Otherwise a computation of which
   * a site goes missing, or comes back, between two of its rounds begins anew (`onMissingSite: continue`).
   */
  readonly watchesSites?: true;
  /** `results` are the public results of earlier computations in the same study. */
  start(spec: Spec, results: ReadonlyMap<string, unknown>): Step<State, Broadcast>;
  advance(spec: Spec, state: State, total: Total): Step<State, Broadcast> | Done<Result>;
}

/**
 * A computation whose types are erased, as the registries hold them. Only plan-driven code calls it, and the plan pairs
 * every spec with its computation by name.
 */
export interface AnyDeclaration {
  readonly name: string;
  leaves(spec: never, broadcast: never): TensorSpec[];
}
export interface AnySiteHalf {
  readonly name: string;
  contribute(spec: never, broadcast: never, view: SiteView): Contribution;
}
export interface AnyCoordinatorHalf {
  readonly name: string;
  readonly watchesSites?: true;
  start(spec: never, results: ReadonlyMap<string, unknown>): Step<unknown, unknown>;
  advance(spec: never, state: never, total: Total): Step<unknown, unknown> | Done<unknown>;
}
