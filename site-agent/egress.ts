import { ConcordatError, type Problem } from '../shared/errors.js';
import { type Contribution, type TensorSpec, tensorSize } from '../shared/tensors.js';
import { type Policy, visibilityRefusal } from './policy.js';

/**
 * Pure core of the release gate, the one exit for data: what may leave. What left is in the egress ledger
 * (shared/egress-ledger.ts). The disclosure guard decides over sets (guard.ts); this decides over one contribution.
 */
export interface ReleaseContext {
  readonly site: string;
  readonly policy: Policy;
  readonly showAggregate: readonly string[];
  /** Usable cases of this site in the study; 0 where it sits out. */
  readonly patients: number;
  /** The study's own minimum; the larger of it and the policy's counts. */
  readonly minimumCohort: number;
}

/**
 * Passes a contribution or refuses it whole, naming every fault: a tensor that was not declared, another length, a value
 * that is not finite or beyond its bound, non-zero values where the site is no contributor, visibility that the policy
 * does not allow, a cohort below the minimum that does not sit out whole. Names tensors and counts only, never a value.
 *
 * @throws ConcordatError with the code of the first fault and a problem for each.
 */
export function checkRelease(leaves: readonly TensorSpec[], contribution: Contribution, context: ReleaseContext): void {
  const faults: { code: ConcordatError['code']; message: string }[] = [];
  const minimum = Math.max(context.minimumCohort, context.policy.minimumCohort);
  // A site that sits out has no case in any sum. It says so, and sends zeros.
  const sitsOut = context.patients === 0;
  if (context.patients < minimum && !sitsOut)
    faults.push({
      code: 'POLICY_COHORT_TOO_SMALL',
      message: `this site has fewer usable cases than the minimum cohort of ${minimum}`,
    });
  const declared = new Map(leaves.map((leaf) => [leaf.name, leaf]));
  if (declared.size < leaves.length)
    faults.push({ code: 'POLICY_TENSOR_MISMATCH', message: 'two declared tensors have one name' });
  for (const name of contribution.keys())
    if (!declared.has(name))
      faults.push({ code: 'POLICY_UNDECLARED_TENSOR', message: `tensor "${name}" was not declared` });
  for (const leaf of leaves) {
    const refused = visibilityRefusal(context.policy, leaf, context.site, context.showAggregate);
    const values = contribution.get(leaf.name);
    if (refused !== null && values?.some((value) => value !== 0) === true)
      faults.push({ code: 'POLICY_VISIBILITY_REFUSED', message: refused });
    if (values === undefined) continue;
    if (sitsOut && !leaf.kind.startsWith('describe.') && values.some((value) => value !== 0))
      faults.push({
        code: 'POLICY_COHORT_TOO_SMALL',
        message: `this site sits out, but tensor "${leaf.name}" would not be zero`,
      });
    const fault = tensorFault(leaf, values, context.site);
    if (fault !== null) faults.push(fault);
  }
  const first = faults[0];
  if (first === undefined) return;
  const problems: Problem[] = faults.map(({ message }) => ({ message }));
  const more = faults.length === 1 ? '' : ` (and ${faults.length - 1} more)`;
  throw new ConcordatError(first.code, `nothing was released: ${first.message}${more}`, { problems });
}

function tensorFault(
  leaf: TensorSpec,
  values: Float64Array,
  site: string,
): { code: ConcordatError['code']; message: string } | null {
  const size = tensorSize(leaf);
  if (values.length !== size)
    return {
      code: 'POLICY_TENSOR_MISMATCH',
      message: `tensor "${leaf.name}" has ${values.length} entries, declared were ${size}`,
    };
  let notFinite = 0;
  let outside = 0;
  let filled = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) notFinite++;
    else if (Math.abs(value) > leaf.bound) outside++;
    if (value !== 0) filled++;
  }
  if (notFinite > 0)
    return {
      code: 'SECAGG_BOUND_EXCEEDED',
      message: `tensor "${leaf.name}" has ${notFinite} entries that are no finite number`,
    };
  if (outside > 0)
    return {
      code: 'SECAGG_BOUND_EXCEEDED',
      message: `tensor "${leaf.name}" has ${outside} entries beyond its declared bound of ${leaf.bound}`,
    };
  if (filled > 0 && !leaf.contributors.some((entry) => entry.site === site))
    return {
      code: 'POLICY_TENSOR_MISMATCH',
      message: `this site is no contributor of tensor "${leaf.name}" but would fill it`,
    };
  return null;
}

/** A row of "what will leave", shown before a site approves. */
export interface LeavesRow {
  readonly computation: string;
  readonly kind: string;
  readonly meaning: string;
  /** Tensors and numbers in one round (the largest round seen). */
  readonly tensors: number;
  readonly numbers: number;
  readonly rounds: string;
  /** `total` everywhere, `site` everywhere, or `both`: some of it is visible for single sites. */
  readonly visible: 'total' | 'site' | 'both';
  /** Sites that can be told apart in it, where visible is not `total`. */
  readonly sites: readonly string[];
}

/**
 * Leaves of one computation: one list of tensors for each kind of round that is known of, and how many rounds there may
 * be; null where each listed round happens once.
 */
export interface ComputationLeaves {
  readonly computation: string;
  readonly rounds: readonly (readonly TensorSpec[])[];
  readonly roundsMax: number | 'until converged' | null;
}

/** "What will leave", one row for each kind of tensor, in the order of computations. */
export function describeLeaves(computations: readonly ComputationLeaves[]): LeavesRow[] {
  return computations.flatMap(({ computation, rounds, roundsMax }) => {
    const kinds = [...new Set(rounds.flat().map((leaf) => leaf.kind))];
    return kinds.map((kind): LeavesRow => {
      const perRound = rounds.map((leaves) => leaves.filter((leaf) => leaf.kind === kind));
      const all = perRound.flat();
      const perSite = all.filter((leaf) => leaf.visibility === 'site');
      const withKind = perRound.filter((leaves) => leaves.length > 0).length;
      return {
        computation,
        kind,
        meaning: all[0] === undefined ? '' : meaningOfKind(all[0]),
        tensors: Math.max(...perRound.map((leaves) => leaves.length)),
        numbers: Math.max(...perRound.map((leaves) => leaves.reduce((sum, leaf) => sum + tensorSize(leaf), 0))),
        rounds: typeof roundsMax === 'number' ? `up to ${roundsMax}` : (roundsMax ?? String(withKind)),
        visible: perSite.length === 0 ? 'total' : perSite.length === all.length ? 'site' : 'both',
        sites: [...new Set(perSite.flatMap((leaf) => leaf.contributors.map(({ site }) => site)))].sort(),
      };
    });
  });
}

/** A tensor of one site may name it in its meaning; the row stands for all sites. */
function meaningOfKind(leaf: TensorSpec): string {
  const only = leaf.contributors.length === 1 ? leaf.contributors[0]!.site : null;
  if (only === null) return leaf.meaning;
  return leaf.meaning
    .split(/\b/)
    .map((word) => (word === only ? 'the site' : word))
    .join('');
}
