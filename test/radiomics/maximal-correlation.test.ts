import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import {
  maximalCorrelation,
  secondByLanczos,
  secondOfAll,
} from '../../site-agent/radiomics/features/maximal-correlation.js';
import { topOfTridiagonal } from '../../site-agent/radiomics/features/tridiagonal.js';

interface Joint {
  readonly p: Float64Array;
  readonly px: Float64Array;
  readonly py: Float64Array;
  readonly n: number;
  readonly rows: Int32Array;
}

/** Probabilities from counts; with their transpose where pairs count both ways. */
function jointOf(n: number, count: (i: number, j: number) => number, symmetrical = true): Joint {
  const counts = Float64Array.from({ length: n * n }, (_, k) => count(Math.floor(k / n), k % n));
  const p = symmetrical ? counts.map((c, k) => c + counts[(k % n) * n + Math.floor(k / n)]!) : counts;
  const total = p.reduce((sum, c) => sum + c, 0);
  const px = new Float64Array(n);
  const py = new Float64Array(n);
  p.forEach((c, k) => {
    p[k] = c / total;
    px[Math.floor(k / n)]! += c / total;
    py[k % n]! += c / total;
  });
  return { p, px, py, n, rows: Int32Array.from(px.keys()).filter((i) => px[i] !== 0) };
}

/** Pairs of neighbouring levels, the nearer the more. */
function textured(n: number, seed: number, width: number): (i: number, j: number) => number {
  const random = seededRandom('joint', n, seed);
  return (i, j) => {
    const mean = 4000 * Math.exp(-((i - j) * (i - j)) / (2 * width * width) - ((i - n / 3) * (i - n / 3)) / (n * n));
    return Math.floor(mean * random.uniform());
  };
}

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.abs(b);

describe('the maximal correlation coefficient found by iteration is that of all eigenvalues', () => {
  it.each([
    [10, 1.5],
    [25, 2],
    [60, 8],
    [97, 30],
    [140, 4],
  ])('of %d levels that reach %d levels far', (n, width) => {
    for (const symmetrical of [true, false])
      for (let seed = 0; seed < 2; seed++) {
        const one = jointOf(n, textured(n, seed, width), symmetrical);
        const found = secondByLanczos(one.p, one.px, one.py, n, one.rows);
        const want = secondOfAll(one.p, one.px, one.py, n, one.rows);
        expect(want.im).toBe(0);
        expect(relative(found!, want.re)).toBeLessThan(1e-11);
      }
  });

  it('where levels do not occur, and others in one pair alone', () => {
    for (let seed = 0; seed < 6; seed++) {
      const random = seededRandom('rare', seed);
      const body = textured(40, seed, 5);
      const one = jointOf(48, (i, j) => {
        if (i % 7 === 3 || j % 7 === 3) return 0;
        if (i < 40 && j < 40) return 40 * body(i, j);
        return random.uniform() < 0.1 ? 1 : 0;
      });
      expect(one.rows.length).toBeLessThan(48);
      const want = secondOfAll(one.p, one.px, one.py, 48, one.rows);
      const found = maximalCorrelation(one.p, one.px, one.py, 48);
      expect(relative(found.re, want.re)).toBeLessThan(1e-9);
    }
  });

  it('where two groups of levels never meet: one, twice', () => {
    const body = textured(30, 1, 4);
    const one = jointOf(30, (i, j) => (i < 12 === j < 12 ? body(i, j) : 0));
    expect(maximalCorrelation(one.p, one.px, one.py, 30).re).toBeCloseTo(1, 9);
    expect(
      relative(maximalCorrelation(one.p, one.px, one.py, 30).re, secondOfAll(...argumentsOf(one)).re),
    ).toBeLessThan(1e-9);
  });

  it('where ε outweighs the probabilities of a few voxels, by all eigenvalues', () => {
    // One pair of two levels of its own among 10⁷: its eigenvalue would be 1, and ε makes it visibly less.
    const body = textured(20, 2, 3);
    const one = jointOf(22, (i, j) => (i < 20 && j < 20 ? 300 * body(i, j) : i === 20 && j === 21 ? 1 : 0));
    expect(secondByLanczos(...argumentsOf(one))).toBeNull();
    expect(maximalCorrelation(one.p, one.px, one.py, 22)).toEqual(secondOfAll(...argumentsOf(one)));
    expect(maximalCorrelation(one.p, one.px, one.py, 22).re).toBeLessThan(1 - 1e-5);
  });

  it('with independent levels, where the eigenvalue is nothing but rounding', () => {
    const one = jointOf(16, (i, j) => (i + 1) * (j + 1));
    expect(maximalCorrelation(one.p, one.px, one.py, 16)).toEqual(secondOfAll(...argumentsOf(one)));
  });
});

const argumentsOf = ({ p, px, py, n, rows }: Joint) => [p, px, py, n, rows] as const;

describe('the top of a tridiagonal matrix', () => {
  it('is that of the second difference, whose eigenvalues are known', () => {
    for (const n of [1, 2, 5, 40]) {
      const { first, second, vector } = topOfTridiagonal(new Array(n).fill(2), new Array(n).fill(-1), n);
      const known = (rank: number): number => 2 - 2 * Math.cos(((n + 1 - rank) * Math.PI) / (n + 1));
      expect(first).toBeCloseTo(known(1), 13);
      if (n > 1) expect(second).toBeCloseTo(known(2), 13);
      const sines = Float64Array.from({ length: n }, (_, k) => Math.sin((n * (k + 1) * Math.PI) / (n + 1)));
      const scale = Math.sqrt(sines.reduce((sum, value) => sum + value * value, 0)) * Math.sign(sines[0]! * vector[0]!);
      vector.forEach((value, k) => {
        expect(value).toBeCloseTo(sines[k]! / scale, 11);
      });
    }
  });
});
