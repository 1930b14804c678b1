import { COORDINATOR_COMPUTATIONS } from '../coordinator/computations.js';
import { advanceRun, type RoundRequest, type StudyRun, startRun } from '../coordinator/study-run.js';
import type { Cohort } from '../shared/cohort.site.js';
import { addInto, decodeTotal, encodeContribution } from '../shared/fixed-point.js';
import { planStudy } from '../shared/plan.js';
import type { Study } from '../shared/study.js';
import type { TensorSpec, Total } from '../shared/tensors.js';
import { SITE_COMPUTATIONS } from '../site-agent/computations.js';
import { contributionOf, siteView } from '../site-agent/site-run.site.js';

/** What one round of a simulated study moved: for progress, and for run.json. */
export interface SimulatedRound {
  readonly request: RoundRequest;
  /** Bytes of one holder's masked input; the same for every holder. */
  readonly bytes: number;
}

/**
 * The whole study in one process: the same halves, the same fixed point, the same order of sites as over the network, so
 * `result.json` has the same bytes. One cohort is one holder. `beforeRelease` sees what every holder would send and may
 * throw: simulate runs the disclosure guard there.
 */
export function runSimulation(
  study: Study,
  cohorts: readonly Cohort[],
  hooks: {
    beforeRelease?(request: RoundRequest, results: ReadonlyMap<string, unknown>): void;
    onRound?(round: SimulatedRound, run: StudyRun): void;
  } = {},
): StudyRun {
  const plan = planStudy(study);
  const memos = cohorts.map(() => new Map<string, unknown>());
  const sites = [...new Set(cohorts.flatMap((cohort) => [...cohort.sites]))].sort();
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  for (let request = run.request; request !== null; request = run.request) {
    hooks.beforeRelease?.(request, run.results);
    const { leaves } = request;
    let sum: BigUint64Array[] | undefined;
    for (const [index, cohort] of cohorts.entries()) {
      const view = siteView(study, plan, cohort, run.results, memos[index]!);
      const contribution = contributionOf(plan, SITE_COMPUTATIONS, request, view);
      const words = encodeContribution(leaves, contribution, sites.length);
      if (sum === undefined) sum = words;
      else addWords(sum, words, leaves);
    }
    const total: Total = { sites, values: decodeTotal(leaves, sum!) };
    const bytes = sum!.reduce((length, block) => length + block.byteLength, 0);
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, total);
    hooks.onRound?.({ request, bytes }, run);
  }
  return run;
}

function addWords(
  sum: readonly BigUint64Array[],
  words: readonly BigUint64Array[],
  leaves: readonly TensorSpec[],
): void {
  for (const [index, leaf] of leaves.entries()) addInto(sum[index]!, words[index]!, leaf.ring);
}
