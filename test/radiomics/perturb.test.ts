import { describe, expect, it } from 'vitest';
import { perturbationSchema } from '../../shared/perturbation.js';
import { seededRandom } from '../../shared/rng.js';
import { squaredDistances } from '../../site-agent/imaging/distance.js';
import { gridOf, type Mask, type Vec3, type Volume } from '../../site-agent/imaging/volume.js';
import { noiseLevel } from '../../site-agent/radiomics/perturb/noise.js';
import { smoothField } from '../../site-agent/radiomics/perturb/outline.js';
import { applySteps, perturbed } from '../../site-agent/radiomics/perturb/perturb.js';
import { drawSteps, type Step } from '../../site-agent/radiomics/perturb/steps.js';
import type { RegionSource } from '../../site-agent/radiomics/region-source.js';

/** An image of noise and an egg-shaped lesion off its middle, on a grid whose axes are neither in order nor along the table. */
function source(size: Vec3 = [31, 29, 17], spacingMm: Vec3 = [1.5, 1.5, 3]): RegionSource {
  const grid = { size, spacingMm, origin: [-40, 12, 7] as Vec3, direction: [0, -1, 0, 1, 0, 0, 0, 0, 1] };
  const random = seededRandom('perturb');
  const [nx, ny, nz] = size;
  const image = new Int16Array(nx * ny * nz);
  const lesion = new Uint8Array(image.length);
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++) {
        image[at] = Math.round(100 + 20 * random.normal());
        const [a, b, c] = [(x - 14) / 7, (y - 13) / 5, (z - 8) / 4];
        if (a * a + b * b + c * c + 0.3 * a * b < 1) lesion[at] = 1;
      }
  return { image: { ...grid, data: image }, lesion: { ...grid, data: lesion }, organ: null };
}

const given = source();
const run = (steps: readonly Step[], of = given, label: (string | number)[] = ['test']) =>
  applySteps(of, steps, label, 'image');
const move = (more: Partial<Step & { kind: 'move' }>): Step => ({
  kind: 'move',
  translateMm: [0, 0, 0],
  rotateDegrees: 0,
  moves: 'both',
  ...more,
});
const count = (mask: Mask) => mask.data.reduce((sum, value) => sum + value, 0);
const at = (volume: Volume, x: number, y: number, z: number) =>
  volume.data[x + volume.size[0] * (y + volume.size[1] * z)]!;
const indices = (mask: Mask) => [...mask.data.keys()].filter((index) => mask.data[index] === 1);

describe('moving image and mask', () => {
  it('by whole voxels is a shift of both', () => {
    const out = run([move({ translateMm: [3, -1.5, 3] })]);
    const [nx, ny, nz] = given.image.size;
    let differing = 0;
    for (let z = 1; z < nz; z++)
      for (let y = 0; y < ny - 1; y++)
        for (let x = 2; x < nx; x++)
          for (const what of ['image', 'lesion'] as const)
            if (at(out[what], x, y, z) !== at(given[what], x - 2, y + 1, z - 1)) differing++;
    expect(differing).toBe(0);
    expect(count(out.lesion)).toBe(count(given.lesion));
  });

  it('by a quarter turn about the centre is an exchange of axes', () => {
    // A lesion that is its own image under half a turn about voxel (14, 13, 8).
    const [nx, ny] = given.image.size;
    const out = run([move({ rotateDegrees: 90 })]);
    let differing = 0;
    for (const index of indices(given.lesion)) {
      const [x, y, z] = [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))];
      // The first axis turns toward the second: (dx, dy) -> (-dy, dx).
      const [tx, ty] = [14 - (y - 13), 13 + (x - 14)];
      if (at(out.lesion, tx, ty, z) !== 1 || at(out.image, tx, ty, z) !== at(given.image, x, y, z)) differing++;
    }
    expect(differing).toBe(0);
    expect(count(out.lesion)).toBe(count(given.lesion));
    const back = run([move({ rotateDegrees: -90 })], out);
    expect(back.lesion.data).toEqual(given.lesion.data);
  });

  it('by parts of a voxel keeps the volume nearly and the mask with the image; the mask alone leaves the image', () => {
    const bright = {
      ...given,
      image: { ...given.image, data: Float32Array.from(given.lesion.data, (value) => 100 * value) },
    };
    const steps = [move({ translateMm: [0.6, 0.4, 1], rotateDegrees: 11 })];
    const out = run(steps, bright);
    expect(Math.abs(count(out.lesion) / count(given.lesion) - 1)).toBeLessThan(0.05);
    expect(out.lesion.data).not.toEqual(given.lesion.data);
    // Where the moved mask is, the moved image is bright.
    const agree = [...out.image.data.keys()].filter(
      (k) => out.image.data[k]! > 50 === (out.lesion.data[k] === 1),
    ).length;
    expect(agree / out.image.data.length).toBeGreaterThan(0.985);
    const alone = run([move({ translateMm: [3, 0, 0], moves: 'mask' })]);
    expect(alone.image).toBe(given.image);
    expect(indices(alone.lesion)).toEqual(indices(given.lesion).map((index) => index + 2));
  });

  it('moves the organ with the lesion', () => {
    const organ = { ...gridOf(given.image), data: new Uint8Array(given.image.data.length).fill(1) };
    organ.data.fill(0, 0, 31 * 29 * 5);
    const out = run([move({ translateMm: [0, 0, 6] })], { ...given, organ });
    expect([at(out.organ!, 14, 13, 6), at(out.organ!, 14, 13, 7)]).toEqual([0, 1]);
  });
});

describe('growing and shrinking', () => {
  it('by mm adds and takes exactly the voxels within that distance', () => {
    const toMask = squaredDistances(given.lesion, given.lesion.data);
    const grown = run([{ kind: 'margin', mm: 4 }]).lesion;
    expect([...grown.data]).toEqual(Array.from(toMask, (squared) => (squared <= 16 ? 1 : 0)));
    const toOutside = squaredDistances(
      given.lesion,
      given.lesion.data.map((value) => 1 - value),
    );
    const shrunk = run([{ kind: 'margin', mm: -2 }]).lesion;
    expect([...shrunk.data]).toEqual(Array.from(toOutside, (squared) => (squared > 4 ? 1 : 0)));
  });

  it('by a share of the volume gives that volume, nearest voxels first', () => {
    const n = count(given.lesion);
    const toMask = squaredDistances(given.lesion, given.lesion.data);
    for (const share of [0.35, 0.1, -0.15]) {
      const changed = run([{ kind: 'volume', share }]).lesion;
      expect(count(changed)).toBe(Math.round(n * (1 + share)));
      if (share < 0) continue;
      const added = [...toMask.keys()].filter((k) => changed.data[k] === 1 && given.lesion.data[k] === 0);
      const left = [...toMask.keys()].filter((k) => changed.data[k] === 0);
      expect(Math.max(...added.map((k) => toMask[k]!))).toBeLessThanOrEqual(Math.min(...left.map((k) => toMask[k]!)));
    }
  });
});

describe('a random outline', () => {
  it('is displaced by the standard deviation that was asked for, smoothly, and by nothing else', () => {
    const size: Vec3 = [45, 45, 45];
    const ball = {
      size,
      spacingMm: [1, 1, 1] as Vec3,
      origin: [0, 0, 0] as Vec3,
      direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    };
    const data = new Uint8Array(45 * 45 * 45);
    for (let z = 0, k = 0; z < 45; z++)
      for (let y = 0; y < 45; y++)
        for (let x = 0; x < 45; x++, k++) if ((x - 22) ** 2 + (y - 22) ** 2 + (z - 22) ** 2 <= 144) data[k] = 1;
    const lesion: Mask = { ...ball, data };
    const of = { image: { ...ball, data: new Int16Array(data.length) }, lesion, organ: null };
    // Along rays from the centre, where the surface lies in several draws.
    const radii: number[] = [];
    for (let draw = 0; draw < 6; draw++) {
      const out = run([{ kind: 'contour', sdMm: 2, grainMm: 6 }], of, ['draw', draw]).lesion;
      for (const [dx, dy, dz] of [
        [1, 0, 0],
        [-1, 0, 0],
        [0, 1, 0],
        [0, -1, 0],
        [0, 0, 1],
        [0, 0, -1],
      ] as const) {
        let radius = 0;
        while (radius < 22 && at(out, 22 + dx * radius, 22 + dy * radius, 22 + dz * radius) === 1) radius++;
        radii.push(radius);
      }
    }
    const mean = radii.reduce((sum, value) => sum + value / radii.length, 0);
    const sd = Math.sqrt(radii.reduce((sum, value) => sum + (value - mean) ** 2 / (radii.length - 1), 0));
    expect(Math.abs(mean - 12.5)).toBeLessThan(1);
    expect(sd).toBeGreaterThan(1.4);
    expect(sd).toBeLessThan(2.7);
  });

  it('comes from a field of mean 0, variance 1 and the stated correlation', () => {
    let [sum, squares, near] = [0, 0, 0];
    const draws = 3000;
    for (let draw = 0; draw < draws; draw++) {
      const field = smoothField(seededRandom('field', draw), 5);
      const [a, b] = [field(1, 2, 3), field(1, 7, 3)];
      sum += a / draws;
      squares += (a * a) / draws;
      near += (a * b) / draws;
    }
    expect(Math.abs(sum)).toBeLessThan(0.06);
    expect(Math.abs(squares - 1)).toBeLessThan(0.08);
    expect(Math.abs(near - Math.exp(-0.5))).toBeLessThan(0.08);
  });
});

describe('noise', () => {
  const box = { lower: [0, 0, 0] as Vec3, upper: [30, 28, 16] as Vec3 };

  it('is estimated as it is, whatever smooth image lies under it', () => {
    const [nx, ny, nz] = given.image.size;
    const smooth = given.image.data.slice() as Int16Array;
    for (let z = 0, k = 0; z < nz; z++)
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++, k++) smooth[k]! += 6 * x - 3 * y + Math.round(400 * Math.sin(z / 9));
    for (const data of [given.image.data, smooth])
      expect(Math.abs(noiseLevel({ ...given.image, data }, box) / 20 - 1)).toBeLessThan(0.05);
    const flat = { ...given.image, data: new Int16Array(smooth.length).fill(7) };
    expect(noiseLevel(flat, box)).toBeLessThan(1e-9);
    // One slice, too few voxels along it for the filter: the slice itself is looked at.
    const slice = { lower: [0, 0, 4] as Vec3, upper: [30, 28, 4] as Vec3 };
    expect(Math.abs(noiseLevel(given.image, slice) / 20 - 1)).toBeLessThan(0.1);
  });

  it('is added at its own size and differs between images, the shape does not', () => {
    const of = perturbationSchema.parse({ noise: 1, contourMm: 1 });
    const seed = { seed: 3, reading: 1, lesion: 'a', image: 'b' };
    const one = perturbed(given, of, seed);
    const added = one.image.data.map((value, k) => value - given.image.data[k]!);
    const sd = Math.sqrt([...added].reduce((sum, value) => sum + value * value, 0) / added.length);
    expect(Math.abs(sd / 20 - 1)).toBeLessThan(0.06);
    const other = perturbed(given, of, { ...seed, image: 'c' });
    expect(other.image.data).not.toEqual(one.image.data);
    expect(other.lesion.data).toEqual(one.lesion.data);
  });
});

describe('a reading', () => {
  const all = perturbationSchema.parse({
    translateMm: 2,
    rotateDegrees: 10,
    marginMm: 1.5,
    volume: 0.1,
    contourMm: 0.7,
    noise: 0.5,
  });

  it('is the same for the same seed, lesion and number, and another for each of them', () => {
    const seed = { seed: 3, reading: 1, lesion: 'a', image: 'b' };
    const one = perturbed(given, all, seed);
    const same = perturbed(source(), all, { ...seed });
    expect(same.lesion.data).toEqual(one.lesion.data);
    expect(same.image.data).toEqual(one.image.data);
    for (const other of [{ seed: 4 }, { reading: 2 }, { lesion: 'c' }])
      expect(perturbed(given, all, { ...seed, ...other }).lesion.data).not.toEqual(one.lesion.data);
    expect(given.lesion.data).toEqual(source().lesion.data);
    expect(given.image.data).toEqual(source().image.data);
  });

  it('draws amounts within what is allowed, over all of it, in a fixed order', () => {
    const seen = Array.from({ length: 200 }, (_, k) => drawSteps(all, seededRandom('draw', k)));
    expect(seen[0]!.map(({ kind }) => kind)).toEqual(['noise', 'move', 'margin', 'volume', 'contour']);
    const degrees = seen.map((steps) => (steps[1] as Step & { kind: 'move' }).rotateDegrees);
    expect(Math.max(...degrees.map(Math.abs))).toBeLessThanOrEqual(10);
    expect([Math.min(...degrees) < -8, Math.max(...degrees) > 8]).toEqual([true, true]);
    const { volume: _, ...less } = all;
    expect(drawSteps(less, seededRandom('draw', 0))).toEqual(seen[0]!.filter(({ kind }) => kind !== 'volume'));
  });

  it('that leaves nothing or hardly anything of the lesion has a reason', () => {
    const code = (steps: readonly Step[]) => {
      try {
        run(steps);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return null;
    };
    expect(code([{ kind: 'margin', mm: -50 }])).toBe('IMAGE_MASK_EMPTY');
    expect(code([{ kind: 'margin', mm: -4 }])).toBe('IMAGE_ROI_TOO_SMALL');
    expect(code([{ kind: 'margin', mm: -1.5 }])).toBe(null);
    expect(code([move({ translateMm: [200, 0, 0] })])).toBe('IMAGE_MASK_EMPTY');
    expect(() =>
      applySteps({ ...given, lesion: { ...given.lesion, data: new Uint8Array(given.lesion.data.length) } }, [], []),
    ).toThrow(expect.objectContaining({ code: 'IMAGE_MASK_EMPTY' }));
  });
});
