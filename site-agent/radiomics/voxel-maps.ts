import { ConcordatError } from '../../shared/errors.js';
import { cropGrid, growBox } from '../imaging/crop.js';
import { boxSize } from '../imaging/lines.js';
import type { Box, Roi } from '../imaging/roi.js';
import { type Grid, type Volume, voxelCount } from '../imaging/volume.js';
import type { ClassInput } from './class-input.js';
import type { FeatureSet } from './feature.js';
import type { Wanted } from './features/collect.js';
import { binned, type Discretized } from './features/discretize.js';
import { firstOrder } from './features/first-order.js';
import { addDirections, GlcmMeans, mccOf } from './features/glcm.js';
import { gldm } from './features/gldm.js';
import { glrlm } from './features/glrlm.js';
import { glszm } from './features/glszm.js';
import { levelGridOf } from './features/level-grid.js';
import type { Eigenvalue } from './features/maximal-correlation.js';
import { directions } from './features/neighbourhood.js';
import { ngtdm } from './features/ngtdm.js';
import type { IntensityClass } from './features/texture.js';
import type { VoxelSettings } from './settings.js';

export const DEFAULT_VOXEL_SETTINGS: VoxelSettings = {
  kernelRadius: 1,
  maskedKernel: true,
  initValue: 0,
  voxelBatch: null,
};

/**
 * Features of the neighbourhood of every voxel of the region, as PyRadiomics computes them: grey levels are found once for all, matrices
 * count what lies inside the kernel. A value that is not defined there is NaN. Two features of co-occurrence depend on the batch in which
 * a voxel is computed: see `GlcmBatch`.
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
  requireTime(roi, box, voxel.kernelRadius);
  const { inside, values, levels } = part(input, box, grid, voxel.maskedKernel);
  const present = new Int32Array(new Set(levels.filter((_, k) => inside[k] === 1))).sort();
  const reach = [0, 1, 2].map((axis) =>
    settings.force2D && axis === 2 - settings.force2Ddimension ? 0 : voxel.kernelRadius,
  ) as [number, number, number];
  const angles = settings.weightingNorm === null ? directions(grid.size, settings.distances, settings).length : 1;
  const wantedOfGlcm = wanted.get('glcm') ?? [];
  const batchSize = voxel.voxelBatch ?? roi.indices.length;
  let batch = new GlcmBatch(angles, present);
  const [nx, ny] = grid.size;
  for (const [number, index] of roi.indices.entries()) {
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
          ? kernelGlcm(here, names, binnedHere, present, batch, at)
          : OTHERS[featureClass](here, names, binnedHere);
      for (const [name, { value }] of features)
        mapOf(maps, `${featureClass}_${name}`, grid, voxel.initValue).data[at] = value ?? Number.NaN;
    }
    if ((number + 1) % batchSize === 0 || number + 1 === roi.indices.length) {
      for (const name of wantedOfGlcm) batch.finish(name, maps.get(`glcm_${name}`)?.data, voxel.initValue);
      batch = new GlcmBatch(angles, present);
    }
  }
  return maps;
}

/** Voxels of all kernels together; so many take the better part of a day, and PyRadiomics terabytes unless it is told to go in batches. */
const KERNEL_VOXELS_MAX = 1e11;

/** @throws ConcordatError IMAGE_SETTINGS_INVALID where the kernels of the region's voxels would not be done in a day */
function requireTime(roi: Roi, box: Box, radius: number): void {
  const each = boxSize(box).reduce((product, length) => product * Math.min(length, 2 * radius + 1), 1);
  const all = each * roi.indices.length;
  if (all <= KERNEL_VOXELS_MAX) return;
  throw new ConcordatError(
    'IMAGE_SETTINGS_INVALID',
    `voxelSetting.kernelRadius ${radius}: ${roi.indices.length} kernels of up to ${each} voxels are more than ${KERNEL_VOXELS_MAX} voxels together`,
  );
}

const glrlmOfKernel: typeof glrlm = (input, wanted, binnedHere) => glrlm(input, wanted, binnedHere, true);
const OTHERS = { firstorder: firstOrder, gldm, glrlm: glrlmOfKernel, glszm, ngtdm };

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
  batch: GlcmBatch,
  at: number,
): FeatureSet {
  const means = new GlcmMeans(grid.greyLevels, wanted, present);
  const steps = directions(grid.extent, input.settings.distances, input.settings);
  const met = addDirections(input, grid, steps, means);
  const merged = input.settings.weightingNorm !== null;
  const angles = merged ? (met[0] === true ? ['all'] : []) : steps.filter((_, a) => met[a]).map((step) => step.join());
  batch.add({ at, angles, correlations: means.correlations });
  return means.features();
}

interface GlcmKernel {
  readonly at: number;
  /** Directions along which the kernel holds a pair. */
  readonly angles: readonly string[];
  readonly correlations: readonly Eigenvalue[];
}

/**
 * What PyRadiomics does to the kernels of a batch together. It leaves out a direction only where no kernel of the batch holds a pair along
 * it, unless there is but one. A kernel without a pair along a direction that is kept has NaN there: JointAverage, which is a plain
 * mean, is NaN; and the eigenvalues of the whole batch fail, so that MCC stays at `initValue` in all of it.
 */
class GlcmBatch {
  private readonly kernels: GlcmKernel[] = [];
  private readonly kept = new Set<string>();

  /**
   * @param directionCount directions of the whole image
   * @param levels grey levels of the region
   */
  constructor(
    private readonly directionCount: number,
    private readonly levels: Int32Array,
  ) {}

  add(kernel: GlcmKernel): void {
    this.kernels.push(kernel);
    for (const angle of kernel.angles) this.kept.add(angle);
  }

  /** Sets what a feature's map has at the kernels of the batch, where that depends on all of them. */
  finish(feature: string, map: Float64Array | undefined, initValue: number): void {
    if (map === undefined) return;
    const kept = this.directionCount === 1 ? 1 : this.kept.size;
    const incomplete = this.kernels.filter(({ angles }) => angles.length < kept);
    if (feature === 'JointAverage') for (const { at } of incomplete) map[at] = Number.NaN;
    // Of a single level there are no differences to sum, not even of nothing.
    if (feature === 'InverseVariance' && this.levels.length < 2) for (const { at } of incomplete) map[at] = 0;
    if (feature !== 'MCC') return;
    const complex = this.kernels.some(({ correlations }) => correlations.some(({ im }) => im !== 0));
    for (const { at, correlations } of this.kernels)
      map[at] = incomplete.length > 0 ? initValue : this.levels.length < 2 ? 1 : mccOf(correlations, complex);
  }
}
