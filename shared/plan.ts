import type {
  CombatSpec,
  CoxSpec,
  DescribeSpec,
  FedAvgSpec,
  Frame,
  LogisticSpec,
  ModelSpecBase,
  MomentsSpec,
  ValidateSpec,
} from './computations/frame.js';
import type { HabitatsSpec } from './computations/habitats/declaration.js';
import type { LandmarksSpec } from './computations/landmarks/declaration.js';
import { type Arm, type Fit, fitId } from './fits.js';
import { modelName, type Study, type StudyModel } from './study.js';

/** What a study makes everyone compute, derived from the approved document alone: the same at every site. */
export interface Plan {
  readonly frame: Frame;
  readonly arms: readonly Arm[];
  readonly fits: readonly Fit[];
  readonly computations: readonly PlannedComputation[];
}

/** `instance` is unique in the study (models carry their own names); `computation` names the halves. */
export interface PlannedComputation {
  readonly instance: string;
  readonly computation:
    | 'describe'
    | 'landmarks'
    | 'habitats'
    | 'combat'
    | 'stability'
    | 'moments'
    | 'logistic'
    | 'cox'
    | 'fedavg'
    | 'validate';
  readonly spec: unknown;
}

export const DESCRIBE_QUANTILES = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;

export function planStudy(study: Study): Plan {
  const frame = frameOf(study);
  const arms = armsOf(study);
  const fits = arms.flatMap((arm) => fitsOfArm(study, arm));
  const ownArm = study.harmonization.method;
  const ownFits = fits.filter((fit) => fit.arm === ownArm);
  const combatFits = fits.filter((fit) => fit.arm === 'combat');
  const models = [study.model, ...study.comparators];
  const hasSplit = study.cohort.split !== undefined;
  const outers = [...new Set(fits.map((fit) => JSON.stringify(fit.sites)))].map(
    (sites) => JSON.parse(sites) as string[],
  );
  const { showAggregate } = study.privacy;
  const describe: DescribeSpec = { frame, outers, hasSplit, showAggregate, quantiles: DESCRIBE_QUANTILES };
  const combat: CombatSpec = {
    frame,
    fits: combatFits,
    covariates: study.harmonization.covariates,
    mode: study.harmonization.mode,
  };
  const stability = study.selection?.stability;
  const moments: MomentsSpec = { frame, fits };
  const validate: ValidateSpec = {
    frame,
    fits,
    models: models.map((model) => ({ name: modelName(model), type: model.type, covariates: model.covariates })),
    threshold: study.validation.threshold,
    perSite: study.validation.perSite,
    hasSplit,
  };
  return {
    frame,
    arms,
    fits,
    computations: [
      { instance: 'describe', computation: 'describe', spec: describe },
      ...learnedFromImages(study, frame),
      ...(combatFits.length > 0 ? [{ instance: 'combat', computation: 'combat', spec: combat } as const] : []),
      ...(stability === undefined
        ? []
        : [{ instance: 'stability', computation: 'stability', spec: { frame, fits, ...stability } } as const]),
      { instance: 'moments', computation: 'moments', spec: moments },
      // The published model is compared under every harmonization; comparators only under the study's own.
      ...models.map((model, index) => plannedModel(frame, model, index === 0 ? fits : ownFits)),
      { instance: 'validate', computation: 'validate', spec: validate },
    ],
  };
}

/** What the study publishes for a later one; nothing of its own is built on it. */
function learnedFromImages({ imaging }: Study, frame: Frame): PlannedComputation[] {
  const planned: PlannedComputation[] = [];
  const { landmarks, habitats } = imaging?.learn ?? {};
  if (imaging !== undefined && landmarks !== undefined) {
    const spec: LandmarksSpec = { frame, phases: imaging.phases, ...landmarks };
    planned.push({ instance: 'landmarks', computation: 'landmarks', spec });
  }
  if (habitats !== undefined) {
    const spec: HabitatsSpec = { frame, standardized: imaging?.standardize?.from.result ?? null, ...habitats };
    planned.push({ instance: 'habitats', computation: 'habitats', spec });
  }
  return planned;
}

/** Harmonizations side by side: the study's own first. */
export function armsOf(study: Study): Arm[] {
  const own = study.harmonization.method;
  return [own, ...study.validation.arms.filter((arm) => arm !== own)];
}

export function frameOf(study: Study): Frame {
  const endpoint = study.cohort.endpoint;
  return {
    training: [...study.sites.training].sort(),
    external: [...study.sites.external].sort(),
    features: study.cohort.features,
    covariates: study.cohort.covariates.map((entry) => ({ name: entry.column, levels: entry.levels ?? null })),
    endpoint:
      endpoint.type === 'binary'
        ? { type: 'binary' }
        : { type: 'survival', unit: endpoint.unit, horizon: endpoint.horizon ?? null },
    cells: Math.max(1, study.validation.folds),
    seed: study.seed,
    minimumCount: study.privacy.minimumCount,
    minimumCohort: study.privacy.minimumCohort,
    minSites: study.privacy.minSites,
  };
}

/** Outer folds: everyone, then each group that is left out, in the study's order. */
export function outerFolds(study: Study): { name: string; heldOut: string[] }[] {
  const groups = study.validation.leaveOneSiteOut ? [...study.sites.training].sort().map((site) => [site]) : [];
  for (const group of study.validation.leaveOut) groups.push([...group].sort());
  return [
    { name: 'all', heldOut: [] },
    ...groups.map((heldOut) => ({ name: `without-${heldOut.join('+')}`, heldOut })),
  ];
}

function fitsOfArm(study: Study, arm: Arm): Fit[] {
  const training = [...study.sites.training].sort();
  const cells = study.validation.folds >= 2 ? Array.from({ length: study.validation.folds }, (_, cell) => cell) : [];
  return outerFolds(study).flatMap(({ name, heldOut }) => {
    const sites = training.filter((site) => !heldOut.includes(site));
    return [null, ...cells].map((inner) => ({ id: fitId(arm, name, inner), arm, outer: name, inner, sites, heldOut }));
  });
}

function plannedModel(frame: Frame, model: StudyModel, fits: readonly Fit[]): PlannedComputation {
  const instance = modelName(model);
  const base: ModelSpecBase = { frame, model: instance, fits, covariates: model.covariates };
  if (model.type === 'mlp') {
    const { hidden, activation, learningRate, momentum, l2, batchSize, localEpochs, maxRounds, patience } = model;
    const spec: FedAvgSpec = {
      ...base,
      hidden,
      activation,
      learningRate,
      momentum,
      l2,
      batchSize,
      localEpochs,
      maxRounds,
      patience,
    };
    return { instance, computation: 'fedavg', spec };
  }
  const { alpha, lambda, rule, nlambda, lambdaMinRatio, standardize } = model;
  const penalty = { alpha, lambda, rule, nlambda, lambdaMinRatio, standardize };
  if (model.type === 'logistic') {
    const spec: LogisticSpec = { ...base, ...penalty };
    return { instance, computation: 'logistic', spec };
  }
  const spec: CoxSpec = {
    ...base,
    ...penalty,
    ties: model.ties,
    strata: model.strata === 'none' ? 'none' : 'stratified',
    penaltyScale: model.penaltyScale,
  };
  return { instance, computation: 'cox', spec };
}
