import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { advanceRun, type StudyRun, startRun } from '../../coordinator/study-run.js';
import { addInto, decodeTotal, encodeContribution } from '../../shared/fixed-point.js';
import { type Plan, planStudy } from '../../shared/plan.js';
import { seededRandom } from '../../shared/rng.js';
import type { Study } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import type { TensorSpec, Total } from '../../shared/tensors.js';
import { cohortsFromTable } from '../../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { contributionOf, siteView } from '../../site-agent/site-run.site.js';

/** Patients of one part of a site's table, and how many of them have the event. */
export interface Part {
  readonly n: number;
  readonly events: number;
}

/** What a site's table holds, by part: `train` is everything where the study has no split. */
export interface SiteCounts {
  readonly train: Part;
  readonly test?: Part;
}

export type Kind = 'logistic' | 'cox';

export interface Design {
  readonly kind: Kind;
  readonly training: Readonly<Record<string, SiteCounts>>;
  readonly external?: Readonly<Record<string, SiteCounts>>;
  readonly folds?: number;
  readonly leaveOut?: readonly (readonly string[])[];
  readonly showAggregate?: readonly string[];
  readonly perSite?: boolean;
}

/** A round as the coordinator has it. */
export interface Seen {
  readonly instance: string;
  readonly broadcast: unknown;
  readonly leaves: readonly TensorSpec[];
  readonly total: Total;
}

export function studyOf(design: Design): Study {
  const split = Object.values(design.training).some(({ test }) => test !== undefined);
  const endpoint =
    design.kind === 'cox'
      ? '{type: survival, time: days, event: dead, unit: days, horizon: 500}'
      : '{type: binary, column: dead}';
  const list = (names: readonly string[]) => `[${names.join(', ')}]`;
  return parseStudy(
    `concordat: 1
name: small-counts
cohort: {endpoint: ${endpoint}, features: [f1]${split ? ', split: {column: part, train: train, test: test}' : ''}}
sites: {training: ${list(Object.keys(design.training))}, external: ${list(Object.keys(design.external ?? {}))}}
model: {type: ${design.kind}, alpha: 0, lambda: 0.2}
validation: {folds: ${design.folds ?? 0}, perSite: ${design.perSite ?? true}, leaveOut: ${list((design.leaveOut ?? []).map(list))}}
privacy: {showAggregate: ${list(design.showAggregate ?? [])}}
`,
    'study.yaml',
  );
}

/** A table with exactly these counts. */
function tableOf(design: Design): string {
  const lines = ['id,site,part,f1,days,dead'];
  for (const [site, counts] of Object.entries({ ...design.training, ...design.external })) {
    const random = seededRandom('suppression', site);
    for (const part of ['train', 'test'] as const)
      for (let at = 0; at < (counts[part]?.n ?? 0); at++) {
        const dead = at < counts[part]!.events ? 1 : 0;
        const f1 = random.normal() + 0.3 * dead;
        lines.push(`${site}-${part}-${at},${site},${part},${f1},${1 + random.integer(900)},${dead}`);
      }
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The whole study in one process, every round written down. Without `secondary` only sites with few events hide their
 * number, as if no total gave it away: the selection that this replaced.
 */
export function runDesign(
  design: Design,
  options: { secondary: boolean },
): { seen: Seen[]; run: StudyRun; plan: Plan } {
  const study = studyOf(design);
  const cohorts = cohortsFromTable(
    study,
    { ...PLAIN_MAPPING, id: 'id' },
    parseTable(tableOf(design), 'cases.csv'),
    'site',
    { oneHolder: false },
  ).map(({ cohort }) => cohort);
  const planned = planStudy(study);
  const plan: Plan = options.secondary
    ? planned
    : {
        ...planned,
        computations: planned.computations.map((entry) =>
          entry.instance === 'describe' ? { ...entry, spec: { ...(entry.spec as object), outers: [] } } : entry,
        ),
      };
  const memos = cohorts.map(() => new Map<string, unknown>());
  const sites = cohorts.flatMap((cohort) => [...cohort.sites]).sort();
  const seen: Seen[] = [];
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  for (let request = run.request; request !== null; request = run.request) {
    const { leaves, instance, broadcast } = request;
    let sum: BigUint64Array[] | undefined;
    for (const [index, cohort] of cohorts.entries()) {
      const view = siteView(study, plan, cohort, run.results, memos[index]!);
      const words = encodeContribution(leaves, contributionOf(plan, SITE_COMPUTATIONS, request, view), sites.length);
      if (sum === undefined) sum = words;
      else for (const [at, leaf] of leaves.entries()) addInto(sum[at]!, words[at]!, leaf.ring);
    }
    const total: Total = { sites, values: decodeTotal(leaves, sum!) };
    seen.push({ instance, broadcast, leaves, total });
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, total);
  }
  return { seen, run, plan };
}
