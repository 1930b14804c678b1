import { channelsOf, type Encoder } from '../../../shared/imaging-deep.js';
import { resampleVolume } from '../../imaging/interpolate.js';
import { type Axis, gridAround, type PatientAxes, patientAxes } from '../../imaging/patient-axes.js';
import { type Roi, valuesIn } from '../../imaging/roi.js';
import { type Grid, physicalPoint, type Vec3, type Volume } from '../../imaging/volume.js';

/** What an encoder is given: numbers in the order of the shape's axes, the last fastest. */
export interface Patch {
  readonly values: Float64Array;
  /** [1, channels, (depth,) height, width]. */
  readonly shape: readonly number[];
}

/**
 * The standard patch around a region that has at least one voxel.
 *
 * The patch lies along the image's own axes, taken in the order and sense nearest to the patient's (`patientAxes`), so that it does not depend on
 * the order in which a file stores its voxels. Width runs toward the patient's left, height toward the back, depth toward the head. Planes:
 * `largest-slice` is the axial one in which the region has most voxels (of equal ones the lowest), centred on the region's part in it;
 * `orthogonal` are the axial (left, back), coronal (left, head) and sagittal (back, head) ones through the centre, in this order.
 *
 * Where the patch's spacing is wider than the image's, samples are taken between voxels as they are: nothing is smoothed first.
 */
export function patchOf(image: Volume, roi: Roi, settings: Encoder): Patch {
  const axes = patientAxes(image);
  const planes = gridsOf(roi, axes, settings).map(
    (grid) =>
      resampleVolume(image, grid, settings.interpolator, { outside: settings.outside, pixelType: new Float64Array(0) })
        .data,
  );
  const statistics = statisticsOf(image, roi, planes, settings);
  const channels =
    settings.view === 'orthogonal' ? planes : Array.from({ length: settings.channels }, () => planes[0]!);
  const voxels = planes[0]!.length;
  const values = new Float64Array(voxels * channels.length);
  channels.forEach((plane, channel) => {
    const mean = settings.scale?.mean[channel] ?? 0;
    const sd = settings.scale?.sd[channel] ?? 1;
    for (let i = 0; i < voxels; i++) values[channel * voxels + i] = (statistics(plane[i]!) - mean) / sd;
  });
  return { values, shape: patchShape(settings) };
}

/** [1, channels, (depth,) height, width] of what `patchOf` gives. */
export const patchShape = (settings: Pick<Encoder, 'view' | 'channels' | 'size'>): number[] => [
  1,
  channelsOf(settings),
  ...[...settings.size].reverse(),
];

function gridsOf(roi: Roi, axes: PatientAxes, { view, size, spacingMm, centre }: Encoder): Grid[] {
  if (view === 'volume') return [gridAround(centreOf(roi, centre), axes.direction, vec3(spacingMm), vec3(size))];
  const plane = (middle: Vec3, columns: readonly [Axis, Axis, Axis]): Grid =>
    gridAround(
      middle,
      [0, 1, 2].flatMap((row) => columns.map((column) => axes.direction[3 * row + column]!)),
      [spacingMm[0]!, spacingMm[1]!, 1],
      [size[0]!, size[1]!, 1],
    );
  if (view === 'largest-slice') return [plane(centreOf(largestSlice(roi, axes), centre), [0, 1, 2])];
  const middle = centreOf(roi, centre);
  return [plane(middle, [0, 1, 2]), plane(middle, [0, 2, 1]), plane(middle, [1, 2, 0])];
}

const vec3 = ([x, y, z]: readonly number[]): Vec3 => [x!, y!, z!];

/** Centre of mass of the region's voxels, or the middle of its box, LPS in mm. */
function centreOf(roi: Pick<Roi, 'grid' | 'indices'>, kind: Encoder['centre']): Vec3 {
  const sum = [0, 0, 0];
  const lower = [Infinity, Infinity, Infinity];
  const upper = [-Infinity, -Infinity, -Infinity];
  for (const index of roi.indices)
    for (let axis = 0; axis < 3; axis++) {
      const at = coordinate(roi.grid, index, axis as Axis);
      sum[axis]! += at;
      lower[axis] = Math.min(lower[axis]!, at);
      upper[axis] = Math.max(upper[axis]!, at);
    }
  const count = roi.indices.length;
  const along = (axis: number): number => (kind === 'mass' ? sum[axis]! / count : (lower[axis]! + upper[axis]!) / 2);
  return physicalPoint(roi.grid, [along(0), along(1), along(2)]);
}

function coordinate({ size }: Grid, index: number, axis: Axis): number {
  if (axis === 0) return index % size[0];
  const row = Math.floor(index / size[0]);
  return axis === 1 ? row % size[1] : Math.floor(row / size[1]);
}

/** The voxels of the region in the axial slice that has most of them; of equal slices the one nearest to the feet. */
export function largestSlice(roi: Roi, axes: PatientAxes): Pick<Roi, 'grid' | 'indices'> & { readonly slice: number } {
  const { grid, indices } = roi;
  const axis = axes.axis[2];
  const counts = new Int32Array(grid.size[axis]);
  for (const index of indices) counts[coordinate(grid, index, axis)]!++;
  let slice = axes.sense[2] === 1 ? 0 : counts.length - 1;
  for (let step = 0, at = slice; step < counts.length; step++, at += axes.sense[2])
    if (counts[at]! > counts[slice]!) slice = at;
  return { grid, slice, indices: indices.filter((index) => coordinate(grid, index, axis) === slice) };
}

/** How one intensity becomes a number of the encoder. A z-score over values that are all the same is 0. */
function statisticsOf(
  image: Volume,
  roi: Roi,
  planes: readonly ArrayLike<number>[],
  { intensity }: Encoder,
): (value: number) => number {
  if (intensity.type === 'none') return (value) => value;
  if (intensity.type === 'window') return windowOf(intensity.centre, intensity.width);
  return zScoreOf(intensity.over === 'region' ? [valuesIn(image, roi)] : planes);
}

export function windowOf(centre: number, width: number): (value: number) => number {
  const lower = centre - width / 2;
  return (value) => Math.min(1, Math.max(0, (value - lower) / width));
}

/** Mean 0 and (population) standard deviation 1 over `lists`; 0 everywhere where the values are all the same. */
export function zScoreOf(lists: readonly ArrayLike<number>[]): (value: number) => number {
  let count = 0;
  let sum = 0;
  for (const list of lists) {
    count += list.length;
    for (let i = 0; i < list.length; i++) sum += list[i]!;
  }
  const mean = sum / count;
  let squares = 0;
  for (const list of lists) for (let i = 0; i < list.length; i++) squares += (list[i]! - mean) * (list[i]! - mean);
  const sd = Math.sqrt(squares / count);
  return (value) => (sd > 0 ? (value - mean) / sd : 0);
}
