import { type BaselinePoint, MOST_INTERVALS } from '../shared/computations/cox/baseline.js';
import { type DescribeBroadcast, describedSitesOf } from '../shared/computations/describe/declaration.js';
import type { NetBroadcast } from '../shared/computations/elastic-net/broadcast.js';
import type { FedAvgBroadcast } from '../shared/computations/fedavg/declaration.js';
import {
  type CoxSpec,
  type FedAvgSpec,
  type Frame,
  type LogisticSpec,
  predictorsOf,
  type ValidateSpec,
} from '../shared/computations/frame.js';
import { cellsOf, type HabitatsSpec } from '../shared/computations/habitats/declaration.js';
import type { LandmarksSpec } from '../shared/computations/landmarks/declaration.js';
import {
  groupsOf,
  outersOf,
  poolsCalibration,
  type Unit,
  type ValidateBroadcast,
} from '../shared/computations/validate/declaration.js';
import { CALIBRATION_START } from '../shared/metrics/calibration.js';
import type { Plan, PlannedComputation } from '../shared/plan.js';
import type { TensorSpec } from '../shared/tensors.js';
import { SITE_COMPUTATIONS } from './computations.js';
import type { ComputationLeaves } from './egress.js';

/**
 * What a study can make a site send, before any of it is asked for: the site's own declarations answer stand-ins of every
 * kind of broadcast, at their largest (all predictors active, every penalty, every fit). Numbers in the stand-ins mean
 * nothing; only which tensors leave, how large, for whom and why.
 */
export function previewLeaves(plan: Plan): ComputationLeaves[] {
  return plan.computations.map((planned) => {
    const { declaration } = SITE_COMPUTATIONS[planned.computation]!;
    const answer = declaration.leaves as (spec: unknown, broadcast: unknown) => TensorSpec[];
    const { broadcasts, roundsMax } = standIns(plan.frame, planned);
    return {
      computation: planned.instance,
      rounds: broadcasts.map((broadcast) => answer(planned.spec, broadcast)),
      roundsMax,
    };
  });
}

function standIns(
  frame: Frame,
  planned: PlannedComputation,
): { broadcasts: unknown[]; roundsMax: ComputationLeaves['roundsMax'] } {
  switch (planned.computation) {
    case 'describe':
      return { broadcasts: describeStandIns(frame), roundsMax: null };
    case 'habitats': {
      const { count, iterations } = planned.spec as HabitatsSpec;
      const groups = [new Float64Array(0), new Float64Array(2 * count)];
      const broadcasts = groups.flatMap((centroids) => [
        { phase: 'sites', centroids },
        { phase: 'cells', centroids, shown: Int32Array.from({ length: cellsOf(centroids) }, (_, cell) => cell) },
      ]);
      return { broadcasts, roundsMax: 2 * (iterations + 1) };
    }
    case 'landmarks': {
      const { phases } = planned.spec as LandmarksSpec;
      return {
        broadcasts: [{ phase: 'counts' }, { phase: 'sums', measured: Int32Array.from(phases.keys()) }],
        roundsMax: null,
      };
    }
    case 'stability':
      return { broadcasts: [{ phase: 'exponents' }, { phase: 'squares', fits: [] }], roundsMax: null };
    case 'moments':
      return {
        broadcasts: [{ phase: 'exponents' }, { phase: 'sums', fits: [] }, { phase: 'central', fits: [] }],
        roundsMax: null,
      };
    case 'combat':
      return { broadcasts: combatStandIns(planned), roundsMax: null };
    case 'logistic':
      return netStandIns(frame, planned.spec as LogisticSpec, []);
    case 'cox':
      return netStandIns(frame, planned.spec as CoxSpec, baselineStandIns(frame, planned.spec as CoxSpec));
    case 'fedavg':
      return fedAvgStandIns(planned.spec as FedAvgSpec);
    case 'validate':
      return { broadcasts: validateStandIns(planned.spec as ValidateSpec), roundsMax: null };
  }
}

function describeStandIns(frame: Frame): DescribeBroadcast[] {
  const sites = describedSitesOf(frame);
  const columns = frame.features.length + frame.covariates.filter((column) => column.levels === null).length;
  const exponents = new Int32Array(columns);
  const mean = new Float64Array(columns);
  // As many bins as a study of a thousand patients would get.
  const bins = Math.max(1, Math.floor(1000 / frame.minimumCount));
  return [
    { phase: 'counts' },
    {
      phase: 'sums',
      exponents,
      sites,
      hidden: { whole: [], parts: [] },
      shown: [...frame.training, ...frame.external].sort(),
      pooledEvents: sites,
    },
    { phase: 'central', exponents, sites, mean },
    {
      phase: 'histograms',
      sites,
      patients: sites.map(() => Math.ceil(1000 / sites.length)),
      binnings: Array.from(mean, () => ({ low: 0, width: 1, bins })),
    },
  ];
}

function combatStandIns(planned: PlannedComputation): unknown[] {
  const { fits, frame } = planned.spec as { fits: readonly unknown[]; frame: Frame };
  const task = {
    untouched: new Uint8Array(frame.features.length),
    gappy: Int32Array.from(frame.features.keys()),
    covariateMean: new Float64Array(0),
  };
  const tasks = fits.map(() => task);
  return ['scales', 'covariates', 'gram', 'residuals'].map((phase) => ({ phase, fits: tasks }));
}

/** With a horizon every fit that is not an inner one has a baseline, on the finest grid that a study can get. */
function baselineStandIns(frame: Frame, spec: CoxSpec): BaselinePoint[] {
  if (frame.endpoint.type !== 'survival' || frame.endpoint.horizon === null) return [];
  const beta = new Float64Array(0);
  return spec.fits.flatMap(({ inner }, fit) => (inner === null ? [{ fit, intervals: MOST_INTERVALS, beta }] : []));
}

function netStandIns(
  frame: Frame,
  spec: LogisticSpec | CoxSpec,
  baseline: readonly BaselinePoint[],
): {
  broadcasts: (NetBroadcast & { baseline: readonly BaselinePoint[] })[];
  roundsMax: ComputationLeaves['roundsMax'];
} {
  const p = predictorsOf(frame, spec.covariates).length;
  const all = Int32Array.from({ length: p }, (_, column) => column);
  const points = spec.fits.map((_, fit) => ({ fit, slot: -1, intercept: 0, columns: all, beta: new Float64Array(p) }));
  const inner = spec.fits.flatMap((fit, index) => (fit.inner === null ? [] : [index]));
  const heldOut = spec.lambda === 'cv' ? inner : [];
  const path = spec.nlambda;
  return {
    broadcasts: [
      { counts: Int32Array.from(spec.fits.keys()), points: [], heldOut: [], baseline: [] },
      { counts: new Int32Array(0), points, heldOut: [], baseline: [] },
      {
        counts: new Int32Array(0),
        points: [],
        heldOut: heldOut.map((fit) => ({ fit, intercept: new Float64Array(path), beta: new Float64Array(path * p) })),
        baseline,
      },
    ],
    // Newton steps are few, but no bound on them follows from the study alone.
    roundsMax: 'until converged',
  };
}

function fedAvgStandIns(spec: FedAvgSpec): { broadcasts: FedAvgBroadcast[]; roundsMax: number | null } {
  const fits = spec.fits.map((fit) => ({ id: fit.id, train: true, n: 1000, parameters: new Float64Array(0) }));
  return { broadcasts: [{ round: 0, fits }], roundsMax: spec.maxRounds + 1 };
}

function validateStandIns(spec: ValidateSpec): ValidateBroadcast[] {
  const arms = [...new Set(spec.fits.map((fit) => fit.arm))];
  const units: Unit[] = spec.models.flatMap((model, index) =>
    arms.slice(0, index === 0 ? arms.length : 1).map((arm) => ({ model: model.name, arm })),
  );
  const bins = Object.fromEntries(arms.flatMap((arm) => outersOf(spec, arm).map((fit) => [fit.outer, 100] as const)));
  const binary = spec.frame.endpoint.type === 'binary';
  return [
    { phase: 'count', units },
    ...(binary ? [{ phase: 'histogram', units, bins } as const] : []),
    { phase: 'evaluate', units, thresholds: {} },
    {
      phase: 'calibrate',
      units,
      active: units.flatMap((unit, index) =>
        groupsOf(spec, unit)
          .filter((group) => poolsCalibration(spec, group))
          .map(({ name }) => ({ unit: index, group: name, at: CALIBRATION_START })),
      ),
    },
  ];
}

/** The same by kind of computation, as the policy weighs it. */
export function leavesByComputation(plan: Plan): Record<string, readonly TensorSpec[]> {
  const leaves: Record<string, TensorSpec[]> = {};
  for (const [index, preview] of previewLeaves(plan).entries()) {
    const { computation } = plan.computations[index]!;
    leaves[computation] = [...(leaves[computation] ?? []), ...preview.rounds.flat()];
  }
  return leaves;
}
