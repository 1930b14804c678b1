import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { merged } from '../../site-agent/radiomics/ibsi/counts.js';
import { type LevelGrid, levelGrid } from '../../site-agent/radiomics/ibsi/level-grid.js';
import {
  coOccurrence,
  type Direction,
  IN_SLICE,
  IN_SPACE,
  neighbourhoods,
  runLengths,
  type Slab,
  zones,
} from '../../site-agent/radiomics/ibsi/matrices.js';
import { cellsOf, gridOfLevels, tonesOf } from '../support/ibsi.js';
import { radiomicsFolder, readImage } from '../support/images.js';
import { readJson } from '../support/reference.js';
import { type SlowVolume, slowGlcm, slowGlrlm, slowNgldm, slowNgtdm, slowZones } from '../twins/ibsi-matrices.js';

interface Case {
  readonly grid: LevelGrid;
  readonly slow: SlowVolume;
}

/** A random volume that fills its box, so that both count from the same corner; some voxels have no level, some lie outside the mask. */
function randomCase(seed: number): Case {
  const random = seededRandom('ibsi matrices', seed);
  const size = [2 + random.integer(4), 2 + random.integer(4), 1 + random.integer(4)] as const;
  const total = size[0] * size[1] * size[2];
  const depth = 1 + random.integer(4);
  const mask = Uint8Array.from({ length: total }, () => (random.uniform() < 0.85 ? 1 : 0));
  mask[0] = 1;
  mask[total - 1] = 1;
  const levels = Int32Array.from(mask, (inside) => (inside && random.uniform() < 0.9 ? 1 + random.integer(depth) : 0));
  levels[0] = depth;
  const at = (x: number, y: number, z: number): number => x + size[0] * (y + size[1] * z);
  return {
    grid: gridOfLevels(size, levels, mask),
    slow: { size, level: (x, y, z) => levels[at(x, y, z)]!, inside: (x, y, z) => mask[at(x, y, z)] === 1 },
  };
}

describe('texture matrices', () => {
  it('equal the definitions, in space and in every slice', () => {
    for (let seed = 0; seed < 60; seed++) {
      const { grid, slow } = randomCase(seed);
      const slices: (number | null)[] = [null, ...Array.from({ length: slow.size[2] }, (_, z) => z)];
      for (const slice of slices) {
        const slab: Slab = slice === null ? { from: 0, to: slow.size[2] } : { from: slice, to: slice + 1 };
        const inSlice = slice !== null;
        for (const direction of inSlice ? IN_SLICE : IN_SPACE) {
          expect(cellsOf(coOccurrence(grid, direction, slab))).toEqual(slowGlcm(slow, direction, slice));
          expect(cellsOf(runLengths(grid, direction, slab))).toEqual(slowGlrlm(slow, direction, slice));
        }
        const { sizes, distances } = zones(grid, slab, inSlice);
        expect(cellsOf(sizes)).toEqual(slowZones(slow, 'size', slice));
        expect(cellsOf(distances)).toEqual(slowZones(slow, 'distance', slice));
        for (const alpha of [0, 1]) {
          const { tones, dependences } = neighbourhoods(grid, slab, inSlice, alpha);
          expect(cellsOf(dependences)).toEqual(slowNgldm(slow, slice, alpha));
          const want = slowNgtdm(slow, slice);
          const got = tonesOf(tones);
          expect(Object.keys(got)).toEqual(Object.keys(want));
          for (const [level, [n, s]] of Object.entries(want)) {
            expect(got[level]![0]).toBe(n);
            expect(got[level]![1]).toBeCloseTo(s, 10);
          }
        }
      }
    }
  });

  it('have one of each pair of opposite directions', () => {
    expect(IN_SLICE).toHaveLength(4);
    expect(IN_SPACE).toHaveLength(13);
    const both = IN_SPACE.flatMap((d) => [d.join(), d.map((part) => -part).join()]);
    expect(new Set(both.map((d) => d.replaceAll('-0', '0'))).size).toBe(26);
  });
});

const folder = radiomicsFolder();

describe.skipIf(folder === null)('the digital phantom’s texture matrices', () => {
  interface Published {
    readonly matrix: string;
    readonly direction?: readonly [number, number, number];
    readonly slice?: number;
    readonly entries: readonly (readonly [number, number, number])[];
  }
  const KINDS = [
    ['co-occurrence', 'glcm'],
    ['run length', 'glrlm'],
    ['size zone', 'glszm'],
    ['distance zone', 'gldzm'],
    ['tone difference', 'ngtdm'],
    ['dependence', 'ngldm'],
  ] as const;

  it('are all as published', () => {
    const image = readImage(folder!, 'ibsi1/digital_phantom/phantom.nii.gz');
    const roi = roiOf(readImage(folder!, 'ibsi1/digital_phantom/mask.nii.gz'));
    const levels = Int32Array.from(roi.indices, (at) => image.data[at]!);
    const grid = levelGrid(roi, roi, levels, 6);
    const published = (readJson(folder!, 'ibsi1/digital_phantom/texture_matrices.json') as { matrices: Published[] })
      .matrices;
    expect(published).toHaveLength(88);
    for (const { matrix, direction, slice, entries } of published) {
      const kind = KINDS.find(([words]) => matrix.includes(words))![1];
      const slab = slice == null ? { from: 0, to: 4 } : { from: slice - 1, to: slice };
      const inSlice = matrix.includes('2D');
      const directions: readonly Direction[] = direction ? [direction] : inSlice ? IN_SLICE : IN_SPACE;
      const build = { glcm: coOccurrence, glrlm: runLengths };
      if (kind === 'ngtdm') {
        const got = tonesOf(neighbourhoods(grid, slab, inSlice, 0).tones);
        // Columns are i, s, n; sums are published with three digits.
        for (const [i, s, n] of entries) {
          expect(got[i]![0]).toBe(n);
          expect(Math.abs(got[i]![1] - s)).toBeLessThan(0.005 * Math.max(1, s));
        }
        expect(Object.keys(got)).toHaveLength(entries.length);
        continue;
      }
      const counts =
        kind === 'glszm'
          ? zones(grid, slab, inSlice).sizes
          : kind === 'gldzm'
            ? zones(grid, slab, inSlice).distances
            : kind === 'ngldm'
              ? neighbourhoods(grid, slab, inSlice, 0).dependences
              : merged(
                  directions.map((d) => build[kind](grid, d, slab)),
                  6,
                );
      expect(cellsOf(counts), matrix).toEqual(Object.fromEntries(entries.map(([i, j, n]) => [`${i} ${j}`, n])));
    }
  });
});
