import type { CombatResult } from '../harmonization/combat/declaration.js';
import { canonicalJson } from '../shared/canonical-json.js';
import type { DescribeResult } from '../shared/computations/describe/declaration.js';
import type { ModelResult, MomentsResult } from '../shared/computations/frame.js';
import type { HabitatsResult } from '../shared/computations/habitats/declaration.js';
import type { LandmarksResult } from '../shared/computations/landmarks/declaration.js';
import type { StabilityResult } from '../shared/computations/stability/declaration.js';
import type { ValidateResult } from '../shared/computations/validate/declaration.js';
import { documentHash, encodeDocument } from '../shared/document.js';
import { assert } from '../shared/errors.js';
import { habitatsDigest, landmarksDigest } from '../shared/imaging-learned.js';
import { modelName, type Study, studyHash } from '../shared/study.js';
import type { StudyRun } from './study-run.js';

/**
 * `result.json` of a finished study (docs: contracts of result.json). Same study, same totals: the same bytes, whether
 * they came from a simulation, from processes, or after faults. Nothing of when, where or how enters it.
 */
export function studyResult(study: Study, run: StudyRun): Record<string, unknown> {
  assert(run.request === null, 'a result is made of a finished study');
  const describe = run.results.get('describe') as DescribeResult;
  const moments = run.results.get('moments') as MomentsResult;
  const combat = run.results.get('combat') as CombatResult | undefined;
  const validate = run.results.get('validate') as ValidateResult;
  const models = [study.model, ...study.comparators].map(modelName);
  const [published, ...comparators] = models.map((name) =>
    modelSection(study, name, run.results.get(name) as ModelResult),
  );
  const notes: { path: string; reason: string }[] = [];
  const result = {
    format: 'concordat-result-1',
    study: { name: study.name, hash: studyHash(study) },
    seed: study.seed,
    sites: sitesSection(study, describe),
    describe: describe.columns,
    describedSites: describe.describedSites,
    outcome: describe.outcome,
    association: describe.association,
    harmonization: harmonizationSection(study, combat, moments, run),
    ...selectionSection(study, run),
    ...learnedSection(study, run),
    model: published,
    ...(comparators.length > 0 ? { comparators } : {}),
    validation: withoutNotes(validate),
    totals: run.totals,
    digests: Object.fromEntries([...run.results].map(([name, value]) => [name, documentHash(encodeDocument(value))])),
  };
  const plain = plainJson(result, '', notes) as Record<string, unknown>;
  return { ...plain, notes: [...validate.notes, ...notes] };
}

/** What a later study can take over: `imaging` as its imaging section wants it. What too few sites have is not in it. */
function learnedSection(study: Study, run: StudyRun): Record<string, unknown> {
  const landmarks = run.results.get('landmarks') as LandmarksResult | undefined;
  const habitats = run.results.get('habitats') as HabitatsResult | undefined;
  if (landmarks === undefined && habitats === undefined) return {};
  return { learned: { ...standardizing(study, landmarks), ...parting(study, habitats) } };
}

function standardizing(study: Study, landmarks: LandmarksResult | undefined): Record<string, unknown> {
  if (landmarks === undefined) return {};
  const measured = Object.entries(landmarks.phases).filter(([, phase]) => phase !== null);
  const { within } = landmarks;
  const phases = Object.fromEntries(measured.map(([name, phase]) => [name, [...phase!.landmarks]]));
  const from = { study: studyHash(study), result: landmarksDigest({ within, phases }) };
  return { landmarks, standardize: { within, phases, from } };
}

function parting(study: Study, learned: HabitatsResult | undefined): Record<string, unknown> {
  if (learned === undefined || learned.habitats === null) return learned === undefined ? {} : { kmeans: learned };
  const { phase, range, radiusMm, bins, standardized } = learned;
  const centroids = learned.habitats.map(({ intensity, entropy }): [number, number] => [intensity, entropy]);
  const values = { phase, range: [...range] as [number, number], radiusMm, bins, centroids, standardized };
  return {
    kmeans: learned,
    habitats: { ...values, from: { study: studyHash(study), result: habitatsDigest(values) } },
  };
}

/** What the models of all training sites were made of, where the study selects features. */
function selectionSection(study: Study, run: StudyRun): Record<string, unknown> {
  const stability = run.results.get('stability') as StabilityResult | undefined;
  if (stability === undefined) return {};
  const fit = stability.fits[`${study.harmonization.method}:all`]!;
  const { kind, judge, minimum } = stability;
  const features = study.cohort.features.map((feature, j) => ({
    feature,
    value: fit.value[j],
    low: fit.low[j],
    high: fit.high[j],
    subjects: fit.subjects[j],
    kept: fit.keep[j] === 1,
  }));
  return { selection: { stability: { kind, judge, minimum, features } } };
}

/** The bytes of result.json: keys sorted, shortest round-trip numbers, final newline. */
export function resultBytes(result: Record<string, unknown>): Uint8Array {
  return Buffer.from(`${canonicalJson(result)}\n`, 'utf8');
}

function withoutNotes(validate: ValidateResult): unknown {
  const { notes: _notes, ...rest } = validate;
  return rest;
}

function sitesSection(study: Study, describe: DescribeResult): unknown[] {
  return [...study.sites.training, ...study.sites.external].sort().map((name) => {
    const site = describe.sites.find((entry) => entry.name === name);
    return { role: study.sites.training.includes(name) ? 'training' : 'external', ...site, name };
  });
}

function harmonizationSection(
  study: Study,
  combat: CombatResult | undefined,
  moments: MomentsResult,
  run: StudyRun,
): unknown {
  const between = Object.fromEntries(
    run.plan.arms.map((arm) => [arm, moments.fits[`${arm}:all`]?.betweenSites ?? null]),
  );
  const base = {
    method: study.harmonization.method,
    heldOut: study.harmonization.heldOut,
    varianceBetweenSites: between,
  };
  const fit = combat?.fits['combat:all'];
  if (fit === undefined) return { ...base, features: study.cohort.features };
  const p = study.cohort.features.length;
  const covariateEffects = Object.fromEntries(
    fit.columns.map((column, row) => [column, fit.coefficients.slice(row * p, (row + 1) * p)]),
  );
  return {
    ...base,
    mode: combat!.mode,
    features: study.cohort.features,
    grandMean: fit.grandMean,
    pooledVariance: fit.pooledVariance,
    covariateEffects,
    untouched: study.cohort.features.filter((_, feature) => fit.untouched[feature] === 1),
  };
}

function modelSection(study: Study, name: string, result: ModelResult): Record<string, unknown> {
  const own = `${study.harmonization.method}:all`;
  const summary = result.summaries[own];
  assert(summary !== undefined, `model ${name} has no summary of ${own}`);
  const entry = [study.model, ...study.comparators].find((model) => modelName(model) === name)!;
  return {
    name,
    ...summary,
    coefficients: summary.coefficients.map(withRatio),
    type: result.type,
    alpha: entry.type === 'mlp' ? null : entry.alpha,
    parameters: entry,
    ...(result.disclosive === true ? { disclosive: true } : {}),
    folds: Object.fromEntries(
      Object.entries(result.summaries)
        .filter(([id]) => id !== own)
        .map(([id, fold]) => [id, { ...fold, coefficients: fold.coefficients.map(withSign) }]),
    ),
    digest: documentHash(encodeDocument(result.models[own])),
  };
}

type Coefficient = ModelResult['summaries'][string]['coefficients'][number];

/** JSON has no infinity, so an infinite coefficient is null and `sign` says to which side it runs. */
function withSign(coefficient: Coefficient): Coefficient & { readonly sign?: 1 | -1 } {
  return coefficient.status === 'infinite' ? { ...coefficient, sign: coefficient.value > 0 ? 1 : -1 } : coefficient;
}

/** Odds or hazard ratio with its 95 % Wald interval, where there is a standard error. */
function withRatio(coefficient: Coefficient): Record<string, unknown> {
  const { value, se } = coefficient;
  const bound = (sign: number) => (se === null ? null : Math.exp(value + sign * NORMAL_975 * se));
  const ratio = coefficient.status === 'ok' ? Math.exp(value) : null;
  return {
    ...withSign(coefficient),
    ratio,
    low: ratio === null ? null : bound(-1),
    high: ratio === null ? null : bound(1),
  };
}

const NORMAL_975 = 1.959963984540054;

/**
 * Typed arrays become lists. A number that JSON cannot hold becomes null with an entry in `notes` that says which one, so
 * nothing is silently lost.
 */
function plainJson(value: unknown, path: string, notes: { path: string; reason: string }[]): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    notes.push({ path, reason: Number.isNaN(value) ? 'undefined' : value > 0 ? 'infinite' : 'negative infinite' });
    return null;
  }
  if (value instanceof Float64Array || value instanceof Int32Array || value instanceof Uint8Array)
    return Array.from(value, (item, index) => plainJson(item, `${path}/${index}`, notes));
  if (Array.isArray(value)) return value.map((item, index) => plainJson(item, `${path}/${index}`, notes));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, plainJson(item, `${path}/${key}`, notes)]),
    );
  return value;
}
