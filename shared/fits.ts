/**
 * A fit is one model fitting among those that advance side by side: an arm (which harmonization), an outer fold (all
 * training sites, or all but some) and possibly an inner fold (patients inside every site held out, for lambda and
 * thresholds). A fold is one more tensor in the same round, zeros from whoever is held out.
 */
export type Arm = 'none' | 'zscore' | 'combat';

export interface Fit {
  /** `combat:all`, `combat:all/2`, `none:without-alder`, ... unique in the study. */
  readonly id: string;
  readonly arm: Arm;
  /** `all` or `without-<site>[+<site>]`. */
  readonly outer: string;
  /** Inner fold held out, or null where all patients of `sites` are used. */
  readonly inner: number | null;
  /** Site labels whose patients are fitted, sorted. */
  readonly sites: readonly string[];
  /** Site labels that this outer fold holds out among the training sites, sorted. */
  readonly heldOut: readonly string[];
}

export function fitId(arm: Arm, outer: string, inner: number | null): string {
  return inner === null ? `${arm}:${outer}` : `${arm}:${outer}/${inner}`;
}

/** Contributors of a tensor of this fit, for the declaration: every cell but the held-out one of each site. */
export function fitContributors(fit: Fit, innerFolds: number): { site: string; cells: number[] }[] {
  const cells = Array.from({ length: Math.max(1, innerFolds) }, (_, cell) => cell).filter((cell) => cell !== fit.inner);
  return fit.sites.map((site) => ({ site, cells: [...cells] }));
}
