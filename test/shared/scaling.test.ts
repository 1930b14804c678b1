import { describe, expect, it } from 'vitest';
import { powerOfTwo } from '../../shared/fixed-point.js';
import { seededRandom } from '../../shared/rng.js';
import {
  agreedExponents,
  binaryExponent,
  CompensatedSum,
  EXPONENT_BINS,
  EXPONENT_STEP,
  exponentBin,
  markExponent,
} from '../../shared/scaling.js';

describe('power-of-two scaling', () => {
  it('makes exact powers of two', () => {
    for (const exponent of [-1022, -64, -1, 0, 1, 40, 127, 1023]) {
      expect(Math.log2(powerOfTwo(exponent))).toBe(exponent);
      expect(powerOfTwo(exponent)).toBe(2 ** exponent);
    }
    expect(() => powerOfTwo(1024)).toThrow();
  });

  it('finds the smallest exponent above a value, by a comparison of its own', () => {
    const random = seededRandom('exponents');
    for (let trial = 0; trial < 2000; trial++) {
      const value = random.normal() * 10 ** (random.integer(25) - 12);
      const exponent = binaryExponent(value);
      expect(Math.abs(value)).toBeLessThan(powerOfTwo(exponent));
      expect(Math.abs(value)).toBeGreaterThanOrEqual(powerOfTwo(exponent - 1));
    }
    expect(binaryExponent(1)).toBe(1);
    expect(binaryExponent(-0.5)).toBe(0);
  });

  it.each([1e-12, 1e-6, 1, 7.25, 1e6, 1e12])('scales values of order %d to below 1 and at least 1/16', (size) => {
    const histogram = new Float64Array(3 * EXPONENT_BINS);
    for (const share of [1, 0.1, 0.01]) markExponent(histogram, 1, size * share, 'f001');
    const exponents = agreedExponents(histogram);
    const scaled = size * powerOfTwo(-exponents[1]!);
    expect(scaled).toBeLessThan(1);
    expect(scaled).toBeGreaterThanOrEqual(2 ** -EXPONENT_STEP);
    // Exact: scaling back returns the same double.
    expect(scaled * powerOfTwo(exponents[1]!)).toBe(size);
    // A column that nobody observed stays unscaled.
    expect([exponents[0], exponents[2]]).toEqual([0, 0]);
  });

  it('puts zero and tiny values into the first bin and refuses 2^128', () => {
    expect(exponentBin(0, 'f')).toBe(0);
    expect(exponentBin(1e-30, 'f')).toBe(0);
    expect(exponentBin(3e38, 'f')).toBe(EXPONENT_BINS - 1);
    expect(() => exponentBin(3.5e38, 'f')).toThrow(/column "f"/);
    expect(() => exponentBin(Number.POSITIVE_INFINITY, 'f')).toThrow(/column "f"/);
    expect(() => exponentBin(Number.NaN, 'f')).toThrow(/column "f"/);
    expect(() => exponentBin(3.5e38, 'f')).toThrow(expect.objectContaining({ code: 'COHORT_VALUE_OUT_OF_RANGE' }));
  });

  it('sums a constant column without drift, where a plain sum drifts', () => {
    const total = new CompensatedSum();
    let plain = 0;
    for (let i = 0; i < 100_000; i++) {
      total.add(0.1);
      plain += 0.1;
    }
    expect(total.value / 100_000).toBe(0.1);
    expect(plain / 100_000).not.toBe(0.1);
  });
});
