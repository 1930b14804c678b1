import { describe, expect, it } from 'vitest';
import { splineCoefficients } from '../../site-agent/imaging/bspline.js';
import { cropSamples, cropVolume, growBox } from '../../site-agent/imaging/crop.js';
import { type Interpolator, resampleVolume } from '../../site-agent/imaging/interpolate.js';
import { wholeBox } from '../../site-agent/imaging/lines.js';
import type { Grid, Vec3 } from '../../site-agent/imaging/volume.js';
import { deviation, patternVolume, type Quoted } from '../support/pattern.js';
import { readJson } from '../support/reference.js';

interface Case {
  readonly label: string;
  readonly pixel: 'int16' | 'uint8' | 'float32' | 'float64';
  readonly interpolator: Interpolator;
  readonly source: Grid;
  readonly target: Grid;
  readonly gives: Quoted;
}

const PIXELS = { int16: Int16Array, uint8: Uint8Array, float32: Float32Array, float64: Float64Array };
const { cases } = readJson('test/vectors/resampling.json') as { cases: Case[] };

/**
 * Against SimpleITK. Integer pixels are equal, float64 agrees to the rounding of positions.
 */
function tolerance({ pixel }: Case): number {
  if (pixel === 'int16' || pixel === 'uint8') return 0;
  return pixel === 'float32' ? 1.6e-5 : 2e-11;
}

describe('resampling', () => {
  it.each(cases.map((c) => [`${c.label}, ${c.interpolator}, ${c.pixel}`, c] as const))('%s', (_, c) => {
    const offset = c.pixel === 'uint8' ? 60 : 0;
    const volume = patternVolume<Int16Array | Uint8Array | Float32Array | Float64Array>(
      c.source.size,
      PIXELS[c.pixel],
      c.source,
      offset,
    );
    const resampled = resampleVolume(volume, c.target, c.interpolator);
    expect(resampled.data.constructor).toBe(PIXELS[c.pixel]);
    expect(resampled.size).toEqual(c.target.size);
    expect(deviation(resampled.data, c.gives)).toBeLessThanOrEqual(tolerance(c));
  });

  it('gives the voxels themselves on the same grid, and a constant everywhere inside', () => {
    const volume = patternVolume([9, 8, 7], Float64Array, { spacingMm: [0.7, 0.9, 2.5], origin: [3, -4, 5] });
    const flat = { ...volume, data: new Float64Array(volume.data.length).fill(-37.25) };
    const finer: Grid = { ...volume, size: [17, 15, 13], spacingMm: [0.35, 0.45, 1.25] };
    for (const interpolator of ['nearest', 'linear', 'cubic', 'bspline'] as const) {
      const same = resampleVolume(volume, volume, interpolator);
      expect(Math.max(...same.data.map((v, i) => Math.abs(v - volume.data[i]!)))).toBeLessThan(1e-10);
      const constant = resampleVolume(flat, finer, interpolator);
      expect(Math.max(...constant.data.map((v) => Math.abs(v + 37.25)))).toBeLessThan(1e-10);
    }
  });

  it('cubic convolution repeats a quadratic exactly away from the edge', () => {
    const size: Vec3 = [8, 8, 8];
    const volume = patternVolume(size, Float64Array);
    const quadratic = (x: number, y: number, z: number) => x * x - 2 * y * y + 3 * z + 0.5 * x - 1;
    for (let z = 0, i = 0; z < 8; z++)
      for (let y = 0; y < 8; y++) for (let x = 0; x < 8; x++, i++) volume.data[i] = quadratic(x, y, z);
    const target: Grid = { ...volume, size: [9, 9, 9], spacingMm: [0.5, 0.5, 0.5], origin: [1.25, 1.125, 1.75] };
    const got = resampleVolume(volume, target, 'cubic').data;
    for (let z = 0, i = 0; z < 9; z++)
      for (let y = 0; y < 9; y++)
        for (let x = 0; x < 9; x++, i++)
          expect(got[i]).toBeCloseTo(quadratic(1.25 + x / 2, 1.125 + y / 2, 1.75 + z / 2), 9);
  });

  it('puts the stated value outside and keeps fractions where another pixel type is asked', () => {
    const volume = patternVolume([4, 4, 4], Int16Array);
    const target: Grid = { ...volume, size: [3, 1, 1], origin: [2.25, 1, 1] };
    const got = resampleVolume(volume, target, 'linear', { outside: -999, pixelType: new Float64Array() });
    const at = (x: number) => volume.data[x + 4 * (1 + 4)]!;
    expect([...got.data]).toEqual([0.75 * at(2) + 0.25 * at(3), at(3), -999]);
  });

  it('a part of the image gives the bits of the whole', () => {
    const volume = patternVolume([150, 40, 30], Int16Array);
    const box = { lower: [70, 10, 5], upper: [80, 20, 12] } as const;
    const whole = splineCoefficients(volume.data, volume.size, wholeBox(volume.size));
    const part = splineCoefficients(volume.data, volume.size, box);
    expect(part.data).toEqual(cropSamples(whole.data, volume.size, box));
  });
});

describe('cropping', () => {
  it('keeps the voxels of a box where they were in space', () => {
    const volume = patternVolume([5, 4, 3], Int16Array, {
      spacingMm: [2, 3, 4],
      origin: [10, 20, 30],
      direction: [0, -1, 0, 1, 0, 0, 0, 0, 1],
    });
    const crop = cropVolume(volume, growBox({ lower: [2, 2, 1], upper: [3, 3, 1] }, 1, volume.size));
    expect(crop.size).toEqual([4, 3, 3]);
    expect(crop.origin).toEqual([7, 22, 30]);
    expect(crop.data[0]).toBe(volume.data[1 + 5]);
    expect(crop.data[crop.data.length - 1]).toBe(volume.data[volume.data.length - 1]);
  });
});
