import { describe, expect, it } from 'vitest';
import { glcmCounts, gldmCounts, glszmCounts, ngtdmSums } from '../../site-agent/radiomics/features/counts.js';
import { type LevelGrid, levelGridOf } from '../../site-agent/radiomics/features/level-grid.js';
import { neighbourCounts } from '../../site-agent/radiomics/features/neighbour-counts.js';
import { type Direction, directions } from '../../site-agent/radiomics/features/neighbourhood.js';
import { glrlmCounts } from '../../site-agent/radiomics/features/run-counts.js';
import { allSteps, dependents, differences, pairs, runs, zones } from '../twins/texture.js';
import { REGION_CASES, regionOf } from './region-cases.js';

/** Non-zero cells of a dense matrix as the twins name them. */
function cells(
  grid: LevelGrid,
  matrix: ArrayLike<number>,
  at: number,
  width: number,
  column: (j: number) => number,
): Map<string, number> {
  const found = new Map<string, number>();
  for (let i = 0; i < grid.greyLevels.length; i++)
    for (let j = 0; j < width; j++) {
      const count = matrix[at + i * width + j]!;
      if (count !== 0) found.set(`${grid.greyLevels[i]},${column(j)}`, count);
    }
  return found;
}

const sorted = (map: Map<string, number>): [string, number][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

const SETTINGS = [
  { distances: [1], force2D: false, force2Ddimension: 0 as const },
  { distances: [1, 2, 3], force2D: false, force2Ddimension: 0 as const },
  { distances: [2], force2D: true, force2Ddimension: 0 as const },
  { distances: [1, 3], force2D: true, force2Ddimension: 1 as const },
  { distances: [1], force2D: true, force2Ddimension: 2 as const },
];

describe('texture matrices equal their definitions', () => {
  for (const one of REGION_CASES)
    it(one.name, () => {
      const { roi, levels, region } = regionOf(one);
      for (const setting of SETTINGS) {
        const grid = levelGridOf(roi, levels, Math.max(...setting.distances));
        const n = grid.greyLevels.length;
        const steps = directions(grid.extent, setting.distances, setting);
        const flat = setting.force2D ? 2 - setting.force2Ddimension : null;
        const all = allSteps(setting.distances, flat).filter((step) =>
          step.every((part, axis) => Math.abs(part) < grid.extent[axis]!),
        );
        expect(steps.length * 2).toBe(all.length);
        const where = `${one.name} ${JSON.stringify(setting)}`;

        const glcm = glcmCounts(grid, steps);
        steps.forEach((step: Direction, a) => {
          const got = cells(grid, glcm, a * n * n, n, (j) => grid.greyLevels[j]!);
          expect(sorted(got), `glcm ${where} ${step}`).toEqual(sorted(pairs(region, step)));
        });
        const near = directions(grid.extent, [1], setting);
        const { counts, longest, meets } = glrlmCounts(grid, near);
        near.forEach((step, a) => {
          const want = runs(region, step);
          const got = cells(grid, counts, a * n * longest, longest, (j) => j + 1);
          expect(sorted(got), `glrlm ${where} ${step}`).toEqual(sorted(want.counts));
          expect(meets[a] === 1, `meets ${where} ${step}`).toBe(want.meets);
        });
        const zone = glszmCounts(grid, near);
        const got = new Map<string, number>();
        zone.level.forEach((i, k) => {
          got.set(`${grid.greyLevels[i]},${zone.size[k]}`, zone.count[k]!);
        });
        expect(sorted(got), `glszm ${where}`).toEqual(sorted(zones(region, allSteps([1], flat))));
        for (const alpha of [0, 2]) {
          const width = 2 * steps.length + 1;
          const dependence = cells(grid, gldmCounts(grid, steps, alpha), 0, width, (j) => j);
          expect(sorted(dependence), `gldm ${where} ${alpha}`).toEqual(sorted(dependents(region, all, alpha)));
        }
        const sums = ngtdmSums(grid, steps);
        const both = neighbourCounts(grid, steps);
        expect(both.dependence, `together ${where}`).toEqual(gldmCounts(grid, steps));
        expect(both.differences, `together ${where}`).toEqual(sums);
        for (const [level, [count, withNeighbours, difference]] of differences(region, all)) {
          const i = grid.greyLevels.indexOf(level);
          expect([sums.count[i], sums.withNeighbours[i]], `ngtdm ${where}`).toEqual([count, withNeighbours]);
          expect(sums.difference[i]).toBeCloseTo(difference, 9);
        }
      }
    });
});
