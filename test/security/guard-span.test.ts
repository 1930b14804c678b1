import { describe, expect, it } from 'vitest';
import { fewestPatients, isolatedBy, isolatedGroups, smallestSupport, spanOf } from '../../shared/guard-span.js';
import { seededRandom } from '../../shared/rng.js';
import { dimensionInside } from '../twins/rank.js';

const SITES = ['alder', 'birch', 'cedar', 'dogwood', 'elm', 'fir'];

function randomVectors(seed: number, sites: number, cells: number, count: number) {
  const random = seededRandom('guard-span', seed);
  return Array.from({ length: count }, () => ({
    scheme: 's',
    cells,
    contributors: SITES.slice(0, sites).map((site) => ({
      site,
      cells: Array.from({ length: cells }, (_, cell) => cell).filter(() => random.uniform() < 0.6),
    })),
  }));
}

/** The same design written down plainly: one 0/1 column for each (site, cell). */
function plainRows(vectors: ReturnType<typeof randomVectors>, sites: number, cells: number): number[][] {
  return vectors.map(({ contributors }) =>
    Array.from({ length: sites * cells }, (_, at) =>
      contributors[Math.floor(at / cells)]!.cells.includes(at % cells) ? 1 : 0,
    ),
  );
}

describe('exact linear algebra of the guard', () => {
  it('agrees with singular values on which groups can be isolated, over random designs', () => {
    for (let seed = 0; seed < 150; seed++) {
      const random = seededRandom('shape', seed);
      const sites = 3 + random.integer(3);
      const cells = 1 + random.integer(3);
      const vectors = randomVectors(seed, sites, cells, 1 + random.integer(sites * cells));
      const rows = plainRows(vectors, sites, cells);
      const span = spanOf(vectors);
      for (let mask = 1; mask < 1 << sites; mask++) {
        const group = SITES.slice(0, sites).filter((_, index) => (mask >> index) & 1);
        const inside = rows[0]!.map((_, at) => ((mask >> Math.floor(at / cells)) & 1) === 1);
        expect(isolatedBy(span, group).basis.length, `seed ${seed}, group ${group}`).toBe(
          dimensionInside(rows, inside),
        );
      }
    }
  });

  it('finds the smallest support as trying every subset of cells does', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom('support', seed);
      const width = 2 + random.integer(6);
      const rows = Array.from({ length: 1 + random.integer(4) }, () =>
        Array.from({ length: width }, () => random.integer(4) - 1),
      );
      const weights = Array.from({ length: width }, () => 1 + random.integer(9));
      let smallest = Number.POSITIVE_INFINITY;
      for (let mask = 1; mask < 1 << width; mask++) {
        const inside = weights.map((_, at) => ((mask >> at) & 1) === 1);
        if (dimensionInside(rows, inside) === 0) continue;
        smallest = Math.min(
          smallest,
          weights.reduce((sum, weight, at) => sum + (inside[at] ? weight : 0), 0),
        );
      }
      expect(
        smallestSupport(
          rows.map((row) => row.map(BigInt)),
          weights,
        ),
        `seed ${seed}`,
      ).toBe(smallest);
    }
  });

  it('sees through differently cut studies: two cuts of one site share its total', () => {
    const whole = { scheme: 'five', cells: 5, contributors: site(['alder', 'birch', 'cedar'], [0, 1, 2, 3, 4]) };
    const other = { scheme: 'two', cells: 2, contributors: site(['birch', 'cedar'], [0, 1]) };
    const span = spanOf([whole, other]);
    expect(isolatedGroups(span, 2)).toEqual([['alder']]);
    const atoms = [
      { cells: { five: 0, two: 0 }, n: 7 },
      { cells: { five: 1, two: 1 }, n: 8 },
    ];
    expect(fewestPatients(span, ['alder'], 'alder', atoms)).toBe(15);
  });

  it('names the smallest groups', () => {
    const all = { scheme: 's', cells: 1, contributors: site(SITES.slice(0, 5), [0]) };
    const without = { scheme: 's', cells: 1, contributors: site(SITES.slice(2, 5), [0]) };
    expect(isolatedGroups(spanOf([all, without]), 3)).toEqual([['alder', 'birch']]);
    expect(isolatedGroups(spanOf([all, without]), 2)).toEqual([]);
  });

  it('decides 6 sites x 10 cells x 100 dense vectors within a second, and a designed study in milliseconds', () => {
    const dense = randomVectors(1, 6, 10, 100);
    const started = performance.now();
    expect(isolatedGroups(spanOf(dense), 2).length).toBe(6);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

function site(names: readonly string[], cells: number[]) {
  return names.map((name) => ({ site: name, cells }));
}

describe('search for the smallest support', () => {
  it('ends soon with a lower bound where the exact answer would take long', () => {
    const random = seededRandom('long search');
    const rows = Array.from({ length: 12 }, () => Array.from({ length: 300 }, () => BigInt(random.integer(2))));
    const started = performance.now();
    expect(
      smallestSupport(
        rows,
        rows[0]!.map(() => 3),
      ),
    ).toBeGreaterThanOrEqual(3);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
