import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import type { Direction } from '../../site-agent/radiomics/features/neighbourhood.js';
import { directionalFeatures, undirectedFeatures } from '../../site-agent/radiomics/ibsi/aggregate.js';
import { countsOf } from '../../site-agent/radiomics/ibsi/counts.js';
import { emphasisFeatures } from '../../site-agent/radiomics/ibsi/emphasis.js';
import { glcmFeatures } from '../../site-agent/radiomics/ibsi/glcm.js';
import {
  coOccurrence,
  dependences,
  IN_SLICE,
  IN_SPACE,
  runLengths,
  toneDifferences,
  zones,
} from '../../site-agent/radiomics/ibsi/matrices.js';
import { type RegionLevels, regionLevels } from '../../site-agent/radiomics/ibsi/region-levels.js';
import { cellsOf, levelsOf, type PublishedMatrix, publishedMatrix, tonesOf } from '../support/ibsi.js';
import { radiomicsFolder, readImage } from '../support/images.js';
import { readJson } from '../support/reference.js';
import {
  type SlowMatrix,
  type SlowVolume,
  slowGlcm,
  slowGlrlm,
  slowNgldm,
  slowNgtdm,
  slowZones,
} from '../twins/ibsi-matrices.js';

interface Case {
  readonly region: RegionLevels;
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
    region: levelsOf(size, levels, mask),
    slow: { size, level: (x, y, z) => levels[at(x, y, z)]!, inside: (x, y, z) => mask[at(x, y, z)] === 1 },
  };
}

/** Cells of a sum of matrices, ascending, and the sum over them. */
function sumOf(matrices: readonly SlowMatrix[]): { cells: [number, number, number][]; total: number } {
  const cells = new Map<string, number>();
  for (const matrix of matrices)
    for (const [cell, n] of Object.entries(matrix)) cells.set(cell, (cells.get(cell) ?? 0) + n);
  return {
    cells: [...cells]
      .map(([cell, n]) => [...cell.split(' ').map(Number), n] as [number, number, number])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]),
    total: [...cells.values()].reduce((sum, n) => sum + n, 0),
  };
}

function hasLevels({ size, level }: SlowVolume, z: number): boolean {
  for (let y = 0; y < size[1]; y++) for (let x = 0; x < size[0]; x++) if (level(x, y, z) > 0) return true;
  return false;
}

describe('texture matrices', () => {
  it('equal the definitions, in space and in every slice', () => {
    for (let seed = 0; seed < 60; seed++) {
      const { region, slow } = randomCase(seed);
      const present = Array.from({ length: slow.size[2] }, (_, z) => z).filter((z) => hasLevels(slow, z));
      expect(region.slices).toHaveLength(present.length);
      const parts = [
        { part: region.whole, slice: null, directions: IN_SPACE },
        ...region.slices.map((part, k) => ({ part, slice: present[k]!, directions: IN_SLICE })),
      ];
      for (const { part, slice, directions } of parts) {
        for (const direction of directions) {
          expect(cellsOf(coOccurrence(part, direction))).toEqual(slowGlcm(slow, direction, slice));
          expect(cellsOf(runLengths(part, direction))).toEqual(slowGlrlm(slow, direction, slice));
        }
        const { sizes, distances } = zones(part, directions);
        expect(cellsOf(sizes)).toEqual(slowZones(slow, 'size', slice));
        expect(cellsOf(distances)).toEqual(slowZones(slow, 'distance', slice));
        for (const alpha of [0, 1])
          expect(cellsOf(dependences(part, directions, alpha))).toEqual(slowNgldm(slow, slice, alpha));
        const want = slowNgtdm(slow, slice);
        const got = tonesOf(toneDifferences(part, directions));
        expect(Object.keys(got)).toEqual(Object.keys(want));
        for (const [level, [n, s]] of Object.entries(want)) {
          expect(got[level]![0]).toBe(n);
          expect(got[level]![1]).toBeCloseTo(s, 10);
        }
      }
    }
  });

  it('are summed and their features averaged over slices and directions as each aggregation says', () => {
    for (let seed = 100; seed < 112; seed++) {
      const { region, slow } = randomCase(seed);
      const slices = Array.from({ length: slow.size[2] }, (_, z) => z).filter((z) => hasLevels(slow, z));
      const voxels = (slice: number | null): number => sumOf([slowNgldm(slow, slice, 0)]).total;
      /** Features of the sum of matrices, each with the voxels it was made from. */
      type One = readonly [SlowMatrix, number];
      const pooled = (prefix: string, groups: readonly (readonly One[])[]): Map<string, number> => {
        const all = groups.map((group) => {
          const { cells } = sumOf(group.map(([matrix]) => matrix));
          const counts = countsOf(
            group.reduce((n, [, more]) => n + more, 0),
            (add) => {
              for (const [i, j, n] of cells) add(i, j, n);
            },
          );
          return prefix === 'cm' ? glcmFeatures(counts, region.levelCount) : emphasisFeatures(prefix as 'rlm', counts);
        });
        const names = [...(all.find((one) => one !== null)?.keys() ?? [])];
        return new Map(
          names.map((name) => {
            const values = all.map((one) => one?.get(name)).filter((one) => typeof one === 'number');
            return [name, values.reduce((a, b) => a + b, 0) / values.length];
          }),
        );
      };
      const expectSame = (got: FeatureSet, prefix: string, end: string, want: Map<string, number>): void => {
        for (const [name, value] of want) {
          const one = got.get(`${prefix}_${name}_${end}`)!.value;
          if (Number.isNaN(value)) expect(one).toBeNull();
          else expect(one, `${prefix}_${name}_${end}`).toBeCloseTo(value, 8);
        }
      };
      for (const [prefix, build] of [
        ['cm', slowGlcm],
        ['rlm', slowGlrlm],
      ] as const) {
        const one = (direction: Direction, slice: number | null): One => [build(slow, direction, slice), voxels(slice)];
        const [flat, thin, full] = (['2D', '2.5D', '3D'] as const).map((d) => directionalFeatures(prefix, region, d));
        const inSlices = slices.flatMap((z) => IN_SLICE.map((d) => [one(d, z)]));
        expectSame(flat!, prefix, '2D_avg', pooled(prefix, inSlices));
        expectSame(
          flat!,
          prefix,
          '2D_comb',
          pooled(
            prefix,
            slices.map((z) => IN_SLICE.map((d) => one(d, z))),
          ),
        );
        expectSame(
          thin!,
          prefix,
          '2_5D_avg',
          pooled(
            prefix,
            IN_SLICE.map((d) => slices.map((z) => one(d, z))),
          ),
        );
        expectSame(thin!, prefix, '2_5D_comb', pooled(prefix, [inSlices.flat()]));
        expectSame(
          full!,
          prefix,
          '3D_avg',
          pooled(
            prefix,
            IN_SPACE.map((d) => [one(d, null)]),
          ),
        );
        expectSame(full!, prefix, '3D_comb', pooled(prefix, [IN_SPACE.map((d) => one(d, null))]));
      }
      for (const [prefix, build] of [
        ['szm', (slice: number | null) => slowZones(slow, 'size', slice)],
        ['dzm', (slice: number | null) => slowZones(slow, 'distance', slice)],
        ['ngl', (slice: number | null) => slowNgldm(slow, slice, 0)],
      ] as const) {
        const one = (slice: number | null): One => [build(slice), voxels(slice)];
        const features = (d: '2D' | '2.5D' | '3D') => undirectedFeatures(new Set([prefix]), region, d, 0);
        expectSame(
          features('2D'),
          prefix,
          '2D',
          pooled(
            prefix,
            slices.map((z) => [one(z)]),
          ),
        );
        expectSame(features('2.5D'), prefix, '2_5D', pooled(prefix, [slices.map(one)]));
        expectSame(features('3D'), prefix, '3D', pooled(prefix, [[one(null)]]));
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
  it('are all as published', () => {
    const image = readImage(folder!, 'ibsi1/digital_phantom/phantom.nii.gz');
    const roi = roiOf(readImage(folder!, 'ibsi1/digital_phantom/mask.nii.gz'));
    const region = regionLevels(
      roi,
      roi,
      Int32Array.from(roi.indices, (at) => image.data[at]!),
      6,
    );
    const { matrices } = readJson(folder!, 'ibsi1/digital_phantom/texture_matrices.json') as {
      matrices: PublishedMatrix[];
    };
    expect(matrices).toHaveLength(88);
    for (const published of matrices) {
      const { want, got, tolerance } = publishedMatrix(published, region);
      expect([...got.keys()].sort(), published.matrix).toEqual([...want.keys()].sort());
      for (const [cell, value] of want)
        expect(Math.abs(got.get(cell)! - value), `${published.matrix}, ${cell}`).toBeLessThanOrEqual(
          tolerance * (1 + value),
        );
    }
  });
});
