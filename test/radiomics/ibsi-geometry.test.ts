import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { convexHull } from '../../site-agent/imaging/convex-hull.js';
import { roiOf, valuesIn } from '../../site-agent/imaging/roi.js';
import { volumeOf } from '../../site-agent/imaging/volume.js';
import { restored, transformed } from '../../site-agent/radiomics/filters/ibsi2/fourier.js';
import { goodLength, lineTransform } from '../../site-agent/radiomics/filters/ibsi2/lane-fft.js';
import { orientedBoundingBox } from '../../site-agent/radiomics/ibsi/bounding-box.js';
import { ellipsoidArea, minimumEllipsoid, type SemiAxes } from '../../site-agent/radiomics/ibsi/ellipsoid.js';
import { localIntensityFeatures } from '../../site-agent/radiomics/ibsi/local-intensity.js';
import { regionMesh } from '../../site-agent/radiomics/ibsi/mesh.js';
import { spatialAutocorrelation } from '../../site-agent/radiomics/ibsi/spatial.js';
import { testGrid, testVolume } from '../support/images.js';

type Point = readonly [number, number, number];

/** A rotation from three seeded angles, as rows. */
function rotation(seed: number): readonly [Point, Point, Point] {
  const random = seededRandom('ibsi rotation', seed);
  const [a, b, c] = [0, 1, 2].map(() => 2 * Math.PI * random.uniform()) as [number, number, number];
  const [ca, sa, cb, sb, cc, sc] = [a, b, c].flatMap((angle) => [Math.cos(angle), Math.sin(angle)]) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return [
    [ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc],
    [sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc],
    [-sb, cb * sc, cb * cc],
  ];
}
const turned = (p: Point, rows: readonly [Point, Point, Point]): number[] =>
  rows.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);

/** Hull corners of random lattice points, and its triangles by position among them. */
function randomBody(seed: number): { corners: Float64Array; triangles: Int32Array } {
  const random = seededRandom('ibsi body', seed);
  const points = Array.from({ length: 3 * (8 + random.integer(30)) }, () => random.integer(20));
  const hull = convexHull(points)!;
  const place = new Map(Array.from(hull.vertices, (vertex, k) => [vertex, k]));
  const corners = Float64Array.from(Array.from(hull.vertices).flatMap((v) => points.slice(3 * v, 3 * v + 3)));
  return { corners, triangles: hull.triangles.map((vertex) => place.get(vertex)!) };
}

describe('the oriented bounding box', () => {
  it('is a box itself, however it is turned', () => {
    const faces = [
      0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3,
    ];
    for (let seed = 0; seed < 20; seed++) {
      const rows = rotation(seed);
      const corners = Float64Array.from(
        [0, 1, 2, 3, 4, 5, 6, 7].flatMap((k) => turned([3 * (k & 1), 5 * ((k >> 1) & 1), 11 * (k >> 2)], rows)),
      );
      const box = orientedBoundingBox(corners, faces);
      [11, 5, 3].forEach((edge, k) => {
        expect(box.edgesMm[k]).toBeCloseTo(edge, 9);
      });
      expect(box.volumeMm3).toBeCloseTo(165, 7);
      expect(box.areaMm2).toBeCloseTo(2 * (33 + 15 + 55), 8);
    }
  });

  it('is never larger than the least of many boxes in random orientations, refined by small turns', () => {
    for (let seed = 0; seed < 12; seed++) {
      const { corners, triangles } = randomBody(seed);
      const found = orientedBoundingBox(corners, triangles).volumeMm3;
      let searched = Number.POSITIVE_INFINITY;
      for (let trial = 0; trial < 1500; trial++)
        searched = Math.min(searched, volumeAlong(corners, rotation(1000 * seed + trial)));
      expect(found).toBeLessThanOrEqual(searched * (1 + 1e-12));
      // A body fills at least a sixth of a box with a face on each side of it, or the box is not a bounding one.
      expect(found).toBeGreaterThan(hullVolume(corners, triangles));
    }
  });
});

function volumeAlong(corners: Float64Array, rows: readonly [Point, Point, Point]): number {
  return rows.reduce((product, row) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let k = 0; k < corners.length; k += 3) {
      const at = row[0] * corners[k]! + row[1] * corners[k + 1]! + row[2] * corners[k + 2]!;
      low = Math.min(low, at);
      high = Math.max(high, at);
    }
    return product * (high - low);
  }, 1);
}

function hullVolume(corners: Float64Array, triangles: Int32Array): number {
  let volume = 0;
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [0, 1, 2].map((m) => corners.subarray(3 * triangles[t + m]!, 3 * triangles[t + m]! + 3)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    volume +=
      (a[0]! * (b[1]! * c[2]! - b[2]! * c[1]!) +
        a[1]! * (b[2]! * c[0]! - b[0]! * c[2]!) +
        a[2]! * (b[0]! * c[1]! - b[1]! * c[0]!)) /
      6;
  }
  return volume;
}

describe('the minimum volume enclosing ellipsoid', () => {
  it('holds every point and carries a certificate that none is smaller', () => {
    for (let seed = 0; seed < 25; seed++) {
      const { corners } = randomBody(seed);
      const { centre, shape, weights } = minimumEllipsoid(corners);
      const distances = Array.from({ length: corners.length / 3 }, (_, i) => {
        const x = [0, 1, 2].map((k) => corners[3 * i + k]! - centre[k]!);
        return [0, 1, 2].reduce(
          (sum, r) => sum + [0, 1, 2].reduce((s, c) => s + x[r]! * shape[3 * r + c]! * x[c]!, 0),
          0,
        );
      });
      expect(Math.max(...distances)).toBeLessThanOrEqual(1 + 1e-9);
      // John's conditions: weights add up to 1, lie on touching points only, balance about the centre and give back the shape.
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
      weights.forEach((weight, i) => {
        if (weight > 1e-5) expect(distances[i]).toBeGreaterThan(1 - 1e-5);
      });
      const scatter = [0, 0, 0, 0, 0, 0, 0, 0, 0];
      weights.forEach((weight, i) => {
        for (let r = 0; r < 3; r++)
          for (let c = 0; c < 3; c++)
            scatter[3 * r + c]! += 3 * weight * (corners[3 * i + r]! - centre[r]!) * (corners[3 * i + c]! - centre[c]!);
      });
      for (let r = 0; r < 3; r++)
        for (let c = 0; c < 3; c++) {
          const product = [0, 1, 2].reduce((sum, k) => sum + scatter[3 * r + k]! * shape[3 * k + c]!, 0);
          expect(Math.abs(product - (r === c ? 1 : 0))).toBeLessThan(1e-5);
        }
    }
  });

  it('of the corners of a turned box is the box’s half-edges times √3', () => {
    const corners = Float64Array.from(
      [0, 1, 2, 3, 4, 5, 6, 7].flatMap((k) => turned([2 * (k & 1), 4 * ((k >> 1) & 1), 10 * (k >> 2)], rotation(7))),
    );
    const { semiAxes } = minimumEllipsoid(corners);
    [5, 2, 1].forEach((half, k) => {
      expect(semiAxes[k]).toBeCloseTo(half * Math.sqrt(3), 6);
    });
  });

  it('has the area of IBSI’s series, here with Legendre polynomials from their own definition', () => {
    expect(ellipsoidArea([3, 3, 3])).toBeCloseTo(36 * Math.PI, 10);
    /** P_n(x) = 2^−n Σ_k C(n, k)² (x − 1)^(n−k) (x + 1)^k. */
    const legendre = (n: number, x: number): number => {
      let [sum, choose] = [0, 1];
      for (let k = 0; k <= n; k++) {
        let term = choose * choose;
        for (let m = 0; m < n; m++) term *= (m < k ? x + 1 : x - 1) / 2;
        sum += term;
        choose = (choose * (n - k)) / (k + 1);
      }
      return sum;
    };
    for (const [a, b, c] of [
      [5, 4, 3],
      [5.7, 4.65, 4.27],
      [6, 5.5, 5],
    ] as const) {
      const [alpha, beta] = [Math.sqrt(1 - (b * b) / (a * a)), Math.sqrt(1 - (c * c) / (a * a))];
      let [sum, power] = [0, 1];
      for (let nu = 0; nu <= 20; nu++, power *= alpha * beta)
        sum += (power / (1 - 4 * nu * nu)) * legendre(nu, (alpha * alpha + beta * beta) / (2 * alpha * beta));
      expect(Math.abs(ellipsoidArea([a, b, c]) / (4 * Math.PI * a * b * sum) - 1)).toBeLessThan(1e-12);
    }
    // MIRP 2.7.0: semi-axes of half these lengths give the density 0.2499735304080902 with this mesh area; the whole series 0.2556.
    const long = [75.36822750397238, 2.6147320261101266, 1.7107871505327028].map((axis) => axis / 2);
    expect(79.3996471120096 / ellipsoidArea(long as unknown as SemiAxes)).toBeCloseTo(0.2499735304080902, 12);
    // A spheroid is the limit of ellipsoids near it, from either side.
    for (const [a, b, c] of [
      [5, 2, 2],
      [5, 5, 2],
    ] as const)
      expect(ellipsoidArea([a, b, c])).toBeCloseTo(ellipsoidArea([a, b * (1 - 1e-9), c * (1 - 2e-9)]), 5);
  });
});

describe('the region’s mesh', () => {
  it('is closed: its signed volume is the same from any origin', () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom('ibsi mesh', seed);
      const grid = testGrid([14, 9, 8], { spacingMm: [1, 2, 3] });
      const drawn = testVolume(grid, Uint8Array, (x, y, z) =>
        x > 6 && y > 3 && z > 2 && random.uniform() < 0.5 ? 1 : 0,
      );
      const alone = regionMesh(roiOf(drawn));
      // A voxel far off moves the box, and with it the origin that volumes are counted from.
      const both = regionMesh(
        roiOf(
          volumeOf(
            grid,
            drawn.data.map((value, k) => (k === 0 ? 1 : value)),
          ),
        ),
      );
      expect(both.volumeMm3).toBeCloseTo(alone.volumeMm3 + 1, 9);
      expect(both.areaMm2).toBeGreaterThan(alone.areaMm2);
    }
  });

  it('cuts corners and edges half-way: one voxel, a block, two voxels that touch at an edge', () => {
    const mesh = (size: Point, inside: (x: number, y: number, z: number) => boolean) =>
      regionMesh(roiOf(testVolume(testGrid(size), Uint8Array, (x, y, z) => (inside(x, y, z) ? 1 : 0))));
    const one = mesh([3, 3, 3], (x, y, z) => x === 1 && y === 1 && z === 1);
    expect(one.volumeMm3).toBeCloseTo(1 / 6, 12);
    expect(one.areaMm2).toBeCloseTo(Math.sqrt(3), 12);
    // 8 cubes with a corner inside, 12 with an edge, 6 with a face, 1 with all of it.
    const block = mesh([2, 2, 2], () => true);
    expect(block.volumeMm3).toBeCloseTo(8 / 48 + 12 / 8 + 6 / 2 + 1, 12);
    expect(block.areaMm2).toBeCloseTo(Math.sqrt(3) + 12 * Math.SQRT1_2 + 6, 12);
    // Joined across the edge they share: more than two octahedra.
    const pair = mesh([2, 2, 1], (x, y) => x === y);
    expect(pair.volumeMm3).toBeGreaterThan(2 / 6 + 0.01);
  });
});

describe('Moran’s I and Geary’s C', () => {
  it('equal the sums over all pairs of voxels, on grids with any spacing and holes', () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom('ibsi spatial', seed);
      const size = [1 + random.integer(6), 2 + random.integer(5), 1 + random.integer(4)] as const;
      const grid = testGrid(size, { spacingMm: [0.5 + random.uniform(), 1, 3 * random.uniform() + 0.1] });
      const image = testVolume(grid, Float64Array, () => 100 * random.uniform() - 1000);
      const roi = roiOf(testVolume(grid, Uint8Array, () => (random.uniform() < 0.7 ? 1 : 0)));
      const values = valuesIn(image, roi);
      const found = spatialAutocorrelation(roi, values);
      if (values.length < 2) {
        expect(found).toBeNull();
        continue;
      }
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const place = (k: number): number[] => {
        const index = roi.indices[k]!;
        const at = [index % size[0], Math.floor(index / size[0]) % size[1], Math.floor(index / size[0] / size[1])];
        return at.map((voxel, axis) => voxel * grid.spacingMm[axis]!);
      };
      let [weights, products, differences, squares] = [0, 0, 0, 0];
      values.forEach((a, i) => {
        squares += (a - mean) * (a - mean);
        values.forEach((b, j) => {
          if (i === j) return;
          const [p, q] = [place(i), place(j)];
          const w = 1 / Math.hypot(p[0]! - q[0]!, p[1]! - q[1]!, p[2]! - q[2]!);
          weights += w;
          products += w * (a - mean) * (b - mean);
          differences += w * (a - b) * (a - b);
        });
      });
      const n = values.length;
      expect(found!.moran).toBeCloseTo((n / weights) * (products / squares), 9);
      expect(found!.geary).toBeCloseTo(((n - 1) / (2 * weights)) * (differences / squares), 9);
    }
  });

  it('stand on a transform that equals its definition at every length it takes', () => {
    for (const length of [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 25, 27, 30, 32, 60, 64]) {
      const random = seededRandom('ibsi fft', length);
      const re = Float64Array.from({ length }, () => random.uniform() - 0.5);
      const im = Float64Array.from({ length }, () => random.uniform() - 0.5);
      const [gotRe, gotIm] = [re.slice(), im.slice()];
      lineTransform(length).transform(gotRe, gotIm, 1);
      for (let k = 0; k < length; k++) {
        let [wantRe, wantIm] = [0, 0];
        for (let m = 0; m < length; m++) {
          const angle = (-2 * Math.PI * k * m) / length;
          wantRe += re[m]! * Math.cos(angle) - im[m]! * Math.sin(angle);
          wantIm += re[m]! * Math.sin(angle) + im[m]! * Math.cos(angle);
        }
        expect(gotRe[k]).toBeCloseTo(wantRe, 10);
        expect(gotIm[k]).toBeCloseTo(wantIm, 10);
      }
    }
    expect([7, 11, 13, 17, 31, 61].map(goodLength)).toEqual([8, 12, 15, 18, 32, 64]);
    // There and back in space gives the grid times its size, also where lines that hold zeros or are not wanted are left out.
    const size = [6, 5, 4] as const;
    const filled = [4, 3, 2] as const;
    const random = seededRandom('ibsi fft', 3);
    const inside = (k: number): boolean => k % 6 < 4 && Math.floor(k / 6) % 5 < 3 && k < 60;
    const re = Float64Array.from({ length: 120 }, (_, k) => (inside(k) ? random.uniform() : 0));
    const [a, b] = [re.slice(), new Float64Array(120)];
    transformed(a, b, size, filled);
    const [wholeRe, wholeIm] = [re.slice(), new Float64Array(120)];
    transformed(wholeRe, wholeIm, size);
    expect(a).toEqual(wholeRe);
    expect(b).toEqual(wholeIm);
    restored(a, b, size, { lower: [0, 0, 0], upper: filled });
    a.forEach((value, k) => {
      if (inside(k)) expect(value / 120).toBeCloseTo(re[k]!, 12);
    });
  });
});

describe('local intensity peaks', () => {
  it('equal the means over all voxels within the sphere, looked for one by one', () => {
    for (let seed = 0; seed < 8; seed++) {
      const random = seededRandom('ibsi peak', seed);
      const spacingMm = [1 + 3 * random.uniform(), 2 + random.uniform(), 1 + 5 * random.uniform()] as const;
      const grid = testGrid([9, 8, 7], { spacingMm });
      const image = testVolume(grid, Float64Array, () => random.integer(6));
      const roi = roiOf(testVolume(grid, Uint8Array, () => (random.uniform() < 0.3 ? 1 : 0)));
      const radius = Math.cbrt(1000 / ((4 / 3) * Math.PI));
      let [global, local] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
      const highest = Math.max(...valuesIn(image, roi));
      const place = (k: number): number[] =>
        [k % 9, Math.floor(k / 9) % 8, Math.floor(k / 72)].map((voxel, axis) => voxel * spacingMm[axis]!);
      for (const index of roi.indices) {
        const near = Array.from(image.data.keys()).filter((k) => {
          const [p, q] = [place(index), place(k)];
          return Math.hypot(p[0]! - q[0]!, p[1]! - q[1]!, p[2]! - q[2]!) <= radius;
        });
        const mean = near.reduce((sum, k) => sum + image.data[k]!, 0) / near.length;
        global = Math.max(global, mean);
        if (image.data[index] === highest) local = Math.max(local, mean);
      }
      const features = localIntensityFeatures(image, roi);
      expect(features.get('loc_peak_glob')!.value).toBeCloseTo(global, 10);
      expect(features.get('loc_peak_loc')!.value).toBeCloseTo(local, 10);
    }
  });
});
