import type { OwnCohort } from '../shared/guard-decision.js';
import { type Atom, smallestSupport } from '../shared/guard-span.js';

/**
 * The disclosure guard at the site. Within one cohort the decision over site x cell vectors is shared/guard-decision.ts;
 * here is what only a site can judge: whether releases of different studies differ by a few of its own patients.
 */
export {
  EMPTY_GUARD,
  type GuardDecision,
  type GuardRequest,
  type GuardRules,
  type GuardState,
  guardDecision,
  guardRequest,
} from '../shared/guard-decision.js';

/** The own cohort cut into the cells of one scheme: what the single-site rules count. */
export function ownAtoms(scheme: string, cells: number, cellOf: ArrayLike<number>, counted: ArrayLike<number>): Atom[] {
  const n = new Array<number>(cells).fill(0);
  for (let row = 0; row < cellOf.length; row++) if (counted[row] === 1) n[cellOf[row]!]! += 1;
  return n.map((count, cell) => ({ cells: { [scheme]: cell }, n: count }));
}

/** The own cohort as the guard needs it, with its cut case by case so that later studies with another cut are judged too. */
export function ownCohort(
  site: string,
  scheme: string,
  cells: number,
  cellOf: ArrayLike<number>,
  counted: ArrayLike<number>,
): OwnCohort {
  return {
    site,
    atoms: ownAtoms(scheme, cells, cellOf, counted),
    cut: { scheme, cellOf: Array.from(cellOf), counted: Array.from(counted) },
  };
}

/** Behind every study that released anything: which cases, as keyed hashes that only this site can make. */
export interface ReleasedCases {
  readonly study: string;
  readonly cases: readonly string[];
}

export type OverlapDecision =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: 'POLICY_COHORT_OVERLAP'; readonly message: string };

/**
 * Refuses a study whose case set, together with those of earlier studies, would let their totals be combined into one
 * over fewer than `minCases` patients: two studies one patient apart, but also A, B and A + B + one patient. Cases that
 * the same studies hold form a class; a combination of releases shows whole classes. The same case set again is fine.
 */
export function overlapDecision(
  earlier: readonly ReleasedCases[],
  next: ReleasedCases,
  minCases: number,
): OverlapDecision {
  const releases = [...earlier.filter((release) => release.study !== next.study), next];
  const patternOf = new Map<string, bigint>();
  for (const [bit, release] of releases.entries())
    for (const hash of new Set(release.cases)) patternOf.set(hash, (patternOf.get(hash) ?? 0n) | (1n << BigInt(bit)));
  const classes = new Map<bigint, number>();
  for (const pattern of patternOf.values()) classes.set(pattern, (classes.get(pattern) ?? 0) + 1);
  const patterns = [...classes.keys()];
  const rows = releases.map((_, bit) => patterns.map((pattern) => (pattern >> BigInt(bit)) & 1n));
  const fewest = smallestSupport(
    rows,
    patterns.map((pattern) => classes.get(pattern)!),
  );
  // A cohort that is itself smaller than minCases is the minimum cohort's affair, not a difference.
  if (fewest >= minCases || fewest >= new Set(next.cases).size) return { ok: true };
  const near = releases.slice(0, -1).filter((release) => {
    const distance = symmetricDifference(release.cases, next.cases);
    return distance > 0 && distance < minCases;
  });
  const names = near.map((release) => `"${release.study}"`).join(', ');
  return {
    ok: false,
    code: 'POLICY_COHORT_OVERLAP',
    message:
      near.length > 0
        ? `the cohort differs from that of study ${names} by fewer than ${minCases} cases`
        : `combined with earlier studies the cohort would show fewer than ${minCases} cases`,
  };
}

function symmetricDifference(a: readonly string[], b: readonly string[]): number {
  const left = new Set(a);
  const right = new Set(b);
  let different = 0;
  for (const hash of left) if (!right.has(hash)) different++;
  for (const hash of right) if (!left.has(hash)) different++;
  return different;
}
