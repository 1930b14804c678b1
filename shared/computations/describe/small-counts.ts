import type { Count } from './declaration.js';

export const SUPPRESSED: Count = { suppressed: true };

export const isSmall = (count: number, minimumCount: number): boolean => count > 0 && count < minimumCount;

/**
 * Below which the counts of a column are suppressed. Two suppressed ones of 1, 2 or 3 can have one solution only, and a
 * suppressed 1 where 2 is shown is told by its mark; so where anything is suppressed, everything below 4 is.
 */
export const columnMinimum = (minimumCount: number): number => (minimumCount > 1 ? Math.max(4, minimumCount) : 1);

/**
 * Counts that add up to a number which is public: small ones are suppressed. Where these alone would follow from the rest
 * (one of them, or all of them 1, or all of them as large as small ones can be, or fewer than minimumCount together),
 * another is suppressed beside them: the first in the order given that is not 0, not the smallest, because a choice by size
 * tells of sizes. So put last what is to be taken only where no other is left. (Cox 1980, JASA 75:377.)
 */
export function suppressSmall(counts: readonly number[], minimumCount: number): Count[] {
  const small = [...counts.keys()].filter((at) => isSmall(counts[at]!, minimumCount));
  const sum = small.reduce((total, at) => total + counts[at]!, 0);
  const isAmbiguous =
    small.length >= 2 && sum >= minimumCount && sum > small.length && sum < small.length * (minimumCount - 1);
  const cover = [...counts.keys()].filter((at) => !small.includes(at) && counts[at]! > 0).slice(0, 1);
  const hidden = small.length === 0 || isAmbiguous ? small : [...small, ...cover];
  return [...counts.keys()].map((at) => (hidden.includes(at) ? SUPPRESSED : counts[at]!));
}

/** Patients with a value of a column and without, of a public number of patients: one is the other's difference, so both or neither. */
export function shownCounts(n: number, total: number, minimumCount: number): { n: Count; missing: Count } {
  const [shownN, missing] = suppressSmall([n, total - n], minimumCount);
  return { n: shownN!, missing: missing! };
}

/**
 * Least number of patients with a value that the shown counts permit. Where few are without one, whatever is published and
 * depends on n (how many bins, which quantiles are told) goes by this, or it would tell n again.
 */
export function fewestObserved(n: number, total: number, minimumCount: number): number {
  return isSmall(total - n, minimumCount) ? total - minimumCount + 1 : n;
}
