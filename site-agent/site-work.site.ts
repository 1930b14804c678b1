import { type LocalHarmonization, localHarmonization } from '../harmonization/harmonized.site.js';
import type { Cohort } from '../shared/cohort.site.js';
import type { DescribeResult } from '../shared/computations/describe/declaration.js';
import { encodeContribution, packWords, unpackWords } from '../shared/fixed-point.js';
import { type Plan, planStudy } from '../shared/plan.js';
import { maskedInput } from '../shared/secagg/masked-input.site.js';
import type { Secret } from '../shared/secret.js';
import type { Study } from '../shared/study.js';
import type { Contribution, TensorSpec } from '../shared/tensors.js';
import { SITE_COMPUTATIONS } from './computations.js';
import { checkRelease, type ReleaseContext } from './egress.js';
import type { MaskJob } from './participant-types.js';
import {
  contributionOf,
  harmonizationInput,
  leavesOf,
  type RoundTask,
  type SiteRegistry,
  siteView,
} from './site-run.site.js';

/** Plain data, so that it can be handed to another thread. */
export interface SiteWorkSetup {
  readonly site: string;
  readonly study: Study;
  readonly cohort: Cohort;
  readonly release: ReleaseContext;
  /** Sites of the study: each value is encoded so that this many fit the ring. */
  readonly siteCount: number;
}

/** What has passed the release gate: the words that will be masked, and of them what is visible for this site alone. */
export interface Contributed {
  readonly words: Uint8Array;
  readonly own: Contribution;
}

/** Public results of finished computations, by instance. */
export type Results = ReadonlyMap<string, unknown>;

/**
 * Everything of a study at a site that is long or touches rows: contributions behind the release gate, masks, this
 * site's own harmonization. Pure, so the same bits come from any thread. What it derives of the rows it keeps.
 */
export class SiteWork {
  private readonly plan: Plan;
  private readonly memo = new Map<string, unknown>();

  constructor(
    private readonly setup: SiteWorkSetup,
    private readonly registry: SiteRegistry = SITE_COMPUTATIONS,
  ) {
    this.plan = planStudy(setup.study);
  }

  /** Throws a POLICY_* or SECAGG_* error where something may not leave. */
  contribute(task: RoundTask, results: Results): Contributed {
    const { site, study, cohort, release, siteCount } = this.setup;
    const leaves = leavesOf(this.plan, this.registry, task);
    const view = siteView(study, this.plan, cohort, results, this.memo);
    const computed = contributionOf(this.plan, this.registry, task, view);
    const contribution: Contribution = this.isLeftOut(results) ? new Map() : computed;
    checkRelease(leaves, contribution, release);
    const words = packWords(encodeContribution(leaves, contribution, siteCount));
    return { words, own: ownValues(site, leaves, contribution) };
  }

  /**
   * `describe` settled who takes part: whose small numbers are covered, and over whom the guards of the others count. A site
   * that was missing then (`onMissingSite: continue`) and is back sits out, or its events would be the difference.
   */
  private isLeftOut(results: Results): boolean {
    const described = results.get('describe') as DescribeResult | undefined;
    return described?.excludedSites.includes(this.setup.site) === true;
  }

  /** The masked input of an attempt; `words` stay as they are. */
  mask(job: MaskJob, leaves: readonly TensorSpec[], words: Uint8Array, slotSecret: Secret | null): Uint8Array {
    return maskedInput(job, leaves, unpackWords(leaves, words), slotSecret);
  }

  localHarmonization(results: Results): LocalHarmonization {
    const { site, study, cohort } = this.setup;
    const fit = this.plan.fits.find(({ id }) => id === `${study.harmonization.method}:all`)!;
    return localHarmonization(harmonizationInput(study, this.plan, cohort, results, this.memo), fit, site);
  }
}

function ownValues(site: string, leaves: readonly TensorSpec[], contribution: Contribution): Contribution {
  const own = new Map<string, Float64Array>();
  for (const leaf of leaves) {
    if (leaf.visibility !== 'site' || !leaf.contributors.some((entry) => entry.site === site)) continue;
    const values = contribution.get(leaf.name);
    if (values !== undefined) own.set(leaf.name, values);
  }
  return own;
}
