import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { itkInverse } from '../../site-agent/imaging/itk-inverse.js';

/** Matrices of oblique grids (direction times spacing) and the inverses that ITK 5.4 takes positions to indices with. */
const FROM_ITK: readonly (readonly [number[], number[]])[] = [
  [
    [
      -0.6335630132193654, 0.1837737824866309, 0.3745058061332233, -0.2610534642346459, -1.3303600123985226,
      -0.6101391331859018, 0.1429999898303801, -1.6144254192379273, 0.5454132738828978,
    ],
    [
      -1.2929857412640111, -0.5327621719074408, 0.29183671393955135, 0.04167205952077803, -0.3016689370518193,
      -0.36608286150519903, 0.46235284707805346, -0.7532581891183974, 0.673349720843084,
    ],
  ],
  [
    [-0.07954847941807983, 0, -0.49363148139302393, 0, 0.9, 0, 0.49363148139302393, 0, -0.07954847941807983],
    [-0.3181939176723194, 0, 1.9745259255720957, 0, 1.1111111111111112, 0, -1.9745259255720957, 0, -0.3181939176723194],
  ],
  [
    [
      -0.16652642902067333, -2.954697759685088, 0.0880581228201594, 0.22070565602386677, -0.4314696675969923,
      -0.6838761180750299, 1.3724277619739034, -0.28912812878663763, 0.12066160172986848,
    ],
    [
      -0.08496246378605783, 0.11260492654278918, 0.7002182459050528, -0.32829975107612086, -0.047941074177443685,
      -0.032125347642959746, 0.17971045473501907, -1.3956655470918977, 0.24624816679564998,
    ],
  ],
];

const product = (a: readonly number[], b: readonly number[]): number[] =>
  Array.from({ length: 9 }, (_, k) =>
    [0, 1, 2].reduce((sum, i) => sum + a[3 * Math.floor(k / 3) + i]! * b[3 * i + (k % 3)]!, 0),
  );

describe('the inverse of a grid’s matrix', () => {
  it.each(FROM_ITK)('has ITK’s bits (%#)', (matrix, inverse) => {
    // Adding 0 makes 0 of −0, which is the same position.
    expect(itkInverse(matrix).map((entry) => entry + 0)).toEqual(inverse);
  });

  it('times the matrix is the identity', () => {
    const random = seededRandom('itk inverse', 3);
    for (let round = 0; round < 200; round++) {
      const matrix = Array.from({ length: 9 }, () => random.uniform() - 0.5);
      const [a, b, c, d, e, f, g, h, i] = matrix as [
        number,
        number,
        number,
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
      if (Math.abs(determinant) < 0.01) continue;
      for (const [k, entry] of product(matrix, itkInverse(matrix)).entries())
        expect(entry).toBeCloseTo(k % 4 === 0 ? 1 : 0, 10);
    }
  });

  it('of a matrix without one leaves the lost direction out', () => {
    expect(itkInverse([2, 0, 0, 0, 0, 0, 0, 0, 4]).map((entry) => entry + 0)).toEqual([0.5, 0, 0, 0, 0, 0, 0, 0, 0.25]);
    expect(itkInverse([0, 0, 0, 0, 0, 0, 0, 0, 0]).map((entry) => entry + 0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });
});
