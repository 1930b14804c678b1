import type { SeededRandom } from '../../../shared/rng.js';
import { cropVolume, growBox } from '../../imaging/crop.js';
import { dilated, eroded, squaredDistances } from '../../imaging/distance.js';
import { type Box, roiOf } from '../../imaging/roi.js';
import { gridOf, type Mask, type Vec3 } from '../../imaging/volume.js';

/** Changes of a mask's outline. Each works on the mask's surroundings alone and is exact in mm on its grid. */

/** Grown by `mm` where above 0, shrunk where below, between voxel centres: less than a voxel's size changes nothing. */
export function withMargin(mask: Mask, mm: number): Mask {
  return around(mask, Math.abs(mm), (part) => (mm < 0 ? eroded(part, -mm) : dilated(part, mm)));
}

/**
 * Grown or shrunk to (1 + `share`) times its number of voxels, rounded: the outside voxels nearest to the mask are added, or the inside ones
 * nearest to its surface are taken away; among voxels equally near chance decides.
 */
export function withVolume(mask: Mask, share: number, random: SeededRandom): Mask {
  const { box, indices } = roiOf(mask);
  if (box === null) return mask;
  const extentMm = Math.max(
    ...[0, 1, 2].map((axis) => (box.upper[axis]! - box.lower[axis]! + 1) * mask.spacingMm[axis]!),
  );
  const change = Math.round(indices.length * (1 + share)) - indices.length;
  // Enough room for the voxels to be added, even around a flat lesion.
  return around(mask, (extentMm * Math.abs(share)) / 2 + 3 * Math.max(...mask.spacingMm), (part) => {
    const grows = change > 0;
    const from = grows ? part.data : part.data.map((value) => 1 - value);
    const distances = squaredDistances(part, from);
    const candidates: { readonly at: number; readonly distance: number; readonly lot: number }[] = [];
    for (let at = 0; at < from.length; at++)
      if (from[at] === 0) candidates.push({ at, distance: distances[at]!, lot: random.uint32() });
    candidates.sort((a, b) => a.distance - b.distance || a.lot - b.lot || a.at - b.at);
    const data = part.data.slice();
    for (const { at } of candidates.slice(0, Math.abs(change))) data[at] = grows ? 1 : 0;
    return { ...part, data };
  });
}

/** Plane waves whose sum stands for a Gaussian field. */
const WAVES = 64;
/** A displacement beyond this many standard deviations is not looked for. */
const REACH = 4;

/**
 * The outline displaced by a smooth random field: inside is where signed distance to the outline (mm, positive inside) plus the field is above 0. The
 * field is Gaussian with mean 0, standard deviation `sdMm` and covariance exp(-d² / 2 grain²), as a sum of random plane waves (Rahimi and Recht, NIPS
 * 2007), so it is one of space and not of the grid. It takes the place of Zwanenburg's random supervoxels (Sci Rep 2019;9:614) and does not look
 * at the image.
 */
export function withContour(mask: Mask, sdMm: number, grainMm: number, random: SeededRandom): Mask {
  const field = smoothField(random, grainMm);
  const reachMm = REACH * sdMm;
  return around(mask, reachMm, (part) => {
    const toMask = squaredDistances(part, part.data);
    const toOutside = squaredDistances(
      part,
      part.data.map((value) => 1 - value),
    );
    const half = Math.min(...part.spacingMm) / 2;
    const [nx, ny, nz] = part.size;
    const data = part.data.slice();
    const { spacingMm } = part;
    for (let z = 0, at = 0; z < nz; z++)
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++, at++) {
          const inside = part.data[at] === 1;
          const distance = Math.sqrt(inside ? toOutside[at]! : toMask[at]!) - half;
          if (distance > reachMm) continue;
          const displaced = sdMm * field(x * spacingMm[0], y * spacingMm[1], z * spacingMm[2]);
          data[at] = (inside ? distance : -distance) + displaced > 0 ? 1 : 0;
        }
    return { ...part, data };
  });
}

/** A random function of mean 0 and variance 1 whose values `grainMm` apart are correlated by exp(-1/2). */
export function smoothField(random: SeededRandom, grainMm: number): (xMm: number, yMm: number, zMm: number) => number {
  const waves = new Float64Array(4 * WAVES);
  for (let at = 0; at < waves.length; at += 4) {
    for (let axis = 0; axis < 3; axis++) waves[at + axis] = random.normal() / grainMm;
    waves[at + 3] = 2 * Math.PI * random.uniform();
  }
  const scale = Math.sqrt(2 / WAVES);
  return (x, y, z) => {
    let sum = 0;
    for (let at = 0; at < waves.length; at += 4)
      sum += Math.cos(x * waves[at]! + y * waves[at + 1]! + z * waves[at + 2]! + waves[at + 3]!);
    return scale * sum;
  };
}

/** The change of the part of a mask that reaches `mm` around it; an empty mask stays empty. */
function around(mask: Mask, mm: number, change: (part: Mask) => Mask): Mask {
  const { box } = roiOf(mask);
  if (box === null) return mask;
  const margin = mask.spacingMm.map((spacing) => Math.ceil(mm / spacing) + 2) as unknown as Vec3;
  const grown = growBox(box, margin, mask.size);
  const part = change(cropVolume(mask, grown) as Mask);
  const data = mask.data.slice();
  paste(data, mask.size, grown, part.data);
  return { ...gridOf(mask), data };
}

function paste(data: Uint8Array, size: Vec3, box: Box, part: Uint8Array): void {
  const width = box.upper[0] - box.lower[0] + 1;
  let at = 0;
  for (let z = box.lower[2]; z <= box.upper[2]; z++)
    for (let y = box.lower[1]; y <= box.upper[1]; y++, at += width)
      data.set(part.subarray(at, at + width), box.lower[0] + size[0] * (y + size[1] * z));
}
