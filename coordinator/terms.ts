import { ConcordatError } from '../shared/errors.js';
import { fromHex } from '../shared/hex.js';
import type { RoundTerms } from '../shared/messages.js';
import { findMember, type Roster } from '../shared/roster.js';
import { type Study, studySites } from '../shared/study.js';
import type { Approval } from '../shared/study-messages.js';

/** What the rounds of a study run on: the study, the pinned roster and the box keys in the signed approvals. */
export function termsOf(
  study: Study,
  studyHash: string,
  roster: Roster,
  approvals: readonly Pick<Approval, 'site' | 'boxPublicKey'>[],
): RoundTerms {
  const sites = studySites(study).map((site) => {
    const member = findMember(roster, site);
    const approval = approvals.find((entry) => entry.site === site);
    if (member === undefined || approval === undefined)
      throw new ConcordatError('STUDY_SITES_UNKNOWN', `site "${site}" has no key in the roster, or did not approve`);
    return { site, signingPublicKey: fromHex(member.signingPublicKey, 32)!, boxPublicKey: approval.boxPublicKey };
  });
  return {
    roster: { studyHash, rosterVersion: roster.version, sites },
    mode: study.privacy.secureAggregation ? 'secure' : 'plain',
    coordinator: study.privacy.coordinator,
    minSites: study.privacy.minSites,
    onMissingSite: study.onMissingSite,
  };
}
