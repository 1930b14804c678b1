import { createHash } from 'node:crypto';
import { resultBytes, studyResult } from '../../coordinator/result.js';
import type { Cohort } from '../../shared/cohort.site.js';
import type { ModelResult, ModelSummary } from '../../shared/computations/frame.js';
import { modelName, type Study } from '../../shared/study.js';
import { simulateTable } from '../simulate-table.js';
import { runSimulation } from '../simulation.js';

/** Runs the study again in this one process and compares every byte of result.json. */
export function sameBitsAsSimulation(study: Study, cohorts: readonly Cohort[], bytes: Uint8Array): boolean {
  const simulated = resultBytes(studyResult(study, runSimulation(study, cohorts)));
  return sha256(simulated) === sha256(bytes);
}

/**
 * Fits the published model with all rows in one hand and compares its coefficients. Only the fit of all training sites is
 * compared, so the pooled study leaves out folds by site and comparators.
 */
export function comparePooled(
  study: Study,
  table: string,
  federated: ModelSummary['coefficients'],
): { worst: number; compared: number } {
  const pooledStudy: Study = {
    ...study,
    comparators: [],
    validation: { ...study.validation, leaveOneSiteOut: false, leaveOut: [], arms: [] },
  };
  const { run } = simulateTable(pooledStudy, { table, siteColumn: 'hospital', oneHolder: true, guard: false });
  const result = run.results.get(modelName(study.model)) as ModelResult;
  const pooled = result.summaries[`${study.harmonization.method}:all`]!.coefficients;
  let worst = 0;
  for (const { feature, value } of federated) {
    const other = pooled.find((entry) => entry.feature === feature)!;
    worst = Math.max(worst, Math.abs(value - other.value));
  }
  return { worst, compared: federated.length };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
