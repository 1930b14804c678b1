import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import type { Mask, Volume } from '../../site-agent/imaging/volume.js';
import { habitatMask, lesionPoints, sampled } from '../../site-agent/radiomics/habitats.js';

const SIZE = [9, 8, 7] as const;
const GRID = {
  size: SIZE,
  spacingMm: [0.8, 1, 2.5],
  origin: [0, 0, 0],
  direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
} as const;
const SCALE = { range: [50, 150] as [number, number], radiusMm: 2.6, bins: 8 };

function lesion(seed: number, share = 0.7): { image: Volume<Float64Array>; mask: Mask } {
  const random = seededRandom('entropy', seed);
  const n = SIZE[0] * SIZE[1] * SIZE[2];
  const image = { ...GRID, data: Float64Array.from({ length: n }, () => 100 + 40 * random.normal()) };
  return { image, mask: { ...GRID, data: Uint8Array.from({ length: n }, () => Number(random.uniform() < share)) } };
}

describe('intensity and local entropy', () => {
  it.each([1, 2, 3])('are those of the definition, voxel by voxel (%i)', (seed) => {
    const { image, mask } = lesion(seed, seed === 1 ? 1 : 0.6);
    const { indices, points } = lesionPoints(image, mask, SCALE);
    const place = (at: number) => [
      at % SIZE[0],
      Math.floor(at / SIZE[0]) % SIZE[1],
      Math.floor(at / (SIZE[0] * SIZE[1])),
    ];
    const own = [...mask.data.keys()].filter((at) => mask.data[at] === 1);
    expect([...indices]).toEqual(own);
    const binOf = (at: number) => Math.min(7, Math.floor((Math.min(150, Math.max(50, image.data[at]!)) - 50) / 12.5));
    for (const [k, at] of own.entries()) {
      const near = own.filter((other) => {
        const d = place(at).map((p, axis) => (p - place(other)[axis]!) * GRID.spacingMm[axis]!);
        return d[0]! * d[0]! + d[1]! * d[1]! + d[2]! * d[2]! <= SCALE.radiusMm * SCALE.radiusMm + 1e-9;
      });
      let bits = 0;
      for (let bin = 0; bin < 8; bin++) {
        const p = near.filter((other) => binOf(other) === bin).length / near.length;
        if (p > 0) bits -= p * Math.log2(p);
      }
      expect(points[2 * k + 1]).toBeCloseTo(bits / 3, 10);
      expect(points[2 * k]).toBeCloseTo((Math.min(150, Math.max(50, image.data[at]!)) - 50) / 100, 12);
    }
  });

  it('leave voxels without an intensity aside, and sample evenly without chance', () => {
    const { image, mask } = lesion(4);
    image.data[mask.data.indexOf(1)] = Number.NaN;
    const found = lesionPoints(image, mask, SCALE);
    expect(found.indices.length).toBe(mask.data.reduce((sum, value) => sum + value, 0) - 1);
    expect(found.points.every(Number.isFinite)).toBe(true);
    expect(sampled(found, 10_000)).toEqual([...found.points]);
    const ten = sampled(found, 10);
    expect(ten).toHaveLength(20);
    expect(sampled(found, 10)).toEqual(ten);
  });
});

describe('habitats of a lesion', () => {
  it('divide it: every voxel is in the one whose centroid is nearest', () => {
    const { image, mask } = lesion(5);
    const map = {
      ...SCALE,
      centroids: [
        [70, 1.5],
        [100, 2],
        [130, 1],
      ],
    };
    const parts = [1, 2, 3].map((habitat) => habitatMask(image, mask, map, habitat).data);
    for (const [at, inside] of mask.data.entries())
      expect(parts.reduce((sum, part) => sum + part[at]!, 0)).toBe(inside);
    const { indices, points } = lesionPoints(image, mask, SCALE);
    for (const [k, at] of indices.entries()) {
      const far = map.centroids.map(([i, e]) =>
        Math.hypot(points[2 * k]! - (i! - 50) / 100, points[2 * k + 1]! - e! / 3),
      );
      expect(parts[far.indexOf(Math.min(...far))]![at]).toBe(1);
    }
    expect(parts.every((part) => part.includes(1))).toBe(true);
  });
});
