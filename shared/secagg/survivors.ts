import { ConcordatError } from '../errors.js';
import type { RoundTerms } from '../messages.js';
import { fewestSurvivors } from './context.js';

export interface DividedSites {
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
}

/**
 * Survivors and dropped are sorted, disjoint, their union is the attempt's sites, and the survivors are at least
 * max(t, minSites); under `wait` nobody is dropped. Without disjointness a coordinator could have both kinds of share of
 * one site released. Throws SECAGG_SET_INVALID.
 */
export function checkDivision(terms: RoundTerms, sites: readonly string[], set: DividedSites): void {
  const invalid = (why: string) => new ConcordatError('SECAGG_SET_INVALID', `the proposed set of survivors ${why}`);
  for (const list of [set.survivors, set.dropped])
    if (list.some((site, index) => index > 0 && list[index - 1]! >= site))
      throw invalid('is not sorted, or repeats a site');
  const dropped = new Set(set.dropped);
  if (set.survivors.some((site) => dropped.has(site))) throw invalid('names a site as survivor and as dropped');
  const union = [...set.survivors, ...set.dropped].sort();
  if (union.length !== sites.length || union.some((site, index) => site !== sites[index]))
    throw invalid("is not a division of the attempt's sites");
  if (set.survivors.length < fewestSurvivors(terms))
    throw invalid(`has ${set.survivors.length} sites, at least ${fewestSurvivors(terms)} are needed`);
  if (terms.onMissingSite === 'wait' && set.dropped.length > 0)
    throw invalid('leaves out sites, which the study does not permit');
}

export function sameSet(a: DividedSites, b: DividedSites): boolean {
  const same = (x: readonly string[], y: readonly string[]) =>
    x.length === y.length && x.every((site, index) => site === y[index]);
  return same(a.survivors, b.survivors) && same(a.dropped, b.dropped);
}
