import type { SiteView } from '../../cohort.site.js';
import type { DescribeResult } from '../describe/declaration.js';
import { eventMarks } from '../describe/marks.site.js';
import { checkSameSuppression } from '../describe/suppression-check.site.js';
import type { ValidateSpec } from '../frame.js';
import type { Group } from './declaration.js';
import { NOTHING_WITHHELD, type Withheld } from './site-metrics.site.js';

/**
 * What a site keeps back of one group: everything where `describe` hides its events, or where they are few; with a split
 * also its number of training and of test cases, of which the totals and its own n would give a small one.
 */
export function withheldAt(spec: ValidateSpec, group: Group, site: string, view: SiteView): Withheld {
  const described = view.results.get('describe') as DescribeResult | undefined;
  checkSameSuppression(spec, described, view.memo);
  if (!view.cohort.siteOf.includes(view.cohort.sites.indexOf(site))) return NOTHING_WITHHELD;
  const what = isPart(spec, group) ? 'parts' : 'whole';
  // A site that was not asked for its events in `describe` covers somebody, or sits out.
  const listed =
    described !== undefined && (described.hidden[what].includes(site) || described.excludedSites.includes(site));
  if (!listed && !eventMarks(view.cohort, { ...spec, outers: outerSites(spec) }, site)[what].small)
    return NOTHING_WITHHELD;
  return { outcome: true, n: what === 'parts' };
}

/**
 * False where the sums of a group would be over fewer than minSites sites, because the others keep their outcome back, and
 * the study shows no site's own numbers.
 */
export function sumsHideSites(spec: ValidateSpec, group: Group, view: SiteView): boolean {
  if (spec.perSite) return true;
  const described = view.results.get('describe') as DescribeResult | undefined;
  if (described === undefined) return true;
  const kept = new Set([...described.excludedSites, ...described.hidden[isPart(spec, group) ? 'parts' : 'whole']]);
  return group.parts.filter(({ site }) => !kept.has(site)).length >= spec.frame.minSites;
}

function isPart(spec: ValidateSpec, group: Group): boolean {
  return spec.hasSplit && (group.rows === 'test' || group.rows === 'out-of-fold');
}

function outerSites(spec: ValidateSpec): (readonly string[])[] {
  return spec.fits.filter((fit) => fit.inner === null).map((fit) => fit.sites);
}
