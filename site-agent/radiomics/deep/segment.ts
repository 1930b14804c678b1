import { ConcordatError } from '../../../shared/errors.js';
import { resampleVolume } from '../../imaging/interpolate.js';
import { gridAround, inPatientOrder, patientAxes } from '../../imaging/patient-axes.js';
import {
  type Grid,
  gridOf,
  type Mask,
  physicalPoint,
  type Vec3,
  type Volume,
  voxelCount,
} from '../../imaging/volume.js';
import type { ModelTensor } from './model.js';
import { windowOf, zScoreOf } from './patch.js';
import type { SegmentSettings } from './settings.js';

/** A part of the model's grid that the model is given at once: its first voxel and its size. */
export interface Tile {
  readonly at: Vec3;
  readonly size: Vec3;
}

/** How an image is brought before a model: on which grid, in which parts. */
export interface SegmentPlan {
  readonly grid: Grid;
  readonly tiles: readonly Tile[];
  /** Axes of the model's input after batch and channel: [depth, height, width], or [height, width] for slices. */
  inputShape(tile: Tile): number[];
}

/**
 * The model's grid lies along the image's axes in the patient's order (`patientAxes`), has the stated spacing or the image's own, and the image's
 * middle. It is as large as the image, rounded up, filled up to a multiple or to one tile.
 */
export function segmentPlan(image: Grid, settings: SegmentSettings): SegmentPlan {
  const axes = patientAxes(image);
  const own = inPatientOrder(image.spacingMm, axes);
  const spacingMm = settings.spacingMm ?? own;
  const extent = inPatientOrder(image.size, axes).map((count, axis) => count * own[axis]!);
  // A hair less than a whole voxel more is rounding, not image.
  const covering = extent.map((mm, axis) => Math.max(1, Math.ceil(mm / spacingMm[axis]! - 1e-6)));
  const isSlices = settings.view === 'slices';
  const tile = settings.tile === undefined ? null : isSlices ? [...settings.tile, 1] : settings.tile;
  const size = covering.map((count, axis) => {
    if (isSlices && axis === 2) return count;
    if (tile !== null) return Math.max(count, tile[axis]!);
    return Math.ceil(count / settings.multipleOf) * settings.multipleOf;
  });
  const middle = physicalPoint(image, [(image.size[0] - 1) / 2, (image.size[1] - 1) / 2, (image.size[2] - 1) / 2]);
  const grid = gridAround(middle, axes.direction, spacingMm, vec3(size));
  const part = tile ?? (isSlices ? [size[0]!, size[1]!, 1] : size);
  const starts = size.map((count, axis) => startsOf(count, part[axis]!, isSlices && axis === 2 ? 0 : settings.overlap));
  const tiles = starts[2]!.flatMap((z) =>
    starts[1]!.flatMap((y) => starts[0]!.map((x): Tile => ({ at: [x, y, z], size: vec3(part) }))),
  );
  return { grid, tiles, inputShape: ({ size: [nx, ny, nz] }) => (isSlices ? [1, 1, ny, nx] : [1, 1, nz, ny, nx]) };
}

const vec3 = ([x, y, z]: readonly number[]): Vec3 => [x!, y!, z!];

/** First voxels of parts of `part` voxels that cover `count` and overlap by at least this share; the last one ends with the grid. */
function startsOf(count: number, part: number, overlap: number): number[] {
  const step = Math.max(1, Math.floor(part * (1 - overlap)));
  const starts: number[] = [];
  for (let at = 0; at + part < count; at += step) starts.push(at);
  return [...starts, count - part];
}

/** The image on the model's grid, its intensities set. */
export function modelImage(image: Volume, plan: SegmentPlan, settings: SegmentSettings): Volume<Float64Array> {
  const { interpolator, outside, intensity } = settings;
  const sampled = resampleVolume(image, plan.grid, interpolator, { outside, pixelType: new Float64Array(0) });
  const set =
    intensity.type === 'none'
      ? (value: number) => value
      : intensity.type === 'window'
        ? windowOf(intensity.centre, intensity.width)
        : zScoreOf([image.data]);
  return { ...gridOf(sampled), data: Float64Array.from(sampled.data, set) };
}

/** The voxels of one tile, left fastest, then back, then head. */
export function tileValues({ data, size: [nx, ny] }: Volume<Float64Array>, { at, size }: Tile): Float64Array {
  const values = new Float64Array(size[0] * size[1] * size[2]);
  for (let z = 0, to = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++, to += size[0]) {
      const row = at[0] + nx * (at[1] + y + ny * (at[2] + z));
      values.set(data.subarray(row, row + size[0]), to);
    }
  return values;
}

/** Mean score of every class at every voxel of the model's grid, over the tiles that cover it. */
export class Scores {
  private sums: Float64Array[] = [];
  private readonly tilesAt: Uint16Array;

  constructor(
    private readonly plan: SegmentPlan,
    private readonly settings: SegmentSettings,
  ) {
    this.tilesAt = new Uint16Array(voxelCount(plan.grid));
  }

  /** @throws ConcordatError IMAGE_MODEL_OUTPUT where the scores have another shape than the tile, or no number of classes that fits */
  add(tile: Tile, { values, shape }: ModelTensor): void {
    const spatial = this.plan.inputShape(tile).slice(2);
    const fits =
      shape.length === spatial.length + 2 && shape[0] === 1 && spatial.every((n, axis) => n === shape[axis + 2]);
    const classes = shape[1] ?? 0;
    if (!fits)
      throw refused(
        `the model gave scores of the shape [${shape.join(', ')}] for an image of [1, 1, ${spatial.join(', ')}]`,
      );
    if (this.settings.scores === 'classes' ? classes < 2 || classes > 256 : classes !== 1)
      throw refused(`the model gave ${classes} scores a voxel, and the settings say "${this.settings.scores}"`);
    if (this.sums.length === 0)
      this.sums = Array.from({ length: classes }, () => new Float64Array(voxelCount(this.plan.grid)));
    if (this.sums.length !== classes) throw refused('the model gave another number of scores than before');
    const [nx, ny] = this.plan.grid.size;
    const voxels = values.length / classes;
    for (let z = 0, from = 0; z < tile.size[2]; z++)
      for (let y = 0; y < tile.size[1]; y++) {
        const row = tile.at[0] + nx * (tile.at[1] + y + ny * (tile.at[2] + z));
        for (let x = 0; x < tile.size[0]; x++, from++) {
          for (let k = 0; k < classes; k++) this.sums[k]![row + x]! += this.asScore(values[k * voxels + from]!);
          this.tilesAt[row + x]!++;
        }
      }
  }

  /**
   * The proposed mask on the image's own grid: scores are read there by linear interpolation, then decided. Of equal classes the lower counts; what lies
   * beyond the model's grid, and a score that is not a number, is outside.
   */
  mask(image: Grid): Mask {
    const labels = new Uint8Array(voxelCount(image));
    const { scores, threshold, label } = this.settings;
    const best = scores === 'classes' ? new Float32Array(labels.length).fill(Number.NEGATIVE_INFINITY) : null;
    this.sums.forEach((sum, k) => {
      const mean = Float64Array.from(sum, (value, at) => value / this.tilesAt[at]!);
      const { data } = resampleVolume({ ...this.plan.grid, data: mean }, image, 'linear', {
        outside: Number.NaN,
        pixelType: new Float32Array(0),
      });
      for (let i = 0; i < labels.length; i++) {
        if (best === null) labels[i] = data[i]! >= threshold ? label : 0;
        else if (data[i]! > best[i]!) {
          best[i] = data[i]!;
          labels[i] = k;
        }
      }
    });
    return { ...gridOf(image), data: labels };
  }

  private asScore(value: number): number {
    return this.settings.scores === 'logit' ? 1 / (1 + Math.exp(-value)) : value;
  }
}

const refused = (message: string) => new ConcordatError('IMAGE_MODEL_OUTPUT', message);
