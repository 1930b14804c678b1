import { inverse, Matrix, solve } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import {
  cholesky,
  choleskyInverse,
  choleskySolve,
  packedIndex,
  packedSize,
  packSymmetric,
  unpackSymmetric,
} from '../../shared/linalg.js';
import { seededRandom } from '../../shared/rng.js';

function gram(n: number, p: number, seed: number, copyColumn?: [number, number]): Float64Array {
  const random = seededRandom('linalg test', seed);
  const x = Array.from({ length: n }, () => Array.from({ length: p }, () => random.normal()));
  if (copyColumn) for (const row of x) row[copyColumn[1]] = 2 * row[copyColumn[0]]! - row[0]!;
  const full = new Float64Array(p * p);
  for (let i = 0; i < p; i++)
    for (let j = 0; j < p; j++) full[i * p + j] = x.reduce((sum, row) => sum + row[i]! * row[j]!, 0);
  return full;
}

const toMatrix = (full: Float64Array, p: number) =>
  new Matrix(Array.from({ length: p }, (_, i) => [...full.subarray(i * p, i * p + p)]));

describe('linear algebra', () => {
  it('packs and unpacks the lower triangle row by row', () => {
    expect(packedSize(4)).toBe(10);
    expect(packedIndex(2, 1)).toBe(4);
    expect(packedIndex(1, 2)).toBe(4);
    const full = gram(9, 4, 1);
    expect(unpackSymmetric(packSymmetric(full, 4), 4)).toEqual(full);
  });

  it.each([1, 2, 3, 4, 5])('solves and inverts like ml-matrix (seed %i), packed or full', (seed) => {
    const p = 2 + seed;
    const full = gram(40, p, seed);
    const rhs = Float64Array.from({ length: p }, (_, i) => i - 1.5);
    const want = solve(toMatrix(full, p), Matrix.columnVector([...rhs])).to1DArray();
    const wantInverse = inverse(toMatrix(full, p)).to1DArray();
    const factor = cholesky(packSymmetric(full, p), p, 1e-12);
    expect(factor.rank).toBe(p);
    // Condition numbers here are below 50, so 1e-13 is a few hundred ulps.
    choleskySolve(factor, rhs).forEach((value, i) => {
      expect(Math.abs(value - want[i]!)).toBeLessThan(1e-13);
    });
    choleskyInverse(cholesky(full, p, 1e-12)).forEach((value, i) => {
      expect(Math.abs(value - wantInverse[i]!)).toBeLessThan(1e-13);
    });
  });

  it('names an aliased column and solves as if it were left out', () => {
    const p = 5;
    const full = gram(60, p, 9, [1, 3]);
    const factor = cholesky(full, p, 1e-12);
    expect([...factor.aliased]).toEqual([0, 0, 0, 1, 0]);
    expect(factor.rank).toBe(4);
    expect(factor.nonnegative).toBe(true);
    const keep = [0, 1, 2, 4];
    const small = Float64Array.from(keep.flatMap((i) => keep.map((j) => full[i * p + j]!)));
    const rhs = Float64Array.from([1, -2, 3, 7, 0.5]);
    const want = choleskySolve(
      cholesky(small, 4, 1e-12),
      Float64Array.from(keep, (i) => rhs[i]!),
    );
    const got = choleskySolve(factor, rhs);
    expect(got[3]).toBe(0);
    keep.forEach((i, at) => {
      expect(got[i]).toBe(want[at]);
    });
    expect([...choleskyInverse(factor)].filter((_, at) => at % p === 3 || Math.floor(at / p) === 3)).toEqual(
      Array(9).fill(0),
    );
  });

  it('sees a matrix that is no Gram matrix', () => {
    expect(cholesky(Float64Array.from([1, 2, 2, 1]), 2, 1e-12).nonnegative).toBe(false);
  });
});
