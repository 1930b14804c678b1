import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { LANDMARK_PERCENTILES } from '../../shared/imaging-learned.js';
import { seededRandom } from '../../shared/rng.js';
import { caseLandmarks, onScale, standardize } from '../../site-agent/imaging/nyul.js';
import type { Mask, Volume } from '../../site-agent/imaging/volume.js';
import { landmarksWithin } from '../../site-agent/radiomics/standard-image.js';

const GRID = { spacingMm: [1, 1, 1], origin: [0, 0, 0], direction: [1, 0, 0, 0, 1, 0, 0, 0, 1] } as const;
const imageOf = (values: readonly number[]): Volume<Float64Array> => ({
  ...GRID,
  size: [values.length, 1, 1],
  data: Float64Array.from(values),
});
const maskOf = (marks: readonly number[]): Mask => ({
  ...GRID,
  size: [marks.length, 1, 1],
  data: Uint8Array.from(marks),
});
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
};

const values = (seed: number, n = 400): number[] => {
  const random = seededRandom('nyul', seed);
  return Array.from({ length: n }, () => 200 + 60 * random.normal() + (random.uniform() < 0.3 ? 150 : 0));
};
/** Standard landmarks that are no stretching of anything, so that every piece has its own slope. */
const STANDARD = [0, 7, 11, 20, 26, 31, 45, 55, 60, 88, 100];

describe('landmarks of a case', () => {
  it('are percentiles, which is where the broken line through the ranks has them', () => {
    for (const seed of [1, 2, 3]) {
      const own = values(seed, 37 + seed);
      const sorted = [...own].sort((a, b) => a - b);
      const found = caseLandmarks(imageOf(own), maskOf(own.map(() => 1)));
      for (const [at, percent] of LANDMARK_PERCENTILES.entries()) {
        // Twin: bisection for the value below which the interpolated rank is the percentile.
        let [low, high] = [sorted[0]!, sorted.at(-1)!];
        for (let step = 0; step < 200; step++) {
          const middle = (low + high) / 2;
          const below = sorted.filter((value) => value <= middle).length - 1;
          const next = sorted[Math.min(below + 1, sorted.length - 1)]!;
          const rank = below + (next > sorted[below]! ? (middle - sorted[below]!) / (next - sorted[below]!) : 0);
          if (rank < ((sorted.length - 1) * percent) / 100) low = middle;
          else high = middle;
        }
        expect(found[at]).toBeCloseTo(high, 9);
      }
    }
  });

  it('are of the organ alone, or of what is brighter than the mean; what has no number is left aside', () => {
    const own = values(4);
    const outside = own.map((_, at) => (at % 3 === 0 ? 1 : 0));
    const dark = own.map((value, at) => (outside[at] === 1 ? -5000 : value));
    const organ = maskOf(outside.map((mark) => 1 - mark));
    const inside = own.filter((_, at) => outside[at] === 0);
    const expected = caseLandmarks(imageOf(inside), maskOf(inside.map(() => 1)));
    expect(landmarksWithin('organ', imageOf(dark), organ)).toEqual(expected);
    expect(landmarksWithin('foreground', imageOf(dark), null)).toEqual(expected);
    const holes = inside.concat([Number.NaN, Number.POSITIVE_INFINITY]);
    expect(caseLandmarks(imageOf(holes), maskOf(holes.map(() => 1)))).toEqual(expected);
  });

  it('do not exist in one intensity, in an empty organ, or where the organ is missing', () => {
    const flat = imageOf([5, 5, 5, 5]);
    expect(codeOf(() => caseLandmarks(flat, maskOf([1, 1, 1, 1])))).toBe('IMAGE_LANDMARKS_UNDEFINED');
    expect(codeOf(() => caseLandmarks(flat, null))).toBe('IMAGE_LANDMARKS_UNDEFINED');
    expect(codeOf(() => caseLandmarks(imageOf([1, 2, 3, 4]), maskOf([0, 0, 0, 0])))).toBe('IMAGE_LANDMARKS_UNDEFINED');
    expect(codeOf(() => landmarksWithin('organ', flat, null))).toBe('IMAGE_ORGAN_MISSING');
  });
});

describe('the standardized image', () => {
  it('has its landmarks where the standard has them, is linear in between and goes on beyond', () => {
    const own = values(5);
    const landmarks = caseLandmarks(imageOf(own), maskOf(own.map(() => 1)));
    expect([...standardize(imageOf(landmarks), landmarks, STANDARD).data]).toEqual(
      STANDARD.map((value) => expect.closeTo(value, 12)),
    );
    // Twin: the sum of hinges, one for each change of slope.
    const slope = (piece: number) =>
      (STANDARD[piece + 1]! - STANDARD[piece]!) / (landmarks[piece + 1]! - landmarks[piece]!);
    const twin = (value: number) => {
      let sum = STANDARD[0]! + slope(0) * (value - landmarks[0]!);
      for (let piece = 1; piece < landmarks.length - 1; piece++)
        sum += (slope(piece) - slope(piece - 1)) * Math.max(0, value - landmarks[piece]!);
      return sum;
    };
    const beyond = [...own, -900, 4000];
    const found = standardize(imageOf(beyond), landmarks, STANDARD).data;
    for (const [at, value] of beyond.entries()) expect(found[at]).toBeCloseTo(twin(value), 9);
    expect(found.at(-2)).toBeLessThan(0);
    expect(found.at(-1)).toBeGreaterThan(100);
  });

  it('is the same whatever gain and offset the scanner has', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 0.05, max: 40, noNaN: true }),
        fc.double({ min: -3000, max: 3000, noNaN: true }),
        fc.boolean(),
        (seed, gain, offset, inOrgan) => {
          const own = values(seed, 200);
          const organ = inOrgan ? maskOf(own.map((_, at) => (at % 5 === 0 ? 0 : 1))) : null;
          const standard = (of: readonly number[]) =>
            standardize(imageOf(of), caseLandmarks(imageOf(of), organ), STANDARD).data;
          const plain = standard(own);
          const other = standard(own.map((value) => gain * value + offset));
          for (const [at, value] of plain.entries()) expect(other[at]).toBeCloseTo(value, 6);
        },
      ),
      { numRuns: 60, seed: 7 },
    );
  });

  it('keeps the order of intensities, also where landmarks coincide', () => {
    const few = [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 9];
    const landmarks = caseLandmarks(imageOf(few), maskOf(few.map(() => 1)));
    expect(new Set(landmarks).size).toBeLessThan(landmarks.length);
    const found = [...standardize(imageOf([0, 1, 1.5, 2, 2.5, 3, 9, 12]), landmarks, STANDARD).data];
    for (const [at, value] of found.entries()) {
      expect(Number.isFinite(value)).toBe(true);
      if (at > 0) expect(value).toBeGreaterThan(found[at - 1]!);
    }
    // Landmarks of one intensity: the middle of their places.
    const tied = STANDARD.filter((_, at) => landmarks[at] === 1);
    expect(found[1]).toBeCloseTo(tied.reduce((sum, value) => sum + value, 0) / tied.length, 12);
  });
});

describe('landmarks on the standard scale', () => {
  it('begin and end at its ends, and keep their proportions', () => {
    const own = caseLandmarks(imageOf(values(6)), null);
    const placed = onScale(own, [10, 30]);
    expect([placed[0], placed.at(-1)]).toEqual([10, 30]);
    for (const [at, value] of placed.entries())
      expect((value - 10) / 20).toBeCloseTo((own[at]! - own[0]!) / (own.at(-1)! - own[0]!), 12);
  });
});
