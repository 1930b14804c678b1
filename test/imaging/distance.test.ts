import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { dilated, eroded, innerRim, ringOf, squaredDistances } from '../../site-agent/imaging/distance.js';
import type { Mask } from '../../site-agent/imaging/volume.js';

function randomMask(seed: number): Mask {
  const random = seededRandom('distance', seed);
  const size = [3 + random.integer(6), 1 + random.integer(7), 1 + random.integer(5)] as const;
  const data = new Uint8Array(size[0] * size[1] * size[2]);
  for (let i = 0; i < data.length; i++) data[i] = random.uniform() < 0.15 ? 1 : 0;
  return {
    size,
    spacingMm: [0.7, 0.7 + random.uniform(), 3],
    origin: [0, 0, 0],
    direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    data,
  };
}

/** Every voxel against every source, with no idea of an envelope. */
function slowDistance(mask: Mask, at: number, wanted: number): number {
  const [nx, ny] = mask.size;
  const place = (i: number) =>
    [i % nx, Math.floor(i / nx) % ny, Math.floor(i / (nx * ny))].map((index, axis) => index * mask.spacingMm[axis]!);
  const here = place(at);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < mask.data.length; i++) {
    if (mask.data[i] !== wanted) continue;
    const there = place(i);
    best = Math.min(best, Math.hypot(here[0]! - there[0]!, here[1]! - there[1]!, here[2]! - there[2]!));
  }
  return best;
}

describe('distances in millimetres', () => {
  it('equal the search over all pairs, also without a source and with other spacings', () => {
    for (let seed = 0; seed < 60; seed++) {
      const mask = randomMask(seed);
      const found = squaredDistances(mask, mask.data);
      for (let i = 0; i < found.length; i++) {
        const slow = slowDistance(mask, i, 1);
        if (slow === Number.POSITIVE_INFINITY) expect(found[i]).toBe(slow);
        else expect(Math.sqrt(found[i]!)).toBeCloseTo(slow, 10);
      }
    }
  });

  it('give rings, dilations and erosions that fit together, and an organ clips only what is new', () => {
    for (let seed = 100; seed < 140; seed++) {
      const mask = randomMask(seed);
      const organ = { ...mask, data: randomMask(seed).data.map((_, at) => (at % 3 === 0 ? 1 : 0)) };
      const ring = ringOf(mask, 2, organ);
      const grown = dilated(mask, 2, organ);
      const core = eroded(mask, 0.9);
      const rim = innerRim(mask, 0.9);
      for (let i = 0; i < mask.data.length; i++) {
        expect(ring.data[i]).toBe(mask.data[i] === 0 && slowDistance(mask, i, 1) <= 2 && organ.data[i] === 1 ? 1 : 0);
        expect(grown.data[i]).toBe(ring.data[i] === 1 || mask.data[i] === 1 ? 1 : 0);
        expect(core.data[i]).toBe(mask.data[i] === 1 && slowDistance(mask, i, 0) > 0.9 ? 1 : 0);
        expect(rim.data[i]! + core.data[i]!).toBe(mask.data[i]);
      }
    }
  });
});
