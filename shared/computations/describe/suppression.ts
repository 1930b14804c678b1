import { isolatedGroups, spanOf } from '../../guard-span.js';
import type { SuppressionSpec } from '../frame.js';

/**
 * Secondary suppression. A site with few events, or few patients without one, keeps their number to itself. The models'
 * totals give the events of all training sites together, so with the others' counts beside them its number would be a
 * subtraction away. Therefore further training sites keep theirs back too, until no combination of totals shows the small
 * count alone or in a group of fewer than minSites sites. (Cox 1980, JASA 75:377: suppressed cells need complementary ones.)
 *
 * External sites are in no total of events but `events` of describe, which is over minSites hidden ones or is not asked
 * for, and sums of `validate`, which leave hidden sites out; so they need no cover.
 */

/** What a site tells of its events before it is known whether their number is shown. */
export interface EventMark {
  /** From 1 to minimumCount - 1 patients with the event, or without it, in some set of rows that is shown. */
  readonly small: boolean;
  /** At least minimumCount of both in each such set: its number can hide another's. */
  readonly cover: boolean;
}

/** `whole`: all of a site's patients. `parts`: also its rows for training and for testing, where the table brings a split. */
export interface EventMarks {
  readonly whole: EventMark;
  readonly parts: EventMark;
}

/** Sites whose number of events is not shown, sorted: of all their patients, and of the parts of a split. */
export interface HiddenSites {
  readonly whole: readonly string[];
  readonly parts: readonly string[];
}

export interface MarkedSite {
  readonly name: string;
  readonly n: number;
  readonly marks: EventMarks;
}

/** Derived from marks alone, the same wherever it is derived. `taking` are the sites that do not sit out. */
export function hiddenSites(spec: SuppressionSpec, taking: readonly MarkedSite[]): HiddenSites {
  const whole = hiddenBy(spec, taking, 'whole', []);
  return { whole, parts: spec.hasSplit ? hiddenBy(spec, taking, 'parts', whole) : whole };
}

/**
 * Groups of fewer than minSites of the hidden training sites whose events the models' totals give together, when all
 * other sites' are shown. Groups that signed showAggregate altogether are left out: they accepted it.
 */
export function exposedGroups(spec: SuppressionSpec, hidden: readonly string[]): string[][] {
  const vectors = spec.outers.flatMap((sites) => {
    const contributors = sites.filter((site) => hidden.includes(site)).map((site) => ({ site, cells: [0] }));
    return contributors.length === 0 ? [] : [{ scheme: 'sites', cells: 1, contributors }];
  });
  return isolatedGroups(spanOf(vectors), spec.frame.minSites).filter(
    (group) => !group.every((site) => spec.showAggregate.includes(site)),
  );
}

function hiddenBy(
  spec: SuppressionSpec,
  taking: readonly MarkedSite[],
  what: keyof EventMarks,
  already: readonly string[],
): string[] {
  const small = taking.filter(({ marks }) => marks[what].small).map(({ name }) => name);
  const hidden = [...new Set([...small, ...already])];
  for (;;) {
    const exposed = exposedGroups(spec, hidden)
      .flat()
      .filter((site) => small.includes(site));
    const left = taking.filter(({ name }) => spec.frame.training.includes(name) && !hidden.includes(name));
    if (exposed.length === 0 || left.length === 0) return hidden.sort();
    const besides = new Set(exposed.map((site) => membership(spec, site)));
    const rank = ({ name, marks }: MarkedSite) =>
      (besides.has(membership(spec, name)) ? 0 : 2) + (marks[what].cover ? 0 : 1);
    left.sort((a, b) => rank(a) - rank(b) || a.n - b.n || (a.name < b.name ? -1 : 1));
    hidden.push(left[0]!.name);
  }
}

/** Sites that are in the same totals cover one another; in other totals they may not. */
function membership(spec: SuppressionSpec, site: string): string {
  return spec.outers.map((sites) => (sites.includes(site) ? '1' : '0')).join('');
}
