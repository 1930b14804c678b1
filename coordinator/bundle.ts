import { stringify } from 'yaml';
import type { CombatResult } from '../harmonization/combat/declaration.js';
import {
  bundleDigest,
  bundleJson,
  CARD_FILE,
  MODEL_FILE,
  RESULT_FILE,
  ROSTER_FILE,
  STUDY_FILE,
  sha256,
} from '../shared/bundle/bundle.js';
import { modelCard } from '../shared/bundle/card.js';
import { type BundleHarmonization, buildModelOnnx } from '../shared/bundle/model-graph.js';
import { modelIsPublishable } from '../shared/bundle/publishable.js';
import type { DescribeResult } from '../shared/computations/describe/declaration.js';
import { type ModelResult, type MomentsResult, predictorsOf } from '../shared/computations/frame.js';
import type { Metric, ValidateResult } from '../shared/computations/validate/result.js';
import { ConcordatError } from '../shared/errors.js';
import type { SignedRoster } from '../shared/roster.js';
import { modelName, type Study, type StudyModel, studyHash } from '../shared/study.js';
import { resultBytes, studyResult } from './result.js';
import type { BundleFiles } from './study-host-types.js';
import type { StudyRun } from './study-run.js';

/**
 * Everything of a bundle but its signatures: bundle.json, model.onnx (and comparators/), card.md, study.yaml, result.json,
 * and roster.json where there is a roster. Same input, same bytes.
 */
export function bundleOf(input: {
  readonly run: StudyRun;
  readonly study: Study;
  /** Null in a simulation. */
  readonly roster: SignedRoster | null;
  readonly simulated: boolean;
}): BundleFiles {
  const { run, study } = input;
  const result = resultBytes(studyResult(study, run));
  const describe = run.results.get('describe') as DescribeResult;
  const validate = run.results.get('validate') as ValidateResult;
  const threshold = thresholdOf(study, validate);
  const sites = describe.sites.map(({ name, role, n, events }) => ({ name, role, n: shown(n), events: shown(events) }));
  const card = modelCard({
    study,
    studyHash: studyHash(study),
    version: BUNDLE_VERSION,
    sites,
    validation: validate,
    threshold,
    simulated: input.simulated,
  });
  const files = new Map<string, Uint8Array>([
    [MODEL_FILE, modelOnnx(run, study, study.model)],
    ...study.comparators.map(
      (model) => [`comparators/${modelName(model)}.onnx`, modelOnnx(run, study, model)] as const,
    ),
    [CARD_FILE, Buffer.from(card, 'utf8')],
    [STUDY_FILE, Buffer.from(stringify(study), 'utf8')],
    [RESULT_FILE, result],
  ]);
  if (input.roster !== null) files.set(ROSTER_FILE, Buffer.from(`${JSON.stringify(input.roster, null, 2)}\n`, 'utf8'));
  const { endpoint } = study.cohort;
  const document = bundleJson(
    {
      name: study.name,
      version: BUNDLE_VERSION,
      studyHash: studyHash(study),
      resultHash: sha256(result),
      endpoint,
      inputs: [
        ...study.cohort.features.map((name) => ({ name, unit: null, levels: null })),
        ...study.cohort.covariates.map(({ column, unit, levels }) => ({
          name: column,
          unit: unit ?? null,
          levels: levels ?? null,
        })),
      ],
      features: study.cohort.features.length,
      harmonization: study.harmonization.method,
      threshold,
      sites,
      metrics: validate.pooledFold === null ? null : { fold: validate.pooledFold, ...validate.pooled },
    },
    files,
  );
  const all = new Map<string, Uint8Array>([['bundle.json', document], ...files]);
  return { files: all, bundleDigest: bundleDigest(document), unmet: unmetCriteria(study, validate) };
}

const BUNDLE_VERSION = '1';

function shown(count: DescribeResult['sites'][number]['n']): number | null {
  return typeof count === 'number' ? count : null;
}

/** The threshold of the published model under the study's own harmonization; none for a survival endpoint. */
function thresholdOf(study: Study, validate: ValidateResult): number | null {
  const own = validate.thresholds.find(
    ({ model, arm, outer }) =>
      model === modelName(study.model) && arm === study.harmonization.method && outer === 'all',
  );
  return own?.value ?? null;
}

function modelOnnx(run: StudyRun, study: Study, model: StudyModel): Uint8Array {
  const id = `${study.harmonization.method}:all`;
  const result = run.results.get(modelName(model)) as ModelResult;
  const moments = (run.results.get('moments') as MomentsResult).fits[id]!;
  const fitted = result.models[id]!;
  const unusable = modelIsPublishable(fitted);
  if (unusable !== null)
    throw new ConcordatError('BUNDLE_MODEL_UNUSABLE', `model "${modelName(model)}" cannot be published: ${unusable}`);
  const width = predictorsOf(run.plan.frame, model.covariates).length;
  return buildModelOnnx({
    features: run.plan.frame.features,
    covariates: run.plan.frame.covariates,
    harmonization: harmonizationOf(run, study),
    withCovariates: model.covariates,
    mean: moments.mean.slice(0, width),
    sd: moments.sd.slice(0, width),
    model: fitted,
    endpoint: study.cohort.endpoint.type,
    baselineHazard: result.summaries[id]?.baseline?.hazardAtHorizon ?? null,
  });
}

function harmonizationOf(run: StudyRun, study: Study): BundleHarmonization | null {
  if (study.harmonization.method === 'none') return null;
  if (study.harmonization.method === 'zscore') return { method: 'zscore' };
  const fit = (run.results.get('combat') as CombatResult).fits['combat:all']!;
  const { columns, covariateMean, coefficients, grandMean, pooledVariance, untouched } = fit;
  return { method: 'combat', columns, covariateMean, coefficients, grandMean, pooledVariance, untouched };
}

/** Acceptance criteria of the study that the published model does not meet, in plain words. */
export function unmetCriteria(study: Study, validate: ValidateResult): string[] {
  return study.acceptance.flatMap(({ metric, where, minimum }) => {
    const name = where === 'external' ? 'external' : 'leave-one-site-out';
    const fold = validate.folds.find(
      (entry) =>
        entry.name === name && entry.model === modelName(study.model) && entry.arm === study.harmonization.method,
    );
    const value: Metric | undefined = fold?.pooled[metric];
    if (value === undefined || value === null || 'suppressed' in value)
      return [`${metric} at ${where} has no value (wanted at least ${minimum})`];
    return value.value >= minimum
      ? []
      : [`${metric} at ${where} is ${value.value.toFixed(3)}, wanted at least ${minimum}`];
  });
}
