import { cropGrid, growBox } from '../imaging/crop.js';
import type { Box, Roi } from '../imaging/roi.js';
import { type Grid, type Volume, voxelCount } from '../imaging/volume.js';
import type { ClassInput } from './class-input.js';
import type { FeatureSet } from './feature.js';
import type { Wanted } from './features/collect.js';
import { binned, type Discretized } from './features/discretize.js';
import { firstOrder } from './features/first-order.js';
import { addDirections, GlcmMeans } from './features/glcm.js';
import { gldm } from './features/gldm.js';
import { glrlm } from './features/glrlm.js';
import { glszm } from './features/glszm.js';
import { levelGridOf } from './features/level-grid.js';
import { directions } from './features/neighbourhood.js';
import { ngtdm } from './features/ngtdm.js';
import type { IntensityClass } from './features/texture.js';

/** PyRadiomics' `voxelSetting`; its voxelBatch, which bounds memory there, has no bearing here. */
export interface VoxelSettings {
  /** Reach of the kernel around a voxel, in voxels along each axis. */
  readonly kernelRadius: number;
  /** Whether only the region's voxels in the kernel count, and are binned. */
  readonly maskedKernel: boolean;
  /** Value outside the region. */
  readonly initValue: number;
}

export const DEFAULT_VOXEL_SETTINGS: VoxelSettings = { kernelRadius: 1, maskedKernel: true, initValue: 0 };

/**
 * Features of the neighbourhood of every voxel of the region, as PyRadiomics computes them: grey levels are found once for all, matrices
 * count what lies inside the kernel. A value that is not defined there is NaN. One thing differs: as soon as a direction is empty in some
 * kernel, PyRadiomics fails to compute MCC and leaves the whole map at `initValue`; here it is the mean over the other directions.
 * @returns "class_feature" → a map on the region's box grown by the kernel's reach and clipped to the image
 */
export function voxelMaps(
  input: ClassInput,
  wanted: ReadonlyMap<IntensityClass, Wanted>,
  voxel: VoxelSettings = DEFAULT_VOXEL_SETTINGS,
): Map<string, Volume<Float64Array>> {
  const maps = new Map<string, Volume<Float64Array>>();
  const { image, roi, settings } = input;
  if (roi.box === null) return maps;
  const box = growBox(roi.box, voxel.kernelRadius, image.size);
  const grid = cropGrid(image, box);
  const { inside, values, levels } = part(input, box, grid, voxel.maskedKernel);
  const present = new Int32Array(new Set(levels.filter((_, k) => inside[k] === 1))).sort();
  const reach = [0, 1, 2].map((axis) =>
    settings.force2D && axis === 2 - settings.force2Ddimension ? 0 : voxel.kernelRadius,
  ) as [number, number, number];
  const joint = new JointAverages();
  const [nx, ny] = grid.size;
  for (const index of roi.indices) {
    const x = (index % image.size[0]) - box.lower[0];
    const y = (Math.floor(index / image.size[0]) % image.size[1]) - box.lower[1];
    const z = Math.floor(index / (image.size[0] * image.size[1])) - box.lower[2];
    const at = x + nx * (y + ny * z);
    const kernel = kernelAround(grid, inside, growBox({ lower: [x, y, z], upper: [x, y, z] }, reach, grid.size));
    const binnedHere: Discretized = {
      values: Float64Array.from(kernel.indices, (k) => values[k]!),
      levels: Int32Array.from(kernel.indices, (k) => levels[k]!),
      grid: levelGridOf(
        kernel,
        Int32Array.from(kernel.indices, (k) => levels[k]!),
        Math.max(1, Math.min(2 * voxel.kernelRadius, Math.max(...settings.distances))),
      ),
    };
    const here: ClassInput = { image, roi: kernel, settings };
    for (const [featureClass, names] of wanted) {
      const features =
        featureClass === 'glcm'
          ? kernelGlcm(here, names, binnedHere, present, joint, at)
          : OTHERS[featureClass](here, names, binnedHere);
      for (const [name, { value }] of features)
        mapOf(maps, `${featureClass}_${name}`, grid, voxel.initValue).data[at] = value ?? Number.NaN;
    }
  }
  const averages = maps.get('glcm_JointAverage');
  if (averages !== undefined) joint.clear(averages.data);
  return maps;
}

const OTHERS = { firstorder: firstOrder, gldm, glrlm, glszm, ngtdm };

function mapOf(
  maps: Map<string, Volume<Float64Array>>,
  name: string,
  grid: Grid,
  initValue: number,
): Volume<Float64Array> {
  let map = maps.get(name);
  if (map === undefined) {
    map = { ...grid, data: new Float64Array(voxelCount(grid)).fill(initValue) };
    maps.set(name, map);
  }
  return map;
}

/** The image inside the box: which voxels count in kernels, their values and grey levels. */
function part({ image, roi, settings }: ClassInput, box: Box, grid: Grid, masked: boolean) {
  const [nx, ny, nz] = grid.size;
  const count = voxelCount(grid);
  const inside = new Uint8Array(count);
  const values = new Float64Array(count);
  for (let z = 0, k = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, k++)
        values[k] =
          image.data[x + box.lower[0] + image.size[0] * (y + box.lower[1] + image.size[1] * (z + box.lower[2]))]!;
  if (!masked) inside.fill(1);
  else
    for (const index of roi.indices) {
      const x = (index % image.size[0]) - box.lower[0];
      const y = (Math.floor(index / image.size[0]) % image.size[1]) - box.lower[1];
      const z = Math.floor(index / (image.size[0] * image.size[1])) - box.lower[2];
      inside[x + nx * (y + ny * z)] = 1;
    }
  const counted = Int32Array.from(inside.keys()).filter((k) => inside[k] === 1);
  const found = binned(
    Float64Array.from(counted, (k) => values[k]!),
    settings,
    image.data instanceof Float32Array,
  );
  const levels = new Int32Array(count);
  for (let k = 0; k < counted.length; k++) levels[counted[k]!] = found[k]!;
  return { inside, values, levels };
}

/** The voxels that count inside a kernel's box, as a region whose box is the kernel's. */
function kernelAround(grid: Grid, inside: Uint8Array, box: Box): Roi {
  const [nx, ny] = grid.size;
  const indices: number[] = [];
  for (let z = box.lower[2]; z <= box.upper[2]; z++)
    for (let y = box.lower[1]; y <= box.upper[1]; y++)
      for (let x = box.lower[0]; x <= box.upper[0]; x++) {
        const k = x + nx * (y + ny * z);
        if (inside[k] === 1) indices.push(k);
      }
  return { grid, indices: Int32Array.from(indices), box };
}

function kernelGlcm(
  input: ClassInput,
  wanted: Wanted,
  { grid }: Discretized,
  present: Int32Array,
  joint: JointAverages,
  at: number,
): FeatureSet {
  const means = new GlcmMeans(grid.greyLevels, wanted, present);
  const steps = directions(grid.extent, input.settings.distances, input.settings);
  const met = addDirections(input, grid, steps, means);
  if (input.settings.weightingNorm === null)
    joint.note(
      at,
      steps.filter((_, a) => met[a]).map((step) => step.join()),
    );
  return means.features();
}

/**
 * PyRadiomics takes JointAverage's mean over the directions without leaving out those that are empty in a kernel: it is NaN wherever a
 * direction is empty that is not empty in every kernel.
 */
class JointAverages {
  private readonly met = new Set<string>();
  private readonly metAt = new Map<number, number>();
  note(at: number, steps: readonly string[]): void {
    for (const step of steps) this.met.add(step);
    this.metAt.set(at, steps.length);
  }
  clear(map: Float64Array): void {
    for (const [at, count] of this.metAt) if (count < this.met.size) map[at] = Number.NaN;
  }
}
