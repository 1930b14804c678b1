import { ConcordatError } from '../../../shared/errors.js';
import type { Grid, Mask, Vec3 } from '../volume.js';
import { type Segmentation, segmentMask } from './segmentation.js';
import { cross, dot, minus, type Plane } from './slices.js';
import { stackOrThrow } from './stack.js';

/** How far a frame may lie from a whole number of slices, in parts of their distance. */
const TOLERANCE = 0.05;
/** Slices beyond which a frame's position is damaged. */
const SLICES_MAX = 20_000;

/**
 * A segment on the grid that its own frames span, all segments' frames together; slices without a frame are empty. For an image on another grid,
 * to which the mask is then resampled.
 * @throws ConcordatError IMAGE_LABEL_UNKNOWN, IMAGE_SLICES_DIFFER, IMAGE_SLICES_UNEVEN, IMAGE_SLICES_SHEARED
 */
export const segmentOnOwnGrid = (segmentation: Segmentation, number: number): Mask =>
  segmentMask(segmentation, number, gridOfFrames(segmentation));

function gridOfFrames({ frames, sliceMm }: Segmentation): Grid {
  const { plane: first, rows, columns } = frames[0]!;
  const normal = cross(first.alongRow, first.alongColumn);
  const along = ({ position }: Plane): number => dot(minus(position, first.position), normal);
  const sorted = frames.map(({ plane }) => plane).sort((a, b) => along(a) - along(b));
  const distinct = sorted.filter((plane, i) => i === 0 || along(plane) - along(sorted[i - 1]!) > 1e-3);
  const lowest = distinct[0]!;
  const offsets = distinct.map((plane) => along(plane) - along(lowest));
  const nearest = Math.min(...offsets.slice(1).map((offset, i) => offset - offsets[i]!));
  const fits = (step: number): boolean =>
    offsets.every((offset) => Math.abs(offset / step - Math.round(offset / step)) <= TOLERANCE);
  const step = [sliceMm, nearest].find((mm): mm is number => mm !== null && Number.isFinite(mm) && fits(mm));
  const slices = Math.round(offsets.at(-1)! / (step ?? 1)) + 1;
  if ((step === undefined && distinct.length > 1) || slices > SLICES_MAX)
    throw new ConcordatError('IMAGE_SLICES_UNEVEN', 'the frames of the segmentation are no slices of one distance');
  // Slices without a frame lie on the line between the first frame and the last, so that a tilt shows.
  const byNumber = new Map(distinct.map((plane, i) => [Math.round(offsets[i]! / (step ?? 1)), plane]));
  const span = minus(distinct.at(-1)!.position, lowest.position);
  const planes = Array.from({ length: slices }, (_, z): Plane => {
    const part = slices === 1 ? 0 : z / (slices - 1);
    const position = lowest.position.map((from, axis) => from + part * span[axis]!) as unknown as Vec3;
    return byNumber.get(z) ?? { ...lowest, position };
  });
  return stackOrThrow(planes, { columns, rows, singleSliceMm: sliceMm }, () => 'the segmentation').grid;
}
