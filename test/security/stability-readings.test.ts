import { describe, expect, it } from 'vitest';
import type { SiteView } from '../../shared/cohort.site.js';
import { stabilitySite } from '../../shared/computations/stability/contribute.site.js';
import type { StabilitySpec } from '../../shared/computations/stability/declaration.js';
import { planStudy } from '../../shared/plan.js';
import { parseStudy } from '../../shared/study-parse.js';

/** Known leak: two fits that differ by one inner-fold cell, in which a site has one patient who was read twice. */
const study = parseStudy(
  `concordat: 1
name: reread
cohort: {endpoint: {type: binary, column: y}, features: [size]}
sites: {training: [alder, birch, cedar]}
selection: {stability: {minimum: 0.7}}
model: {type: logistic, lambda: cv}
validation: {folds: 2}
privacy: {minimumCohort: 10, minimumCount: 5}
`,
  'study.yaml',
);
const spec = planStudy(study).computations.find(({ computation }) => computation === 'stability')!
  .spec as StabilitySpec;

/** Twenty patients of alder, ten a cell; the first `reread[cell]` of each cell have two readings. */
function view(reread: readonly number[]): SiteView {
  const n = 20;
  const values = new Float64Array(n * 2).fill(Number.NaN);
  for (let row = 0; row < n; row++) {
    if (Math.floor(row / 2) >= reread[row % 2]!) continue;
    values[2 * row] = 10 + row;
    values[2 * row + 1] = 10 + row + 0.25 * (row % 5) + 1;
  }
  const cohort = {
    sites: ['alder'],
    siteOf: new Int32Array(n),
    n,
    cellOf: Int32Array.from({ length: n }, (_, row) => row % 2),
    train: new Uint8Array(n).fill(1),
    repeats: { count: 2, values },
  };
  return { cohort, results: new Map(), memo: new Map() } as unknown as SiteView;
}

const whole = spec.fits.find(({ inner }) => inner === null)!;
const inners = spec.fits.filter(({ inner }) => inner !== null);

function released(of: SiteView): Map<string, number[]> {
  const exponents = spec.fits.map(() => ({ exponents: new Int32Array(1) }));
  const counts = stabilitySite.contribute(spec, { phase: 'exponents' }, of);
  const squares = stabilitySite.contribute(spec, { phase: 'squares', fits: exponents }, of);
  return new Map(
    spec.fits.map(({ id }) => [id, [...(counts.get(`${id}/counts`) ?? []), ...(squares.get(`${id}/squares`) ?? [])]]),
  );
}

describe('sums of repeated measurements of two fits', () => {
  it('do not differ by a single patient, whatever the cell that she is in', () => {
    for (const reread of [
      [8, 1],
      [1, 8],
      [8, 4],
    ]) {
      const sums = released(view(reread));
      const all = sums.get(whole.id)!;
      expect(all.slice(0, 2)).toEqual([1, 8]);
      for (const { id } of inners) {
        const other = sums.get(id)!;
        // Either the same patients, or none at all: the difference is of 0 or 8 patients.
        expect([0, 8]).toContain(all[1]! - other[1]!);
        if (other[1] === 8) expect(other).toEqual(all);
        else expect(other.every((value) => value === 0)).toBe(true);
      }
    }
  });

  it('differ by whole cells where these are large enough, and are nothing where one patient was reread', () => {
    const sums = released(view([8, 6]));
    expect(sums.get(whole.id)![1]).toBe(14);
    expect(inners.map(({ id }) => sums.get(id)![1]).sort()).toEqual([6, 8]);
    for (const values of released(view([1, 0])).values()) expect(values.every((value) => value === 0)).toBe(true);
  });
});
