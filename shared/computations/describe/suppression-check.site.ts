import type { Cohort } from '../../cohort.site.js';
import { ConcordatError } from '../../errors.js';
import type { SuppressionSpec } from '../frame.js';
import type { DescribeBroadcast, DescribeResult } from './declaration.js';
import { eventMarks } from './marks.site.js';
import { type EventMarks, exposedGroups } from './suppression.js';

type SumsBroadcast = DescribeBroadcast & { readonly phase: 'sums' };

const MEMO = 'describe/suppression';

/**
 * What a site can verify of the suppression that it is asked to follow. It knows its own marks only: that another site named
 * beside it really keeps its number back is the other's own check. The list is the same for everybody, because its hash is
 * in what all sites sign, and it may not change while the study runs.
 *
 * @throws ConcordatError POLICY_SMALL_COUNT_EXPOSED
 */
export function checkSuppression(
  spec: SuppressionSpec,
  broadcast: SumsBroadcast,
  cohort: Cohort,
  memo: Map<string, unknown>,
): void {
  const { hidden, shown, pooledEvents } = broadcast;
  const agreed = agreementOf(broadcast.sites, spec, broadcast);
  const before = memo.get(MEMO);
  if (before !== undefined && before !== agreed) throw exposed('names other sites than it did before');
  if (shown.some((site) => hidden.whole.includes(site))) throw exposed('asks for a number that it suppresses');
  for (const site of cohort.sites) {
    if (patientsAt(cohort, site) < spec.frame.minimumCohort) continue;
    const marks = eventMarks(cohort, spec, site);
    for (const what of ['whole', 'parts'] as const) if (marks[what].small) requireHidden(spec, broadcast, what, site);
    if (pooledEvents.includes(site)) requirePool(spec, broadcast, site);
  }
  memo.set(MEMO, agreed);
}

/**
 * Later computations go by the result of `describe`, which comes from the coordinator: it must name the sites that the
 * round did. Says nothing after a restart, which forgets the round.
 *
 * @throws ConcordatError POLICY_SMALL_COUNT_EXPOSED
 */
export function checkSameSuppression(
  spec: Pick<SuppressionSpec, 'frame'>,
  described: DescribeResult | undefined,
  memo: ReadonlyMap<string, unknown>,
): void {
  const before = memo.get(MEMO);
  if (before === undefined) return;
  if (described === undefined || agreementOf(described.describedSites, spec, described) !== before)
    throw exposed('follows a description with other sites than were agreed');
}

function agreementOf(
  sites: readonly string[],
  spec: Pick<SuppressionSpec, 'frame'>,
  { hidden }: Pick<DescribeResult, 'hidden'>,
): string {
  const training = sites.filter((site) => spec.frame.training.includes(site));
  return JSON.stringify([training, hidden.whole, hidden.parts]);
}

function requireHidden(spec: SuppressionSpec, broadcast: SumsBroadcast, what: keyof EventMarks, site: string): void {
  const hidden = broadcast.hidden[what];
  if (!hidden.includes(site)) throw exposed(`leaves out site "${site}", whose events are few`);
  const uncovered = exposedGroups(spec, hidden).some((group) => group.includes(site));
  const others = [...broadcast.sites, ...broadcast.shown].filter((name) => spec.frame.training.includes(name));
  if (uncovered && others.some((name) => !hidden.includes(name)))
    throw exposed(`covers site "${site}", whose events are few, by fewer than ${spec.frame.minSites} sites`);
}

/** Only part of a group's hidden sites, or fewer than minSites, would be told apart from the rest. */
function requirePool(spec: SuppressionSpec, { hidden, pooledEvents }: SumsBroadcast, site: string): void {
  const training = spec.frame.training.includes(site);
  const ofGroup = (sites: readonly string[]) =>
    sites.filter((name) => spec.frame.training.includes(name) === training).sort();
  const pooled = ofGroup(pooledEvents);
  if (pooled.length < spec.frame.minSites || pooled.join('\n') !== ofGroup(hidden.whole).join('\n'))
    throw exposed(`adds the events of site "${site}" up over too few sites`);
}

function patientsAt(cohort: Cohort, site: string): number {
  const index = cohort.sites.indexOf(site);
  return cohort.siteOf.reduce((count, of) => count + (of === index ? 1 : 0), 0);
}

function exposed(what: string): ConcordatError {
  return new ConcordatError('POLICY_SMALL_COUNT_EXPOSED', `the round ${what}`);
}
