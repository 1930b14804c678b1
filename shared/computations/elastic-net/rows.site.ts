import { rowsOfFit, type SiteView } from '../../cohort.site.js';
import type { Fit } from '../../fits.js';

/**
 * Whether any row here is fitted by `fit`. Where none is (a held-out or external site) nothing is sent, and above all
 * nothing is computed: a site that is held out may have no harmonization to compute from.
 */
export function trainsHere(view: SiteView, fit: Fit): boolean {
  const key = `trains:${fit.id}`;
  const kept = view.memo.get(key) as boolean | undefined;
  if (kept !== undefined) return kept;
  const trains = rowsOfFit(view.cohort, fit).includes(1);
  view.memo.set(key, trains);
  return trains;
}
