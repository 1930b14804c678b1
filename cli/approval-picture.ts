import type { Imaging } from '../shared/imaging.js';
import type { Standardize } from '../shared/imaging-learned.js';
import { planStudy } from '../shared/plan.js';
import { findMember, type Roster } from '../shared/roster.js';
import { modelName, type Study, type StudyModel, studySites } from '../shared/study.js';
import { type CheckedIsolation, checkStudyPlan } from '../shared/study-check.js';
import { type ComputationLeaves, describeLeaves } from '../site-agent/egress.js';
import { previewLeaves } from '../site-agent/preview.js';
import type { DecisionGrounds } from '../site-agent/shell/decide.js';
import type { KnownStudy } from '../site-agent/site-records.js';
import { count, table, wrap } from './format.js';
import { leavesTable } from './format-site.js';

const WIDTH = 100;

/** What a hospital sees before it approves: the study in plain words, what would leave, and what shows it alone. */
export function approvalPicture(
  study: Study,
  known: Pick<KnownStudy, 'studyHash' | 'rosterVersion' | 'rosterHash'>,
  /** The roster version that the decision pins; null shows no fingerprints. */
  roster: Roster | null,
  site: string,
  grounds: Pick<DecisionGrounds, 'cohort' | 'reasons' | 'withdrawnSince'>,
): { text: string; data: Record<string, unknown> } {
  const preview = previewLeaves(planStudy(study));
  const leaves = describeLeaves(preview);
  const { cohort, warnings } = grounds.cohort;
  const sitsOut = cohort.n === 0;
  const cells = Math.max(1, study.validation.folds);
  const cellCounts = new Array<number>(cells).fill(0);
  for (const cell of cohort.cellOf) cellCounts[cell]! += 1;
  const check = checkStudyPlan(
    preview.flatMap(({ rounds }) => [...rounds]),
    study,
    // A site that sits out has nobody whom a combination could show.
    sitsOut ? null : { [site]: cellCounts },
  );
  const own = check.isolated.filter((entry) => entry.sites.includes(site));
  const lines = [
    heading(`${study.name}${study.title === undefined ? '' : `: ${study.title}`}`),
    ...facts([
      ['hash', known.studyHash],
      ['roster', `version ${known.rosterVersion}, ${known.rosterHash}`],
      ['until', until(study)],
      ['predicts', outcomeOf(study)],
      ['models', modelsOf(study)],
      ['validated', validationOf(study)],
    ]),
    '',
    heading('What it reads here'),
    ...facts([
      ['patients', patientsOf(study, cohort)],
      ...withdrawnSince(grounds.withdrawnSince),
      ['features', `${study.cohort.features.length}: ${listed(study.cohort.features)}`],
      ...(study.imaging === undefined ? [] : [['images', imagesOf(study.imaging)] as [string, string]]),
      ...encodersShown(study.imaging?.deep),
      ['clinical', clinicalOf(study)],
    ]),
    '',
    heading('Who else takes part'),
    participants(study, roster, site),
    ...wrap('Compare the keys by telephone: your approval is given to these, and to no others.', WIDTH),
    '',
    heading('What leaves, in how many rounds'),
    leavesTable(leaves, WIDTH),
    '',
    ...wrap(roundsOf(preview), WIDTH),
    ...wrap(
      study.privacy.secureAggregation
        ? `Masked: the coordinator reads totals over sites, not what ${site} sends (coordinator taken to be ${study.privacy.coordinator}).`
        : `NOT MASKED: the coordinator reads everything that ${site} sends.`,
      WIDTH,
    ),
    '',
    ...(study.transcript?.retain === true
      ? wrap(
          `KEPT: the coordinator keeps what ${site} sends, masked, and the shares that unmask the totals, so that every total can be recomputed later (transcript.retain). Single contributions stay masked in it.`,
          WIDTH,
        ).concat('')
      : []),
    heading(`What can be seen of ${site} alone`),
    ...visibleAlone(study, site, own),
    '',
    heading('How to stop it'),
    ...wrap(
      `concordat site withdraw ${known.studyHash.slice(0, 12)} --reason "..." stops every further contribution of this site and ends the study. Totals that this site is in already cannot be taken back.`,
      WIDTH,
    ),
    ...warnings.slice(0, 5).flatMap(({ message }) => ['', ...wrap(`warning: ${message}`, WIDTH)]),
  ];
  const data = {
    study: known.studyHash,
    name: study.name,
    rosterVersion: known.rosterVersion,
    rosterHash: known.rosterHash,
    until: study.until ?? null,
    keys: Object.fromEntries(
      studySites(study).map((name) => [name, findMember(roster, name)?.signingPublicKey ?? null]),
    ),
    patients: cohort.n,
    withdrawnSince: grounds.withdrawnSince,
    sitsOut,
    exclusions: cohort.exclusions,
    features: study.cohort.features,
    ...(study.imaging === undefined ? {} : { images: imagesOf(study.imaging) }),
    ...(study.imaging?.deep === undefined
      ? {}
      : { encoders: study.imaging.deep.map(({ name, sha256, features }) => ({ name, sha256, features })) }),
    covariates: study.cohort.covariates.map(({ column }) => column),
    leaves,
    isolated: own,
    reasons: grounds.reasons,
  };
  return { text: lines.join('\n'), data };
}

function heading(text: string): string {
  return wrap(text, WIDTH).join('\n');
}

/** `name  text`, the text wrapped beside its name. */
function facts(rows: readonly (readonly [string, string])[]): string[] {
  const indent = 2 + Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.flatMap(([name, text]) =>
    wrap(text, WIDTH - indent).map(
      (line, at) => `${at === 0 ? `  ${name}`.padEnd(indent) : ' '.repeat(indent)}${line}`,
    ),
  );
}

function until(study: Study): string {
  return study.until === undefined
    ? 'no last day: the approval holds until the study ends or this site withdraws'
    : `${study.until}, end of the day (UTC); nothing leaves after that`;
}

function outcomeOf(study: Study): string {
  const { endpoint } = study.cohort;
  if (endpoint.type === 'binary') return `${endpoint.column} (yes or no)`;
  const horizon = endpoint.horizon === undefined ? '' : `, risk at ${endpoint.horizon} ${endpoint.unit}`;
  return `time to ${endpoint.event} (in ${endpoint.unit}${horizon})`;
}

const MODEL_WORDS: Readonly<Record<StudyModel['type'], string>> = {
  logistic: 'logistic regression',
  cox: 'Cox regression',
  mlp: 'neural network, federated averaging',
};

function modelsOf(study: Study): string {
  const name = (model: StudyModel) => `${modelName(model)} (${MODEL_WORDS[model.type]})`;
  const others = study.comparators.map(name).join(', ');
  return `${name(study.model)}, published${others === '' ? '' : `; compared with ${others}`}`;
}

function validationOf(study: Study): string {
  const { validation, sites } = study;
  const parts = [
    ...(validation.folds > 0 ? [`${validation.folds} folds inside each site`] : []),
    ...(validation.leaveOneSiteOut ? ['every training site left out once'] : []),
    ...validation.leaveOut.map((group) => `without ${group.join(' and ')}`),
    ...(sites.external.length > 0 ? [`at ${sites.external.join(', ')}, which did not train`] : []),
  ];
  return parts.length === 0 ? 'on the training sites only' : parts.join('; ');
}

/** What is made of a site's images, in words: the images and the features of single patients stay. */
function imagesOf({ phases, timepoints, regions, profile, lesions, standardize, habitats }: Imaging): string {
  const times = timepoints.length === 0 ? '' : ` at ${timepoints.join(', ')}`;
  const names = profile === 'ibsi' ? 'IBSI' : 'PyRadiomics';
  const several = { largest: 'the largest lesion', 'volume-weighted': 'all lesions, by volume', all: 'all lesions' }[
    lesions
  ];
  const earlier = (what: string, from: Standardize['from'] | undefined) =>
    from === undefined
      ? ''
      : `; ${what} of study ${from.study.slice(0, 12)}, bundle ${(from.bundle ?? 'none').slice(0, 12)}`;
  const learned = earlier('standard landmarks', standardize?.from) + earlier('habitats', habitats?.from);
  return `${phases.join(', ')}${times}; ${names} features of ${regions.map(({ name }) => name).join(', ')}, ${several} of each patient${learned}; images, masks and each patient's features stay here`;
}

/** The digest in full: it is what a site compares with the file that it was given. */
function encodersShown(deep: Imaging['deep']): (readonly [string, string])[] {
  return (deep ?? []).map(({ name, sha256, features }) => [
    'encoder',
    `${name}, ${count(features, 'deep feature')} of a patch; this site runs its own file with the SHA-256 ${sha256}`,
  ]);
}

function patientsOf(study: Study, cohort: DecisionGrounds['cohort']['cohort']): string {
  const exclusions = cohort.exclusions.map((entry) => `${entry.count} ${entry.reason}`).join(', ');
  const left = exclusions === '' ? '' : `; left out: ${exclusions}`;
  if (cohort.n > 0) return `${cohort.n} usable${left}`;
  return `fewer usable cases than the study's minimum of ${study.privacy.minimumCohort}: this site will sit out and be named; none of its patients enters any sum${left}`;
}

/** Nobody is left out of a frozen cohort, and whoever approves again is told so. */
function withdrawnSince(count: number): (readonly [string, string])[] {
  if (count === 0) return [];
  const who = count === 1 ? '1 of these patients has' : `${count} of these patients have`;
  const text = `${who} withdrawn since the cohort was frozen and STAY IN what this study sends; site withdraw ends the study instead`;
  return [['withdrawn', text]];
}

/** Long lists end with how many more there are; --json has them all. */
function listed(names: readonly string[]): string {
  const most = 12;
  return names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more (all with --json)`;
}

function clinicalOf(study: Study): string {
  const { endpoint, covariates, split, fold, batch } = study.cohort;
  const outcome = endpoint.type === 'binary' ? [endpoint.column] : [endpoint.time, endpoint.event];
  return [
    ...outcome.map((column) => `${column} (outcome)`),
    ...covariates.map(({ column, unit }) => (unit === undefined ? column : `${column} (${unit})`)),
    ...(split === undefined ? [] : [`${split.column} (split)`]),
    ...(fold === undefined ? [] : [`${fold} (fold)`]),
    ...(batch === undefined ? [] : [`${batch} (scanner)`]),
  ].join(', ');
}

/** Whose keys the approval pins: to be compared with what each hospital says of its own. */
function participants(study: Study, roster: Roster | null, site: string): string {
  const rows = studySites(study).map((name) => [
    name === site ? `${name} (this site)` : name,
    study.sites.external.includes(name) ? 'validates' : 'trains',
    roster === null
      ? '–'
      : (findMember(roster, name)?.signingPublicKey.match(/.{8}/g)?.slice(0, 4).join(' ') ?? 'NOT IN THE ROSTER'),
  ]);
  return table(['site', 'part', 'key, first half'], rows);
}

function roundsOf(preview: readonly ComputationLeaves[]): string {
  const fixed = preview
    .filter(({ roundsMax }) => roundsMax === null)
    .reduce((sum, { rounds }) => sum + rounds.length, 0);
  const bounded = preview.flatMap(({ computation, roundsMax }) =>
    typeof roundsMax === 'number' ? [`up to ${roundsMax} of ${computation}`] : [],
  );
  const open = preview.flatMap(({ computation, roundsMax }) =>
    roundsMax === 'until converged' ? [`as many of ${computation} as it takes to converge`] : [],
  );
  return `Rounds: ${[String(fixed), ...bounded, ...open].join(', ')}. A row leaves once in each of its rounds.`;
}

function visibleAlone(study: Study, site: string, own: readonly CheckedIsolation[]): string[] {
  const kinds = (entries: readonly CheckedIsolation[]) => families(entries.flatMap((entry) => entry.kinds));
  const byDesign = own.filter((entry) => entry.byDesign);
  const derived = own.filter((entry) => !entry.byDesign);
  const lines = [
    ...(byDesign.length === 0 ? [] : wrap(`By design, as numbers of this site: ${kinds(byDesign)}.`, WIDTH)),
    ...derived.flatMap((entry) =>
      wrap(
        `By combining totals${study.validation.leaveOneSiteOut ? ` (leave-one-site-out: all sites minus all but ${site})` : ''}: the sums of ${entry.sites.join(' and ')} in ${families(entry.kinds)}, over at least ${entry.casesNeeded} cases or not at all. ${agreement(entry)}`,
        WIDTH,
      ),
    ),
  ];
  if (lines.length > 0) return lines;
  return wrap(
    `Nothing: no combination of totals shows ${site} alone, or in a group smaller than ${study.privacy.minSites}.`,
    WIDTH,
  );
}

/** `combat (counts, gram), moments (sums)`: kinds by their computation. */
function families(kinds: readonly string[]): string {
  const parts = new Map<string, string[]>();
  for (const kind of [...new Set(kinds)].sort()) {
    const [family, ...rest] = kind.split('.');
    parts.set(family!, [...(parts.get(family!) ?? []), rest.join('.')]);
  }
  return [...parts].map(([family, rest]) => `${family} (${rest.join(', ')})`).join(', ');
}

function agreement(entry: CheckedIsolation): string {
  const few = entry.tooFew.length === 0 ? '' : ` TOO FEW CASES at ${entry.tooFew.join(', ')}.`;
  return entry.declared
    ? `Declared in privacy.showAggregate: whoever approves agrees to that.${few}`
    : `NOT DECLARED by ${entry.undeclared.join(', ')}: the agent will refuse it.${few}`;
}
