import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { maskAgreement } from '../../site-agent/imaging/mask-agreement.js';
import { type Mask, physicalPoint, type Vec3 } from '../../site-agent/imaging/volume.js';
import { testGrid, testVolume } from '../support/images.js';

const SPACING: Vec3 = [0.75, 1.25, 2.5];

/** Inside an ellipsoid by whole numbers alone, so that any language draws the same. */
const inEllipsoid =
  ([cx, cy, cz]: Vec3, [rx, ry, rz]: Vec3) =>
  (x: number, y: number, z: number): boolean => {
    const [dx, dy, dz] = [(x - cx) * ry * rz, (y - cy) * rx * rz, (z - cz) * rx * ry];
    return dx * dx + dy * dy + dz * dz <= rx * ry * rz * (rx * ry * rz);
  };

const maskOf = (size: Vec3, inside: (x: number, y: number, z: number) => boolean): Mask =>
  testVolume(testGrid(size, { spacingMm: SPACING }), Uint8Array, (x, y, z) => (inside(x, y, z) ? 1 : 0));

describe('the agreement of two masks', () => {
  const size: Vec3 = [24, 20, 12];
  const a = maskOf(size, inEllipsoid([10, 9, 5], [8, 6, 4]));
  const inB = inEllipsoid([12, 10, 6], [9, 5, 5]);
  // A needle along the border of the image: its voxels are surface because nothing is known beyond.
  const b = maskOf(size, (x, y, z) => inB(x, y, z) || (x === 0 && y === 0));

  it('is what SimpleITK 2.5.7 and scipy 1.17.1 give', () => {
    // LabelOverlapMeasures, HausdorffDistance of the LabelContours; binary_erosion, distance_transform_edt, percentile.
    const found = maskAgreement(a, b);
    expect(found.voxels).toEqual({ both: 599, onlyA: 174, onlyB: 352, neither: 5760 - 599 - 174 - 352 });
    const close = (measure: { readonly value: number | null }, value: number) =>
      expect(Math.abs(measure.value! - value)).toBeLessThan(1e-12 * value);
    close(found.dice, 0.6948955916473318);
    close(found.jaccard, 0.5324444444444445);
    close(found.kappa, 0.6418720864341039);
    close(found.surface.meanAToBMm, 1.2529133765234857);
    close(found.surface.meanBToAMm, 1.905479850572074);
    close(found.surface.meanMm, 1.6047159728681157);
    close(found.surface.hausdorff95Mm, 5.12939580002635);
    close(found.surface.hausdorffMm, 11.834800378544625);
    expect(found.volumeMm3).toEqual({ a: 773 * 2.34375, b: 951 * 2.34375 });
    expect(found.volumeDifferenceMm3).toBe(178 * 2.34375);
    expect(found.volumeDifferenceShare).toEqual({ value: 178 / 773 });
  });

  it('of a mask with itself is complete, with no distance', () => {
    const { dice, jaccard, kappa, surface, volumeDifferenceShare } = maskAgreement(b, b);
    for (const one of [dice, jaccard, kappa]) expect(one).toEqual({ value: 1 });
    for (const one of [...Object.values(surface), volumeDifferenceShare]) expect(one).toEqual({ value: 0 });
  });

  it('with an empty mask has reasons, and no NaN', () => {
    const none = maskOf(size, () => false);
    const one = maskAgreement(a, none);
    expect(one).toMatchObject({ dice: { value: 0 }, jaccard: { value: 0 }, kappa: { value: 0 } });
    expect(one.surface.hausdorffMm).toEqual({
      value: null,
      reason: 'the second mask is empty: there is no surface to measure from',
    });
    const other = maskAgreement(none, a);
    expect(other.volumeDifferenceShare).toEqual({ value: null, reason: 'the first mask is empty' });
    expect(other.surface.meanMm).toMatchObject({ reason: expect.stringContaining('the first mask is empty') });
    const both = maskAgreement(none, none);
    expect(both.dice).toEqual({ value: null, reason: 'both masks are empty' });
    expect(both.kappa.value).toBeNull();
    expect(JSON.stringify([one, other, both])).not.toContain('"value":null}');
    const full = maskOf(size, () => true);
    expect(maskAgreement(full, full)).toMatchObject({ dice: { value: 1 }, kappa: { value: null } });
  });

  it('equals a slow twin on masks drawn at random', () => {
    const random = seededRandom('mask-agreement');
    for (let round = 0; round < 20; round++) {
      const [p, q] = [random.uniform(), random.uniform()];
      const one = maskOf([7, 6, 5], () => random.uniform() < p);
      const two = maskOf([7, 6, 5], () => random.uniform() < q);
      const { surface } = maskAgreement(one, two);
      const twin = slowSurface(one, two);
      if (twin === null) continue;
      const values = [
        surface.meanAToBMm,
        surface.meanBToAMm,
        surface.meanMm,
        surface.hausdorff95Mm,
        surface.hausdorffMm,
      ];
      values.forEach(({ value }, at) => {
        expect(value).toBeCloseTo(twin[at]!, 12);
      });
    }
  });
});

/** Every pair of surface voxels looked at. */
function slowSurface(a: Mask, b: Mask): number[] | null {
  const [pointsA, pointsB] = [surfacePoints(a), surfacePoints(b)];
  if (pointsA.length === 0 || pointsB.length === 0) return null;
  const nearest = (from: Vec3[], to: Vec3[]) =>
    from
      .map((p) => Math.min(...to.map((q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]))))
      .sort((x, y) => x - y);
  const [ab, ba] = [nearest(pointsA, pointsB), nearest(pointsB, pointsA)];
  const mean = (list: number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const p95 = (list: number[]) => {
    const at = 0.95 * (list.length - 1);
    const low = list[Math.floor(at)]!;
    return low + (at - Math.floor(at)) * (list[Math.ceil(at)]! - low);
  };
  return [mean(ab), mean(ba), mean([...ab, ...ba]), Math.max(p95(ab), p95(ba)), Math.max(ab.at(-1)!, ba.at(-1)!)];
}

function surfacePoints(mask: Mask): Vec3[] {
  const [nx, ny, nz] = mask.size;
  const at = (x: number, y: number, z: number) =>
    x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz ? 0 : mask.data[x + nx * (y + ny * z)]!;
  const points: Vec3[] = [];
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++) {
        const inner =
          at(x - 1, y, z) + at(x + 1, y, z) + at(x, y - 1, z) + at(x, y + 1, z) + at(x, y, z - 1) + at(x, y, z + 1);
        if (at(x, y, z) === 1 && inner < 6) points.push(physicalPoint(mask, [x, y, z]));
      }
  return points;
}
