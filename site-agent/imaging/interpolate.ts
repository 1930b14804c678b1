import { type AlignedPositions, fourTapRows, type Kernel, nearestRows, type RowSampler } from './aligned-rows.js';
import { splineCoefficients } from './bspline.js';
import { emptyLike } from './crop.js';
import { gaussianSampler } from './gaussian-sampler.js';
import { itkInverse } from './itk-inverse.js';
import { boxSize, wholeBox } from './lines.js';
import type { Box } from './roi.js';
import { requireRoom } from './room.js';
import { type Grid, gridOf, type Samples, type Vec3, type Volume, voxelCount } from './volume.js';

/**
 * Resampling of a volume onto another grid, as ITK's ResampleImageFilter with the identity transform: positions are interpolated
 * along each row between the row's ends, a position farther than half a voxel outside the image gets `outside`, and integer pixel
 * types are clamped to their range and truncated toward zero.
 *
 * `bspline` is the cubic B-spline with mirror boundaries, `cubic` the interpolating cubic convolution with a = −1/2 (R. Keys, IEEE
 * Trans. Acoust. 29 (1981) 1153-1160) with the edge value repeated. The windowed sincs have ITK's radius of 5 voxels and repeat the
 * edge value; `gaussian` is ITK's with σ = 0.8 voxels, cut at 4 σ.
 */
export type Interpolator =
  | 'nearest'
  | 'linear'
  | 'cubic'
  | 'bspline'
  | 'gaussian'
  | 'hammingSinc'
  | 'cosineSinc'
  | 'welchSinc'
  | 'lanczosSinc'
  | 'blackmanSinc';

export interface ResampleOptions<O extends Samples> {
  /** Value outside the image; 0. */
  readonly outside?: number;
  /** An array of the pixel type to give; the volume's own where missing. Float64 keeps what the interpolator gave. */
  readonly pixelType?: O;
}

/**
 * The values of `volume` at the voxel centres of `target`.
 *
 * Only the part of the volume under the target is looked at (for the spline, and 64 voxels around it).
 *
 * @throws ConcordatError IMAGE_TOO_LARGE where the target is a grid that no memory holds
 */
export function resampleVolume<T extends Samples, O extends Samples = T>(
  volume: Volume<T>,
  target: Grid,
  interpolator: Interpolator,
  options: ResampleOptions<O> = {},
): Volume<T | O> {
  const like = options.pixelType ?? volume.data;
  requireRoom(target.size, like.BYTES_PER_ELEMENT, 'voxels of the new grid');
  const data = emptyLike<Samples>(like, voxelCount(target)) as T | O;
  const outside = options.outside ?? 0;
  const [lowest, highest] = rangeOf(data);
  const [nx, ny, nz] = target.size;
  const positions = alignedPositions(volume, target);
  const sampleRow = positions === null ? null : rowSamplerOf(volume, target, interpolator, positions);
  if (sampleRow !== null) {
    const [insideX, insideY, insideZ] = positions!.isInside;
    const row = new Float64Array(nx);
    data.fill(outside);
    for (let y = 0; y < ny; y++)
      for (let z = 0; z < nz; z++) {
        if (insideY[y] === 0 || insideZ[z] === 0) continue;
        sampleRow(y, z, row);
        const at = nx * (y + ny * z);
        for (let x = 0; x < nx; x++) {
          if (insideX[x] === 0) continue;
          const value = row[x]!;
          data[at + x] = value < lowest ? lowest : value > highest ? highest : value;
        }
      }
    return { ...gridOf(target), data };
  }
  const sample = samplerOf(volume, target, interpolator);
  const toIndex = indexMap(volume, target);
  const position = new Float64Array(3);
  const { size } = volume;
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const start = toIndex(0, y, z);
      const end = toIndex(nx, y, z);
      for (let x = 0; x < nx; x++, at++) {
        const alpha = x / nx;
        for (let axis = 0; axis < 3; axis++) position[axis] = start[axis]! + alpha * (end[axis]! - start[axis]!);
        if (!isInside(position, size)) {
          data[at] = outside;
          continue;
        }
        const value = sample(position);
        data[at] = value < lowest ? lowest : value > highest ? highest : value;
      }
    }
  return { ...gridOf(target), data };
}

const isDiagonal = (matrix: readonly number[]): boolean => matrix.every((entry, k) => k % 4 === 0 || entry === 0);

/** Positions axis by axis where the target's axes are the image's and both are the patient's; null elsewhere. */
function alignedPositions(volume: Grid, target: Grid): AlignedPositions | null {
  if (!isDiagonal(volume.direction) || !isDiagonal(target.direction)) return null;
  const [nx, ny, nz] = target.size;
  const toIndex = indexMap(volume, target);
  const [start, end] = [toIndex(0, 0, 0)[0], toIndex(nx, 0, 0)[0]];
  const at = [
    Float64Array.from({ length: nx }, (_, x) => start + (x / nx) * (end - start)),
    Float64Array.from({ length: ny }, (_, y) => toIndex(0, y, 0)[1]),
    Float64Array.from({ length: nz }, (_, z) => toIndex(0, 0, z)[2]),
  ] as const;
  const within = (axis: 0 | 1 | 2) =>
    Uint8Array.from(at[axis], (position) => (position >= -0.5 && position < volume.size[axis] - 0.5 ? 1 : 0));
  return { at, isInside: [within(0), within(1), within(2)] };
}

/** Rows at once for the interpolators that are used most. */
function rowSamplerOf(
  volume: Volume,
  target: Grid,
  interpolator: Interpolator,
  positions: AlignedPositions,
): RowSampler | null {
  const { data, size } = volume;
  if (interpolator === 'nearest') return nearestRows(data, size, positions);
  if (interpolator === 'cubic') return fourTapRows(CUBIC, data, wholeBox(size), size, positions);
  if (interpolator !== 'bspline') return null;
  const { data: coefficients, box } = splineCoefficients(data, size, support(volume, target, 4));
  return fourTapRows(SPLINE, coefficients, box, size, positions);
}

function isInside(position: Float64Array, size: Vec3): boolean {
  for (let axis = 0; axis < 3; axis++)
    if (!(position[axis]! >= -0.5 && position[axis]! < size[axis]! - 0.5)) return false;
  return true;
}

/** Smallest and largest value of a pixel type; a typed array truncates what lies between. */
export function rangeOf(data: Samples): readonly [number, number] {
  if (data instanceof Float64Array || data instanceof Float32Array) return [-Infinity, Infinity];
  const bits = 8 * data.BYTES_PER_ELEMENT;
  const states = 2 ** bits;
  const isSigned = data instanceof Int8Array || data instanceof Int16Array || data instanceof Int32Array;
  return isSigned ? [-states / 2, states / 2 - 1] : [0, states - 1];
}

/** Continuous index in `volume` of a voxel index of `target`. */
function indexMap(volume: Grid, target: Grid): (x: number, y: number, z: number) => Vec3 {
  const m = target.direction.map((d, k) => d * target.spacingMm[k % 3]!);
  const inverse = inverseOf(volume.direction.map((d, k) => d * volume.spacingMm[k % 3]!));
  const offset = [0, 1, 2].map((row) => target.origin[row]!);
  return (x, y, z) => {
    const from = (row: number): number =>
      offset[row]! + m[3 * row]! * x + m[3 * row + 1]! * y + m[3 * row + 2]! * z - volume.origin[row]!;
    const [a, b, c] = [from(0), from(1), from(2)];
    const along = (row: number) => inverse[3 * row]! * a + inverse[3 * row + 1]! * b + inverse[3 * row + 2]! * c;
    return [along(0), along(1), along(2)];
  };
}

/** Inverse of a 3 × 3 matrix as ITK has it; exact reciprocals where the axes are aligned. */
function inverseOf(m: readonly number[]): number[] {
  const isDiagonal = m.every((entry, k) => k % 4 === 0 || entry === 0);
  return isDiagonal ? m.map((entry, k) => (k % 4 === 0 ? 1 / entry : 0)) : itkInverse(m);
}

/** The voxels of `volume` that the target's corners, and so all of it, lie between, with room for an interpolator's neighbours. */
function support(volume: Grid, target: Grid, margin: number): Box {
  const toIndex = indexMap(volume, target);
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((k) =>
    toIndex((k & 1) * (target.size[0] - 1), ((k >> 1) & 1) * (target.size[1] - 1), (k >> 2) * (target.size[2] - 1)),
  );
  const clip = (value: number, axis: number) => Math.min(volume.size[axis]! - 1, Math.max(0, value));
  const lower = (axis: number) => clip(Math.floor(Math.min(...corners.map((c) => c[axis]!))) - margin, axis);
  const upper = (axis: number) => clip(Math.ceil(Math.max(...corners.map((c) => c[axis]!))) + margin, axis);
  return { lower: [lower(0), lower(1), lower(2)], upper: [upper(0), upper(1), upper(2)] };
}

type Sampler = (position: Float64Array) => number;

function samplerOf(volume: Volume, target: Grid, interpolator: Interpolator): Sampler {
  const { data, size } = volume;
  switch (interpolator) {
    case 'nearest':
      return nearestSampler(data, size);
    case 'linear':
      return linearSampler(data, size);
    case 'bspline': {
      const { data: coefficients, box } = splineCoefficients(data, size, support(volume, target, 4));
      return kernelSampler(coefficients, box, size, SPLINE);
    }
    case 'cubic':
      return kernelSampler(data, wholeBox(size), size, CUBIC);
    case 'gaussian':
      return gaussianSampler(volume);
    default:
      return kernelSampler(data, wholeBox(size), size, windowedSinc(WINDOWS[interpolator]));
  }
}

function nearestSampler(data: Samples, [nx, ny]: Vec3): Sampler {
  return (position) => {
    const x = Math.floor(position[0]! + 0.5);
    const y = Math.floor(position[1]! + 0.5);
    const z = Math.floor(position[2]! + 0.5);
    return data[x + nx * (y + ny * z)]!;
  };
}

function linearSampler(data: Samples, [nx, ny, nz]: Vec3): Sampler {
  return (position) => {
    const x = Math.max(0, Math.floor(position[0]!));
    const y = Math.max(0, Math.floor(position[1]!));
    const z = Math.max(0, Math.floor(position[2]!));
    const fx = Math.max(0, position[0]! - x);
    const fy = Math.max(0, position[1]! - y);
    const fz = Math.max(0, position[2]! - z);
    const base = x + nx * (y + ny * z);
    const dx = fx > 0 && x < nx - 1 ? 1 : 0;
    const dy = fy > 0 && y < ny - 1 ? nx : 0;
    const dz = fz > 0 && z < nz - 1 ? nx * ny : 0;
    const along = (at: number) => {
      const first = data[at]!;
      return first + (data[at + dx]! - first) * fx;
    };
    const plane = (at: number) => {
      const first = along(at);
      return first + (along(at + dy) - first) * fy;
    };
    const first = plane(base);
    return first + (plane(base + dz) - first) * fz;
  };
}

function kernelSampler(data: Samples, box: Box, size: Vec3, kernel: Kernel): Sampler {
  const { taps } = kernel;
  const strides = [1, boxSize(box)[0], boxSize(box)[0] * boxSize(box)[1]] as const;
  const last = new Float64Array(3).fill(Number.NaN);
  const weights = [0, 1, 2].map(() => new Float64Array(taps));
  const offsets = [0, 1, 2].map(() => new Int32Array(taps));
  const [wx, wy, wz] = weights as [Float64Array, Float64Array, Float64Array];
  const [ox, oy, oz] = offsets as [Int32Array, Int32Array, Int32Array];
  const plane = new Float64Array(taps * taps);
  const at = new Int32Array(taps * taps);
  return (position) => {
    for (let axis = 0; axis < 3; axis++) {
      const p = position[axis]!;
      if (p === last[axis]) continue;
      last[axis] = p;
      const first = kernel.first(p);
      kernel.weigh(p, first, weights[axis]!, size[axis]!);
      for (let k = 0; k < taps; k++)
        offsets[axis]![k] = (kernel.inside(first + k, size[axis]!) - box.lower[axis]!) * strides[axis]!;
    }
    for (let j = 0, k = 0; j < taps; j++)
      for (let i = 0; i < taps; i++, k++) {
        plane[k] = wx[i]! * wy[j]!;
        at[k] = ox[i]! + oy[j]!;
      }
    let sum = 0;
    for (let l = 0; l < taps; l++) {
      const w = wz[l]!;
      const o = oz[l]!;
      for (let k = 0; k < plane.length; k++) sum += plane[k]! * w * data[at[k]! + o]!;
    }
    return sum;
  };
}

const clamped = (voxel: number, count: number) => (voxel < 0 ? 0 : voxel >= count ? count - 1 : voxel);
const mirrored = (voxel: number, count: number) => {
  if (count === 1) return 0;
  const up = voxel < 0 ? -voxel : voxel;
  return clamped(up >= count ? 2 * (count - 1) - up : up, count);
};

const SPLINE: Kernel = {
  taps: 4,
  // ITK rounds the position to float32 before it takes the floor.
  first: (position) => Math.floor(Math.fround(position)) - 1,
  weigh(position, first, weights) {
    const w = position - (first + 1);
    const w3 = (1 / 6) * w * w * w;
    const w0 = 1 / 6 + 0.5 * w * (w - 1) - w3;
    const w2 = w + w0 - 2 * w3;
    weights[0] = w0;
    weights[1] = 1 - w0 - w2 - w3;
    weights[2] = w2;
    weights[3] = w3;
  },
  inside: mirrored,
};

const CUBIC: Kernel = {
  taps: 4,
  first: (position) => Math.floor(position) - 1,
  weigh(position, first, weights) {
    const t = position - (first + 1);
    weights[0] = ((-0.5 * t + 1) * t - 0.5) * t;
    weights[1] = (1.5 * t - 2.5) * t * t + 1;
    weights[2] = ((-1.5 * t + 2) * t + 0.5) * t;
    weights[3] = (0.5 * t - 0.5) * t * t;
  },
  inside: clamped,
};

const SINC_RADIUS = 5;

type SincName = 'hammingSinc' | 'cosineSinc' | 'welchSinc' | 'lanczosSinc' | 'blackmanSinc';

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The windows over |x| < radius. */
const WINDOWS: Record<SincName, (x: number) => number> = {
  hammingSinc: (x) => 0.54 + 0.46 * Math.cos((x * Math.PI) / SINC_RADIUS),
  cosineSinc: (x) => Math.cos((x * Math.PI) / (2 * SINC_RADIUS)),
  welchSinc: (x) => 1 - (x * x) / (SINC_RADIUS * SINC_RADIUS),
  lanczosSinc: (x) => sinc(x / SINC_RADIUS),
  blackmanSinc: (x) =>
    0.42 + 0.5 * Math.cos((x * Math.PI) / SINC_RADIUS) + 0.08 * Math.cos((2 * x * Math.PI) / SINC_RADIUS),
};

const windowedSinc = (window: (x: number) => number): Kernel => ({
  taps: 2 * SINC_RADIUS,
  first: (position) => Math.floor(position) - SINC_RADIUS + 1,
  weigh(position, first, weights) {
    const distance = position - (first + SINC_RADIUS - 1);
    for (let k = 0; k < weights.length; k++) {
      const x = distance + SINC_RADIUS - 1 - k;
      weights[k] = distance === 0 ? (k === SINC_RADIUS - 1 ? 1 : 0) : window(x) * sinc(x);
    }
  },
  inside: clamped,
});
