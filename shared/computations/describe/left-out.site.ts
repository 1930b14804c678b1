import type { Cohort } from '../../cohort.site.js';
import type { Frame } from '../frame.js';
import { invalid } from '../received.js';
import { describedSitesOf } from './declaration.js';

/**
 * Which sites the columns are described over is the one thing about a tensor that the coordinator says and the study does
 * not. Later sums hold every site with enough patients, so a site left out here would be their difference.
 * Throws POLICY_BROADCAST_INVALID.
 */
export function refuseToBeLeftOut(frame: Frame, sites: readonly string[], cohort: Cohort): void {
  for (const [index, name] of cohort.sites.entries()) {
    if (sites.includes(name) || !describedSitesOf(frame).includes(name)) continue;
    if (cohort.siteOf.filter((site) => site === index).length >= frame.minimumCohort)
      throw invalid('sites', `leaves out ${name}, which takes part`);
  }
}
