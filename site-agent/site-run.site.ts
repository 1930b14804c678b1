import { type HarmonizationInput, harmonizedFeatures } from '../harmonization/harmonized.site.js';
import type { Cohort, SiteView } from '../shared/cohort.site.js';
import type { AnyDeclaration, AnySiteHalf, Declaration, SiteHalf } from '../shared/computations/computation.js';
import type { CombatSpec } from '../shared/computations/frame.js';
import { assert, ConcordatError } from '../shared/errors.js';
import { contributionBytes } from '../shared/fixed-point.js';
import { LIMITS } from '../shared/limits.js';
import type { Plan } from '../shared/plan.js';
import type { Study } from '../shared/study.js';
import type { Contribution, TensorSpec } from '../shared/tensors.js';

/** The site halves this agent has: a study can name no others (law 3). */
export interface SiteRegistry {
  readonly [computation: string]: {
    readonly declaration: AnyDeclaration;
    readonly site: AnySiteHalf;
    /** Throws POLICY_BROADCAST_INVALID; `iteration` counts the rounds of the computation from 1. */
    checkBroadcast(spec: never, broadcast: unknown, iteration: number): void;
    /** The same for the public result that later computations build on. */
    checkResult(spec: never, result: unknown): void;
  };
}

/** What a round asks, as it arrives: the instance of the plan, and the broadcast. */
export interface RoundTask {
  readonly instance: string;
  readonly iteration: number;
  readonly broadcast: unknown;
}

/** What harmonization reads, within one study. */
export function harmonizationInput(
  study: Study,
  plan: Plan,
  cohort: Cohort,
  results: ReadonlyMap<string, unknown>,
  memo: Map<string, unknown>,
): HarmonizationInput {
  const combat = plan.computations.find((planned) => planned.computation === 'combat');
  const combatSpec = (combat?.spec as CombatSpec | undefined) ?? null;
  return { cohort, results, frame: plan.frame, combatSpec, heldOut: study.harmonization.heldOut, memo };
}

/** The view of one cohort within one study; `memo` lives as long as the view. */
export function siteView(
  study: Study,
  plan: Plan,
  cohort: Cohort,
  results: ReadonlyMap<string, unknown>,
  memo: Map<string, unknown>,
): SiteView {
  const input = harmonizationInput(study, plan, cohort, results, memo);
  return { cohort, results, memo, harmonized: (fit) => harmonizedFeatures(input, fit) };
}

/**
 * The tensors that answer a task, declared by this agent's own copy of the computation. Throws POLICY_BROADCAST_INVALID
 * where the broadcast is none that the computation can have at this place.
 */
export function leavesOf(plan: Plan, registry: SiteRegistry, task: RoundTask): TensorSpec[] {
  const { planned, declaration, checkBroadcast } = lookUp(plan, registry, task.instance);
  checkBroadcast(planned.spec, task.broadcast, task.iteration);
  const leaves = accounted(task, () => declaration.leaves(planned.spec, task.broadcast));
  const bytes = contributionBytes(leaves);
  if (!(bytes <= LIMITS.blobBytesMax) || !leaves.every(isSound))
    throw new ConcordatError(
      'POLICY_BROADCAST_INVALID',
      `the broadcast of "${task.instance}" asks for tensors that cannot be`,
    );
  return leaves;
}

/** Of the shape that every declaration has, whatever numbers the broadcast held. */
function isSound(leaf: TensorSpec): boolean {
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0;
  return typeof leaf.name === 'string' && leaf.shape.every(whole) && Number.isFinite(leaf.bound) && leaf.bound >= 0;
}

/**
 * A broadcast that passed its check and that this agent's own computation fails on is a defect of the agent, and must not
 * pass for the coordinator's fault. The message goes to this site's log: it says where, and nothing of the error's own
 * words, which may repeat a value.
 */
function accounted<T>(task: RoundTask, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ConcordatError) throw cause;
    const { name, stack = '' } = cause instanceof Error ? cause : new Error();
    const place =
      /\bat (?:.* \()?(?:file:\/\/)?[^()\n]*?([^/\\()\n]+:\d+:\d+)\)?$/m.exec(stack)?.[1] ?? 'an unknown place';
    throw new ConcordatError('INTERNAL_BUG', `"${task.instance}" failed at this site: ${name} at ${place}`, { cause });
  }
}

/** Computes what would leave for a task. Nothing leaves by this: the release gate decides. */
export function contributionOf(plan: Plan, registry: SiteRegistry, task: RoundTask, view: SiteView): Contribution {
  const { planned, site, checkBroadcast } = lookUp(plan, registry, task.instance);
  checkBroadcast(planned.spec, task.broadcast, task.iteration);
  return accounted(task, () => site.contribute(planned.spec, task.broadcast, view));
}

/** The public result of an earlier computation, as the coordinator hands it on. Throws POLICY_BROADCAST_INVALID. */
export function checkResultOf(plan: Plan, registry: SiteRegistry, instance: string, result: unknown): void {
  const { planned, checkResult } = lookUp(plan, registry, instance);
  checkResult(planned.spec, result);
}

// The registry erases each computation's own types; the plan pairs every spec with its computation by name.
function lookUp(plan: Plan, registry: SiteRegistry, instance: string) {
  const planned = plan.computations.find((entry) => entry.instance === instance);
  if (planned === undefined)
    throw new ConcordatError(
      'POLICY_UNKNOWN_COMPUTATION',
      `a computation "${instance}" was asked for that the approved study does not name`,
    );
  const halves = registry[planned.computation];
  assert(halves !== undefined, `no computation is called ${planned.computation}`);
  return {
    planned,
    declaration: halves.declaration as unknown as Declaration<unknown, unknown>,
    site: halves.site as unknown as SiteHalf<unknown, unknown>,
    checkBroadcast: halves.checkBroadcast as (spec: unknown, broadcast: unknown, iteration: number) => void,
    checkResult: halves.checkResult as (spec: unknown, result: unknown) => void,
  };
}
