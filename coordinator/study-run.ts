import type {
  AnyCoordinatorHalf,
  AnyDeclaration,
  CoordinatorHalf,
  Declaration,
} from '../shared/computations/computation.js';
import { type DescribeResult, studySitesOf } from '../shared/computations/describe/declaration.js';
import { documentHash, encodeDocument } from '../shared/document.js';
import { assert, ConcordatError } from '../shared/errors.js';
import type { Plan } from '../shared/plan.js';
import type { TensorSpec, Total } from '../shared/tensors.js';

/**
 * The list of computations of a study as one pure machine: it asks for a round, is given the total, asks for the next.
 * It holds totals and public results only. Replaying the same totals gives the same requests, so a restarted
 * coordinator continues where its log ends.
 */
export interface CoordinatorRegistry {
  readonly [computation: string]: { readonly declaration: AnyDeclaration; readonly coordinator: AnyCoordinatorHalf };
}

/** One round that the sites are asked for. `iteration` counts rounds within the computation, from 1. */
export interface RoundRequest {
  readonly instance: string;
  readonly computation: string;
  readonly iteration: number;
  /** Rounds since the study began, from 1. */
  readonly round: number;
  readonly broadcast: unknown;
  readonly leaves: readonly TensorSpec[];
}

/** What result.json says of one fold's share of one total. */
export interface TotalEntry {
  readonly computation: string;
  readonly iteration: number;
  readonly fold: string;
  readonly sites: readonly string[];
  readonly sha256: string;
}

export interface StudyRun {
  readonly plan: Plan;
  readonly position: number;
  readonly computationState: unknown;
  /** Of the contributors that this pass of the computation asked so far: who is in its totals. */
  readonly members: ReadonlyMap<string, boolean>;
  /** How often this computation began anew because a site went missing or came back. */
  readonly passes: number;
  /** Public results of finished computations, by instance. */
  readonly results: ReadonlyMap<string, unknown>;
  readonly totals: readonly TotalEntry[];
  /** Null once every computation is done. */
  readonly request: RoundRequest | null;
}

export function startRun(plan: Plan, registry: CoordinatorRegistry): StudyRun {
  return begin(plan, registry, 0, new Map(), 0, []);
}

/** Takes the total of the current request. */
export function advanceRun(run: StudyRun, registry: CoordinatorRegistry, total: Total): StudyRun {
  const { plan, request } = run;
  assert(request !== null, 'a finished study was given a total');
  const planned = plan.computations[run.position]!;
  const { coordinator, declaration } = halvesOf(registry, planned.computation);
  const totals = [...run.totals, ...totalEntries(request, total)];
  const members = withMembers(run, request, total);
  if (members === null && coordinator.watchesSites !== true) {
    if (run.passes >= studySitesOf(plan.frame).length)
      throw new ConcordatError(
        'STUDY_SITES_UNSTEADY',
        `sites went missing and came back ${run.passes + 1} times during "${request.instance}"`,
      );
    return begin(plan, registry, run.position, run.results, request.round, totals, run.passes + 1);
  }
  const next = coordinator.advance(planned.spec, run.computationState, total);
  if (next.kind === 'done') {
    const results = new Map(run.results).set(planned.instance, next.result);
    return begin(plan, registry, run.position + 1, results, request.round, totals);
  }
  return {
    ...run,
    computationState: next.state,
    members: members ?? run.members,
    totals,
    request: {
      ...request,
      iteration: request.iteration + 1,
      round: request.round + 1,
      broadcast: next.broadcast,
      leaves: declaration.leaves(planned.spec, next.broadcast),
    },
  };
}

function begin(
  plan: Plan,
  registry: CoordinatorRegistry,
  position: number,
  results: ReadonlyMap<string, unknown>,
  round: number,
  totals: readonly TotalEntry[],
  passes = 0,
): StudyRun {
  const planned = plan.computations[position];
  const fresh = { plan, position, results, totals, members: new Map<string, boolean>(), passes };
  if (planned === undefined) return { ...fresh, computationState: null, request: null };
  const { coordinator, declaration } = halvesOf(registry, planned.computation);
  const first = coordinator.start(planned.spec, results);
  return {
    ...fresh,
    computationState: first.state,
    request: {
      instance: planned.instance,
      computation: planned.computation,
      iteration: 1,
      round: round + 1,
      broadcast: first.broadcast,
      leaves: declaration.leaves(planned.spec, first.broadcast),
    },
  };
}

/**
 * Counts of one round and sums of the next belong together only over the same sites. Null where a contributor that is in
 * this total was in none of the pass so far although it was asked, or the other way round. Who sits out adds nothing anyway.
 */
function withMembers(run: StudyRun, request: RoundRequest, total: Total): ReadonlyMap<string, boolean> | null {
  const described = run.results.get('describe') as DescribeResult | undefined;
  const members = new Map(run.members);
  for (const { contributors } of request.leaves)
    for (const { site } of contributors) {
      if (described?.excludedSites.includes(site) === true) continue;
      const isIn = total.sites.includes(site);
      if ((members.get(site) ?? isIn) !== isIn) return null;
      members.set(site, isIn);
    }
  return members;
}

/** One entry per outer fold, over the declared sites that are in the total. */
function totalEntries(request: RoundRequest, total: Total): TotalEntry[] {
  const folds = [...new Set(request.leaves.map((leaf) => leaf.fold))].sort();
  return folds.map((fold) => {
    const leaves = request.leaves.filter((leaf) => leaf.fold === fold);
    const declared = new Set(leaves.flatMap((leaf) => leaf.contributors.map((contributor) => contributor.site)));
    const values = Object.fromEntries(leaves.map((leaf) => [leaf.name, total.values.get(leaf.name)]));
    return {
      computation: request.instance,
      iteration: request.iteration,
      fold,
      sites: total.sites.filter((site) => declared.has(site)),
      sha256: documentHash(encodeDocument(values)),
    };
  });
}

// The registry erases each computation's own types; the plan pairs every spec with its computation by name.
function halvesOf(registry: CoordinatorRegistry, computation: string) {
  const halves = registry[computation];
  assert(halves !== undefined, `no computation is called ${computation}`);
  return halves as unknown as {
    declaration: Declaration<unknown, unknown>;
    coordinator: CoordinatorHalf<unknown, unknown, unknown, unknown>;
  };
}
