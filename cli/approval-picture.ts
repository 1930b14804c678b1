import { planStudy } from '../shared/plan.js';
import { findMember, type Roster } from '../shared/roster.js';
import { modelName, type Study, studySites } from '../shared/study.js';
import { checkStudyPlan } from '../shared/study-check.js';
import { describeLeaves } from '../site-agent/egress.js';
import { previewLeaves } from '../site-agent/preview.js';
import type { DecisionGrounds } from '../site-agent/shell/decide.js';
import type { KnownStudy } from '../site-agent/site-records.js';
import { leavesTable, studyCheckText } from './format-site.js';

/** What a hospital sees before it approves: the study in plain words, what would leave, and what shows it alone. */
export function approvalPicture(
  study: Study,
  known: Pick<KnownStudy, 'studyHash' | 'rosterVersion' | 'rosterHash'>,
  /** The roster version that the decision pins; null shows no fingerprints. */
  roster: Roster | null,
  site: string,
  grounds: Pick<DecisionGrounds, 'cohort' | 'reasons'>,
): { text: string; data: Record<string, unknown> } {
  const plan = planStudy(study);
  const leaves = describeLeaves(previewLeaves(plan));
  const { cohort, warnings } = grounds.cohort;
  const cells = Math.max(1, study.validation.folds);
  const cellCounts = new Array<number>(cells).fill(0);
  for (const cell of cohort.cellOf) cellCounts[cell]! += 1;
  const check = checkStudyPlan(
    previewLeaves(plan).flatMap(({ rounds }) => [...rounds]),
    study,
    { [site]: cellCounts },
  );
  const exclusions = cohort.exclusions.map(({ reason, count }) => `${count} ${reason}`).join(', ');
  const own = check.isolated.filter((entry) => entry.sites.includes(site));
  const lines = [
    `Study     ${study.name}${study.title === undefined ? '' : `: ${study.title}`}`,
    `Hash      ${known.studyHash}`,
    `Roster    version ${known.rosterVersion}, ${known.rosterHash.slice(0, 16)}`,
    `Sites     training ${study.sites.training.join(', ')}${study.sites.external.length === 0 ? '' : `; external ${study.sites.external.join(', ')}`}`,
    ...fingerprints(study, roster),
    `Columns   ${study.cohort.features.length} features; ${[...study.cohort.covariates.map(({ column }) => column), outcomeOf(study)].join(', ')}`,
    `Models    ${[study.model, ...study.comparators].map((model) => `${modelName(model)} (${model.type})`).join(', ')}`,
    `Patients  ${cohort.n} usable here${exclusions === '' ? '' : `; left out: ${exclusions}`}`,
    `Masks     ${study.privacy.secureAggregation ? 'secure aggregation: the coordinator sees totals over sites only' : 'NONE: the coordinator sees what each site sends'}`,
    '',
    'What would leave, largest round of each kind:',
    '',
    leavesTable(leaves),
    '',
    own.length === 0
      ? `No combination of totals shows ${site} alone (or in a group smaller than ${study.privacy.minSites}).`
      : `Combinations of totals can show ${site} alone, for example leave-one-site-out: all minus all-but-${site}:\n\n${studyCheckText({ ...check, isolated: own })}`,
    ...warnings.slice(0, 5).map(({ message }) => `warning: ${message}`),
  ];
  const data = {
    study: known.studyHash,
    name: study.name,
    rosterVersion: known.rosterVersion,
    rosterHash: known.rosterHash,
    keys: Object.fromEntries(
      studySites(study).map((name) => [name, findMember(roster, name)?.signingPublicKey ?? null]),
    ),
    patients: cohort.n,
    exclusions: cohort.exclusions,
    leaves,
    isolated: own,
    reasons: grounds.reasons,
  };
  return { text: lines.join('\n'), data };
}

/** Whose keys the approval pins: to be compared with what each hospital says of its own. */
function fingerprints(study: Study, roster: Roster | null): string[] {
  if (roster === null) return [];
  const keys = studySites(study).map(
    (name) => `${name} ${findMember(roster, name)?.signingPublicKey.slice(0, 16) ?? 'NOT IN THE ROSTER'}`,
  );
  return [`Keys      ${keys.join(', ')}`];
}

function outcomeOf(study: Study): string {
  const { endpoint } = study.cohort;
  return endpoint.type === 'binary'
    ? `${endpoint.column} (outcome)`
    : `${endpoint.time} and ${endpoint.event} (outcome)`;
}
