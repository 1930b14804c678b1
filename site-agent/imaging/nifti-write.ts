import { gzipSync } from 'node:zlib';
import { bytesOf, pixelTypeOf } from './samples.js';
import type { Grid, Volume } from './volume.js';

const DATATYPES = {
  int8: 256,
  uint8: 2,
  int16: 4,
  uint16: 512,
  int32: 8,
  uint32: 768,
  float32: 16,
  float64: 64,
} as const;

/**
 * A NIfTI-1 file (little-endian, qform and sform both as scanner coordinates, RAS), compressed unless `gzip` is false. The same volume
 * gives the same bytes. `description` is the header's free text, of which 79 letters are kept.
 */
export function writeNifti(
  volume: Volume,
  { gzip = true, description = '' }: { readonly gzip?: boolean; readonly description?: string } = {},
): Uint8Array {
  const type = pixelTypeOf(volume.data);
  const file = new Uint8Array(352 + volume.data.byteLength);
  const view = new DataView(file.buffer);
  const float = (at: number, value: number) => view.setFloat32(at, value, true);
  view.setInt32(0, 348, true);
  [3, ...volume.size, 1, 1, 1, 1].forEach((size, i) => {
    view.setInt16(40 + 2 * i, size, true);
  });
  view.setInt16(70, DATATYPES[type], true);
  view.setInt16(72, 8 * volume.data.BYTES_PER_ELEMENT, true);
  const ras = rasAxes(volume);
  const { quaternion, handedness } = quaternionOf(ras);
  [handedness, ...volume.spacingMm].forEach((value, i) => {
    float(76 + 4 * i, value);
  });
  float(108, 352);
  float(112, 1);
  view.setUint8(123, 2);
  view.setInt16(252, 1, true);
  view.setInt16(254, 1, true);
  const offset = [-volume.origin[0], -volume.origin[1], volume.origin[2]];
  quaternion.forEach((value, i) => {
    float(256 + 4 * i, value);
  });
  for (let row = 0; row < 3; row++) {
    float(268 + 4 * row, offset[row]!);
    for (let axis = 0; axis < 3; axis++)
      float(280 + 16 * row + 4 * axis, ras[3 * row + axis]! * volume.spacingMm[axis]!);
    float(280 + 16 * row + 12, offset[row]!);
  }
  file.set(Buffer.from(description, 'latin1').subarray(0, 79), 148);
  file.set([0x6e, 0x2b, 0x31, 0], 344);
  file.set(bytesOf(volume.data), 352);
  return gzip ? gzipSync(file) : file;
}

/** The direction matrix with its first two rows turned from L and P to R and A. */
const rasAxes = ({ direction }: Grid): number[] => direction.map((value, i) => (i < 6 ? -value : value));

/** The rotation as quatern_b, c, d, and qfac: −1 where the third axis is mirrored. */
function quaternionOf(axes: readonly number[]): { quaternion: number[]; handedness: 1 | -1 } {
  const at = (row: number, axis: number): number => axes[3 * row + axis]!;
  const determinant =
    at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
    at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
    at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  const handedness = determinant < 0 ? -1 : 1;
  const rotation = axes.map((value, i) => (i % 3 === 2 ? handedness * value : value));
  const r = (row: number, axis: number): number => rotation[3 * row + axis]!;
  // The largest of the four components first, so that none is found by dividing by something small.
  const squares = [
    1 + r(0, 0) + r(1, 1) + r(2, 2),
    1 + r(0, 0) - r(1, 1) - r(2, 2),
    1 - r(0, 0) + r(1, 1) - r(2, 2),
    1 - r(0, 0) - r(1, 1) + r(2, 2),
  ];
  const largest = squares.indexOf(Math.max(...squares));
  const root = Math.sqrt(squares[largest]!) / 2;
  const part = (one: number, other: number): number => (one + other) / (4 * root);
  const components = [
    [root, part(r(2, 1), -r(1, 2)), part(r(0, 2), -r(2, 0)), part(r(1, 0), -r(0, 1))],
    [part(r(2, 1), -r(1, 2)), root, part(r(0, 1), r(1, 0)), part(r(0, 2), r(2, 0))],
    [part(r(0, 2), -r(2, 0)), part(r(0, 1), r(1, 0)), root, part(r(1, 2), r(2, 1))],
    [part(r(1, 0), -r(0, 1)), part(r(0, 2), r(2, 0)), part(r(1, 2), r(2, 1)), root],
  ][largest]!;
  // The standard leaves the first component out and takes it as positive.
  const sign = components[0]! < 0 ? -1 : 1;
  return { quaternion: components.slice(1).map((value) => sign * value), handedness };
}
