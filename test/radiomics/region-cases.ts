import { seededRandom } from '../../shared/rng.js';
import { type Roi, roiOf } from '../../site-agent/imaging/roi.js';
import type { Vec3, Volume } from '../../site-agent/imaging/volume.js';
import { testGrid, testVolume } from '../support/images.js';
import type { Region } from '../twins/texture.js';

/** A small seeded region: the kinds that break texture code. */
export interface RegionCase {
  readonly name: string;
  readonly size: Vec3;
  readonly spacingMm: Vec3;
  readonly inside: (x: number, y: number, z: number) => boolean;
  readonly levelCount: number;
}

const ball = (c: Vec3, r: number) => (x: number, y: number, z: number) =>
  (x - c[0]) * (x - c[0]) + (y - c[1]) * (y - c[1]) + (z - c[2]) * (z - c[2]) <= r * r;

export const REGION_CASES: readonly RegionCase[] = [
  { name: 'ball', size: [9, 8, 7], spacingMm: [1, 1, 1], inside: ball([4, 4, 3], 3.2), levelCount: 5 },
  { name: 'few levels', size: [8, 8, 8], spacingMm: [0.7, 0.7, 3], inside: ball([3, 4, 4], 3.6), levelCount: 2 },
  { name: 'many levels', size: [9, 9, 9], spacingMm: [1, 2, 3], inside: ball([4, 4, 4], 4), levelCount: 400 },
  { name: 'one level', size: [6, 6, 6], spacingMm: [1, 1, 1], inside: ball([2, 3, 3], 2), levelCount: 1 },
  {
    name: 'holes',
    size: [9, 9, 6],
    spacingMm: [1, 1, 2],
    inside: (x, y, z) => x > 0 && y > 0 && (x * 3 + y * 5 + z * 7) % 6 !== 0,
    levelCount: 4,
  },
  {
    name: 'far apart',
    size: [12, 10, 8],
    spacingMm: [1, 1, 1],
    inside: (x, y, z) => (x < 3 && y < 3 && z < 2) || (x > 8 && y > 6 && z > 5),
    levelCount: 3,
  },
  {
    name: 'checkerboard',
    size: [7, 6, 5],
    spacingMm: [1, 1, 1],
    inside: (x, y, z) => (x + y + z) % 2 === 0,
    levelCount: 3,
  },
  {
    name: 'slice',
    size: [9, 8, 4],
    spacingMm: [0.9, 0.9, 5],
    inside: (x, y, z) => z === 2 && x > 1 && y < 7,
    levelCount: 6,
  },
  { name: 'sagittal plane', size: [5, 7, 8], spacingMm: [1, 1.5, 2], inside: (x) => x === 3, levelCount: 4 },
  {
    name: 'line',
    size: [9, 4, 4],
    spacingMm: [1, 1, 1],
    inside: (x, y, z) => y === 1 && z === 2 && x > 1,
    levelCount: 3,
  },
  {
    name: 'diagonal dots',
    size: [9, 9, 9],
    spacingMm: [1, 1, 1],
    inside: (x, y, z) => x === y && y === z && x % 3 === 0,
    levelCount: 2,
  },
  {
    name: 'two voxels',
    size: [6, 6, 6],
    spacingMm: [1, 2, 4],
    inside: (x, y, z) => y === 2 && z === 3 && (x === 2 || x === 3),
    levelCount: 9,
  },
];

/** The region with seeded levels from 1 to its level count. */
export function regionOf({ name, size, spacingMm, inside, levelCount }: RegionCase): {
  roi: Roi;
  levels: Int32Array;
  region: Region;
  mask: Volume<Uint8Array>;
} {
  const mask = testVolume(testGrid(size, { spacingMm }), Uint8Array, (x, y, z) => (inside(x, y, z) ? 1 : 0));
  const roi = roiOf(mask);
  const random = seededRandom('region', name);
  const levels = Int32Array.from(roi.indices, () => 1 + Math.floor(levelCount * random.uniform()));
  const by = new Map<string, number>();
  roi.indices.forEach((index, k) => {
    const [nx, ny] = size;
    by.set([index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))].join(','), levels[k]!);
  });
  return { roi, levels, region: { size, levels: by }, mask };
}
