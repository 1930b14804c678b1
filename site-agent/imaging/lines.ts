import type { Box } from './roi.js';
import type { Samples, Vec3 } from './volume.js';

/**
 * One-dimensional filters along the axes of a volume. A filter that works line by line is applied to several lines at once: sample k of
 * line b lies at `block[k * lanes + b]`, so that the inner loop runs over independent lines whatever the axis, and memory is read in order.
 */
export type LineFilter = (input: Float64Array, output: Float64Array, length: number, lanes: number) => void;

const LANES = 16;

/**
 * Filters every line along `axis`, once for each filter, keeping the samples `from` to `to` (exclusive) of each, so that an output has
 * the size of the source with that axis shortened. Lines are computed in float64, whatever the arrays' types.
 */
export function filterLines(
  data: Samples,
  size: Vec3,
  axis: 0 | 1 | 2,
  [from, to]: readonly [number, number],
  outs: readonly (Float32Array | Float64Array)[],
  filters: readonly LineFilter[],
): void {
  const length = size[axis];
  const kept = to - from;
  const step = axis === 0 ? 1 : axis === 1 ? size[0] : size[0] * size[1];
  const rows = size[0] * size[1] * size[2] === 0 ? 0 : (size[0] * size[1] * size[2]) / (step * length);
  const input = new Float64Array(length * LANES);
  const output = new Float64Array(length * LANES);
  if (axis === 0) {
    for (let row = 0; row < rows; row += LANES) {
      const lanes = Math.min(LANES, rows - row);
      for (let lane = 0; lane < lanes; lane++)
        for (let k = 0, at = (row + lane) * length; k < length; k++) input[k * lanes + lane] = data[at + k]!;
      for (let f = 0; f < filters.length; f++) {
        const out = outs[f]!;
        filters[f]!(input, output, length, lanes);
        for (let lane = 0; lane < lanes; lane++)
          for (let k = 0, at = (row + lane) * kept; k < kept; k++) out[at + k] = output[(k + from) * lanes + lane]!;
      }
    }
    return;
  }
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < step; column += LANES) {
      const lanes = Math.min(LANES, step - column);
      for (let k = 0; k < length; k++) {
        const at = (row * length + k) * step + column;
        for (let lane = 0; lane < lanes; lane++) input[k * lanes + lane] = data[at + lane]!;
      }
      for (let f = 0; f < filters.length; f++) {
        const out = outs[f]!;
        filters[f]!(input, output, length, lanes);
        for (let k = 0; k < kept; k++) {
          const at = (row * kept + k) * step + column;
          for (let lane = 0; lane < lanes; lane++) out[at + lane] = output[(k + from) * lanes + lane]!;
        }
      }
    }
}

/** Length of a box along each axis. */
export const boxSize = ({ lower, upper }: Box): Vec3 => [
  upper[0] - lower[0] + 1,
  upper[1] - lower[1] + 1,
  upper[2] - lower[2] + 1,
];

/** The box of all voxels. */
export const wholeBox = (size: Vec3): Box => ({ lower: [0, 0, 0], upper: [size[0] - 1, size[1] - 1, size[2] - 1] });

/** `size` with one axis replaced. */
export const withAxis = (size: Vec3, axis: 0 | 1 | 2, length: number): Vec3 => [
  axis === 0 ? length : size[0],
  axis === 1 ? length : size[1],
  axis === 2 ? length : size[2],
];
