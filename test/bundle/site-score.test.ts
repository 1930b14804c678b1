import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { combatCoordinator } from '../../harmonization/combat/advance.coordinator.js';
import { combatSite } from '../../harmonization/combat/contribute.site.js';
import { type CombatResult, combatDeclaration } from '../../harmonization/combat/declaration.js';
import {
  type HarmonizationInput,
  harmonizedFeatures,
  localHarmonization,
} from '../../harmonization/harmonized.site.js';
import { type BundleHarmonization, buildModelOnnx } from '../../shared/bundle/model-graph.js';
import type { SiteView } from '../../shared/cohort.site.js';
import type { CombatSpec, FittedModel, MomentsResult, MomentsSpec } from '../../shared/computations/frame.js';
import { momentsCoordinator } from '../../shared/computations/moments/advance.coordinator.js';
import { momentsSite } from '../../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../../shared/computations/moments/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { scoreRows } from '../../shared/computations/score.site.js';
import type { Arm } from '../../shared/fits.js';
import { cohortOf, fitsOf, frameOf, simulateTable } from '../computations/fedavg-table.js';

// The whole way: what a site computes for its own patients while the study runs, and what any ONNX runtime computes for
// the same patients from the published bundle and the site's harmonization.json.

const TRAINING = ['alder', 'birch', 'cedar'];
const patients = simulateTable(21, {
  sizes: { alder: 40, birch: 35, cedar: 30, elm: 32 },
  features: 4,
  missing: true,
  calibrationSites: ['elm'],
});
const frame = frameOf(TRAINING, ['elm'], 4, 1);

function setUp(arm: Arm) {
  const fits = fitsOf(frame, arm, []);
  const combatSpec: CombatSpec | null =
    arm === 'combat' ? { frame, fits, covariates: ['sex', 'age'], mode: 'converged' } : null;
  const cohort = cohortOf(frame, patients, 'everyone');
  const results = new Map<string, unknown>();
  const input: HarmonizationInput = { cohort, results, frame, combatSpec, heldOut: 'calibration', memo: new Map() };
  const view: SiteView = { cohort, results, harmonized: (fit) => harmonizedFeatures(input, fit), memo: new Map() };
  if (combatSpec !== null) {
    const halves = { declaration: combatDeclaration, site: combatSite, coordinator: combatCoordinator };
    results.set('combat', runInMemory(halves, combatSpec, [view], results).result);
  }
  const momentsSpec: MomentsSpec = { frame, fits };
  const halves = { declaration: momentsDeclaration, site: momentsSite, coordinator: momentsCoordinator };
  results.set('moments', runInMemory(halves, momentsSpec, [view], results).result);
  return { fit: fits[0]!, input, view, results, cohort };
}

describe.each(['none', 'zscore', 'combat'] as const)('arm %s', (arm) => {
  it('patients of a training and of a new site score the same through the bundle as at the site, to 1e-12', async () => {
    const { fit, input, view, results, cohort } = setUp(arm);
    const beta = Float64Array.from([0.8, -0.5, 0.3, 0.1, 0.4, -0.2, 0.6]);
    const model: FittedModel = { type: 'linear', intercept: -0.1, beta };
    const atSite = scoreRows(view, model, fit, true);
    const { mean, sd } = (results.get('moments') as MomentsResult).fits[fit.id]!;
    const combat = (results.get('combat') as CombatResult | undefined)?.fits[fit.id];
    const harmonization: BundleHarmonization | null =
      combat !== undefined ? { ...combat, method: 'combat' } : arm === 'zscore' ? { method: 'zscore' } : null;
    const bundle = buildModelOnnx({
      features: frame.features,
      covariates: frame.covariates,
      harmonization,
      withCovariates: true,
      mean,
      sd,
      model,
      endpoint: 'binary',
      baselineHazard: null,
    });
    const session = await ort.InferenceSession.create(bundle, { intraOpNumThreads: 1 });
    for (const site of ['alder', 'birch', 'cedar', 'elm']) {
      const local = localHarmonization(input, fit, site);
      const rows = [...cohort.siteOf.keys()].filter((row) => cohort.sites[cohort.siteOf[row]!] === site);
      const raw = rows.flatMap((row) => [
        ...cohort.features.subarray(row * 4, row * 4 + 4),
        ...cohort.covariates.subarray(row * 2, row * 2 + 2),
      ]);
      const output = await session.run({
        x: new ort.Tensor('float64', Float64Array.from(raw), [rows.length, 6]),
        gamma: new ort.Tensor('float64', Float64Array.from(local.gamma), [6]),
        delta: new ort.Tensor('float64', Float64Array.from(local.delta), [6]),
      });
      const scores = output['score']!.data as Float64Array;
      const worst = Math.max(...rows.map((row, i) => Math.abs(scores[i]! - atSite[row]!)));
      expect(worst, site).toBeLessThan(1e-12);
      if (arm !== 'none') expect(local.gamma.some((value) => Math.abs(value) > 0.01)).toBe(true);
    }
  });
});
