import { didYouMean } from './did-you-mean.js';
import { ConcordatError, type Problem } from './errors.js';
import { imagingContradictions } from './imaging.js';
import { IN_TWO_STUDIES } from './imaging-learned.js';
import { perturbsNothing } from './perturbation.js';
import { unshowable } from './showable.js';
import { keepSigmaTexts } from './sigma-texts.js';
import { readYaml, sortProblems } from './strict-yaml.js';
import { modelName, type Study, type StudyModel, studySchema, studySites } from './study.js';

type Path = readonly (string | number)[];

/**
 * Reads and checks a study document. Feature patterns stay as they are: resolveFeatures replaces them.
 *
 * @throws ConcordatError STUDY_UNREADABLE where the text is not YAML, STUDY_INVALID with every problem at once, each
 * with row and character column in the file.
 */
export function parseStudy(text: string, file: string): Study {
  const reading = readYaml(text, file, studySchema, keepSigmaTexts);
  if (reading.kind === 'unreadable')
    throw new ConcordatError('STUDY_UNREADABLE', `${file} cannot be read as a study`, { problems: reading.problems });
  const problems: readonly Problem[] =
    reading.kind === 'invalid'
      ? reading.problems
      : sortProblems(contradictions(reading.value).map(({ path, message }) => reading.problemAt(path, message)));
  if (problems.length > 0 || reading.kind === 'invalid')
    throw new ConcordatError('STUDY_INVALID', `${file} has ${counted(problems.length, 'problem')}`, { problems });
  return reading.value;
}

/** What the schema alone cannot say: fields that must agree with each other. Empty where the study is sound. */
export function contradictions(study: Study): { path: Path; message: string }[] {
  const found: { path: Path; message: string }[] = [];
  const report = (path: Path, message: string) => found.push({ path, message });
  for (const path of unshowable(study))
    report(path, 'holds control characters, which a terminal would obey instead of showing them');
  siteRules(study, report);
  columnRules(study, report);
  modelRules(study, report);
  validationRules(study, report);
  stabilityRules(study, report);
  if (study.imaging !== undefined)
    for (const { path, message } of imagingContradictions(study.imaging)) report(['imaging', ...path], message);
  habitatRules(study, report);
  return found;
}

type Report = (path: Path, message: string) => void;

function stabilityRules(study: Study, report: Report): void {
  const source = study.selection?.stability?.source;
  if (source === undefined || source.type === 'table') return;
  const at = ['selection', 'stability', 'source'];
  if (study.imaging === undefined)
    report(at, `${source.type} are measured on images: the study needs an imaging section`);
  if (source.type === 'perturbations' && perturbsNothing(source))
    report(at, 'nothing is perturbed: say how far, for instance translateMm or contourMm');
}

/** Features of habitats that this study itself is to learn. */
function habitatRules({ imaging, cohort }: Study, report: Report): void {
  if (imaging?.learn?.habitats === undefined || imaging.habitats !== undefined) return;
  for (const [index, feature] of cohort.features.entries())
    if (/(^|[_*])habitat(\d|\*)/.test(feature))
      report(
        ['cohort', 'features', index],
        `"${feature}" is of habitats that this study only learns: one study learns habitats, another has their features. ${IN_TWO_STUDIES}`,
      );
}

function siteRules(study: Study, report: Report): void {
  const { training, external } = study.sites;
  for (const [index, site] of training.entries())
    if (training.indexOf(site) < index) report(['sites', 'training', index], `site "${site}" is listed twice`);
  for (const [index, site] of external.entries()) {
    if (external.indexOf(site) < index) report(['sites', 'external', index], `site "${site}" is listed twice`);
    if (training.includes(site))
      report(['sites', 'external', index], `site "${site}" cannot train the model and be external to it`);
  }
  const sites = studySites(study);
  const known = new Set(sites);
  if (study.privacy.secureAggregation && known.size < 3)
    report(
      ['sites'],
      `secure aggregation needs at least 3 sites, the study has ${known.size}: a sum of two hides nothing from either`,
    );
  for (const [index, site] of study.privacy.showAggregate.entries())
    if (!known.has(site))
      report(['privacy', 'showAggregate', index], `"${site}" is not a site of the study${didYouMean(site, known)}`);
  if (study.privacy.minSites > known.size)
    report(['privacy', 'minSites'], `minSites is ${study.privacy.minSites}, but the study has ${known.size} sites`);
  const { minimumCohort, minimumCount } = study.privacy;
  // A site that takes part shows its number of patients, and sums over all sites would tell it in any case.
  if (minimumCohort < minimumCount)
    report(
      ['privacy', 'minimumCohort'],
      `minimumCohort is ${minimumCohort}, but fewer than minimumCount (${minimumCount}) patients are never shown`,
    );
  if (study.quorum !== undefined && study.quorum > known.size)
    report(['quorum'], `a quorum of ${study.quorum} cannot be reached by ${known.size} sites`);
}

function columnRules(study: Study, report: Report): void {
  const { cohort, harmonization } = study;
  const covariates = cohort.covariates.map((entry) => entry.column);
  for (const [index, column] of covariates.entries()) {
    if (covariates.indexOf(column) < index)
      report(['cohort', 'covariates', index], `covariate "${column}" is listed twice`);
    const levels = cohort.covariates[index]!.levels ?? [];
    if (new Set(levels).size < levels.length)
      report(['cohort', 'covariates', index, 'levels'], `covariate "${column}" has a level twice`);
  }
  for (const [index, column] of harmonization.covariates.entries())
    if (!covariates.includes(column))
      report(
        ['harmonization', 'covariates', index],
        `"${column}" is not among cohort.covariates${didYouMean(column, covariates)}`,
      );
  const roles = new Map<string, string>();
  for (const [role, column] of columnRoles(study)) {
    const other = roles.get(column);
    if (other !== undefined && !(role === 'stratum' && other === 'covariate'))
      report(['cohort'], `column "${column}" cannot be both ${other} and ${role}`);
    roles.set(column, role);
  }
  for (const [index, column] of cohort.features.entries())
    if (roles.has(column))
      report(['cohort', 'features', index], `column "${column}" cannot be both ${roles.get(column)} and feature`);
  if (cohort.split !== undefined && cohort.split.train === cohort.split.test)
    report(['cohort', 'split'], 'train and test must be different values');
}

/** Columns of a site's table that are not features: [role, study name]. */
export function columnRoles(study: Study): [role: string, column: string][] {
  const { cohort } = study;
  const roles: [string, string][] =
    cohort.endpoint.type === 'binary'
      ? [['outcome', cohort.endpoint.column]]
      : [
          ['follow-up time', cohort.endpoint.time],
          ['event', cohort.endpoint.event],
        ];
  for (const covariate of cohort.covariates) roles.push(['covariate', covariate.column]);
  if (cohort.split !== undefined) roles.push(['split', cohort.split.column]);
  if (cohort.fold !== undefined) roles.push(['fold', cohort.fold]);
  if (cohort.batch !== undefined) roles.push(['batch', cohort.batch]);
  const stratum = stratumColumn(study);
  if (stratum !== null && stratum !== cohort.batch) roles.push(['stratum', stratum]);
  return roles;
}

/** The column that stratifies the study's Cox models, or null where the site does (or nothing). */
export function stratumColumn(study: Study): string | null {
  for (const model of [study.model, ...study.comparators])
    if (model.type === 'cox' && model.strata !== 'site' && model.strata !== 'none') return model.strata;
  return null;
}

function modelRules(study: Study, report: Report): void {
  const models: { path: Path; model: StudyModel }[] = [
    { path: ['model'], model: study.model },
    ...study.comparators.map((model, index) => ({ path: ['comparators', index], model })),
  ];
  const names = new Map<string, Path>();
  const stratum = stratumColumn(study);
  for (const { path, model } of models) {
    const name = modelName(model);
    if (names.has(name)) report(path, `two models are called "${name}"; give one of them a name`);
    names.set(name, path);
    if (RESERVED.has(name)) report(path, `a model cannot be called "${name}": a computation has that name`);
    const wants = model.type === 'cox' ? 'survival' : 'binary';
    if (study.cohort.endpoint.type !== wants)
      report(
        [...path, 'type'],
        `a ${model.type} model needs a ${wants} endpoint, the study's is ${study.cohort.endpoint.type}`,
      );
    if (model.type === 'cox' && model.strata !== 'site' && model.strata !== 'none' && model.strata !== stratum)
      report([...path, 'strata'], `all Cox models of a study share one stratum column, here "${stratum}"`);
    if (model.type !== 'mlp' && model.lambda === 'cv' && study.validation.folds < 2)
      report([...path, 'lambda'], 'lambda by cross-validation needs validation.folds of at least 2');
    if (model.type === 'mlp' && study.validation.folds < 2)
      report(path, 'an mlp stops by a held-back inner fold and needs validation.folds of at least 2');
  }
}

const RESERVED: ReadonlySet<string> = new Set([
  'describe',
  'landmarks',
  'habitats',
  'combat',
  'stability',
  'moments',
  'validate',
  'ratify',
]);

function validationRules(study: Study, report: Report): void {
  const { validation, sites, harmonization } = study;
  if (validation.folds === 1)
    report(['validation', 'folds'], 'one fold holds out everyone: use 0 (none) or 2 and more');
  const seen = new Set(validation.leaveOneSiteOut ? sites.training : []);
  for (const [index, group] of validation.leaveOut.entries()) {
    const path = ['validation', 'leaveOut', index];
    for (const [at, site] of group.entries()) {
      if (!sites.training.includes(site))
        report([...path, at], `"${site}" is not a training site${didYouMean(site, sites.training)}`);
      if (group.indexOf(site) < at) report([...path, at], `site "${site}" is listed twice`);
    }
    if (new Set(group).size >= sites.training.length) report(path, 'nobody would be left to train the model');
    const key = [...group].sort().join('+');
    if (seen.has(key)) report(path, `the group ${key} is left out twice`);
    seen.add(key);
  }
  if (validation.leaveOneSiteOut && sites.training.length < 2)
    report(['validation', 'leaveOneSiteOut'], 'leave-one-site-out needs at least two training sites');
  if (validation.arms.length > 0 && !validation.arms.includes(harmonization.method))
    report(['validation', 'arms'], `the study's own harmonization "${harmonization.method}" must be among the arms`);
  for (const [index, arm] of validation.arms.entries())
    if (validation.arms.indexOf(arm) < index) report(['validation', 'arms', index], `arm "${arm}" is listed twice`);
  if (harmonization.heldOut === 'none' && [harmonization.method, ...validation.arms].includes('zscore'))
    report(
      ['harmonization', 'heldOut'],
      'with per-site z-scores a site that is not harmonized would be scored on another scale: use calibration or transductive',
    );
  for (const [index, criterion] of study.acceptance.entries()) {
    const path = ['acceptance', index, 'where'];
    if (criterion.where === 'external' && sites.external.length === 0)
      report(path, 'the study has no external site to meet this criterion');
    if (criterion.where === 'leaveOneSiteOut' && !validation.leaveOneSiteOut)
      report(path, 'validation.leaveOneSiteOut is off, so this criterion can never be met');
  }
}

/**
 * Replaces feature patterns by the names of a table's header, in the header's order. Columns with another role in the
 * study and those in `exclude` (the table's id and site columns) are no features even if a pattern matches them.
 * `header` holds study names: a site that maps columns translates them first.
 *
 * @throws ConcordatError STUDY_INVALID where a pattern matches nothing or a named feature is not in the header.
 */
export function resolveFeatures(study: Study, header: readonly string[], exclude: readonly string[] = []): Study {
  const taken = new Set([...columnRoles(study).map(([, column]) => column), ...exclude]);
  const candidates = header.filter((column) => !taken.has(column));
  const problems: Problem[] = [];
  const chosen = new Set<string>();
  for (const pattern of study.cohort.features) {
    const matches = pattern.includes('*')
      ? candidates.filter((column) => matchesPattern(pattern, column))
      : candidates.filter((column) => column === pattern);
    if (matches.length === 0)
      problems.push({
        column: pattern,
        message: pattern.includes('*')
          ? `the feature pattern "${pattern}" matches no column of the table`
          : `the table has no feature column "${pattern}"${didYouMean(pattern, candidates)}`,
      });
    for (const column of matches) chosen.add(column);
  }
  if (problems.length > 0)
    throw new ConcordatError(
      'STUDY_INVALID',
      `${counted(problems.length, 'feature entry', 'feature entries')} of study "${study.name}" found no column`,
      {
        problems,
      },
    );
  const features = hasPatterns(study) ? candidates.filter((column) => chosen.has(column)) : [...study.cohort.features];
  return { ...study, cohort: { ...study.cohort, features } };
}

/** A study with patterns left cannot be hashed for approval: sites could read it differently. */
export function hasPatterns(study: Study): boolean {
  return study.cohort.features.some((feature) => feature.includes('*'));
}

/** `*` stands for any characters, also none. Linear in the column's length for each part, so no pattern is slow. */
function matchesPattern(pattern: string, column: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0]!;
  const last = parts[parts.length - 1]!;
  if (column.length < first.length + last.length || !column.startsWith(first) || !column.endsWith(last)) return false;
  let position = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = column.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return position <= column.length - last.length;
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
