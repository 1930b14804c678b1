import type { Cohort } from '../../cohort.site.js';
import type { Frame } from '../frame.js';
import { invalid } from '../received.js';
import { type Binning, type DescribeBroadcast, REACH_SDS } from './declaration.js';

/**
 * What a site can verify of a histogram that it is asked for. The coordinator works bins out from totals that no site sees
 * alone; but all sites are shown one list of how many patients each has (it is part of what they sign), and each knows its own
 * entry, so their sum is right but for what colluding sites add. With it the number of bins is bounded (check-broadcast.ts),
 * and here their width.
 */
type Histograms = DescribeBroadcast & { readonly phase: 'histograms' };

/** Spread below this share of the largest value is near what fixed point rounds away. */
const ROUNDING = 1e-6;

/** Throws POLICY_BROADCAST_INVALID where the list has another number for a site of this holder. */
export function requireOwnNumbers(frame: Frame, { sites, patients }: Histograms, cohort: Cohort): void {
  const names = new Set([...cohort.sites, ...cohort.exclusions.map(({ site }) => site)]);
  for (const [at, site] of sites.entries()) {
    if (!names.has(site)) continue;
    const index = cohort.sites.indexOf(site);
    const n = cohort.siteOf.reduce((count, of) => count + (of === index ? 1 : 0), 0);
    if (patients[at] !== n || n < frame.minimumCohort) throw invalid('patients', `has another number for ${site}`);
  }
}

/**
 * The squared deviations of all patients from the middle of the bins are at least this site's own, so the sd that the bins
 * are made from cannot be smaller than these alone would give it. Throws POLICY_BROADCAST_INVALID where it is.
 */
export function requireWideEnough({ patients }: Histograms, binning: Binning, values: readonly number[]): void {
  const { low, width, bins } = binning;
  if (bins === 0) return;
  const reach = (width * (bins - 2)) / 2;
  const sd = reach / REACH_SDS;
  const middle = low + reach;
  const n = patients.reduce((sum, count) => sum + count, 0);
  // Relative to the largest value, so that no square overflows.
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), Math.abs(middle));
  if (scale === 0) return;
  const square = (value: number) => (value / scale) * (value / scale);
  const own = values.reduce((sum, value) => sum + square(value - middle), 0);
  if (own <= values.length * ROUNDING * ROUNDING) return;
  if (square(sd) * n < own * (1 - ROUNDING))
    throw invalid('binnings', 'are narrower than this site’s patients alone permit');
}
