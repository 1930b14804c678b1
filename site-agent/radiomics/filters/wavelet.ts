import { boxSize, wholeBox, withAxis } from '../../imaging/lines.js';
import type { Box } from '../../imaging/roi.js';
import { requireRoom } from '../../imaging/room.js';
import type { Samples, Vec3 } from '../../imaging/volume.js';
import { weightedRows, weightedRowsFloat32 } from '../../imaging/weighted-rows.js';
import { type FilteredImage, type FilterInput, type FilterSettings, filteredVolume, regionOf } from './filter.js';
import { float32Taps, waveletTaps } from './wavelet-taps.js';

/**
 * The stationary wavelet transform as PyRadiomics has it of PyWavelets' swtn: along each axis the periodic convolution with the
 * decomposition filters, no decimation, the same filters on every level (they are not spread), the first letter of a band for x. An
 * axis of odd length is padded by one voxel from its other end. `force2D` leaves out the axis out of plane.
 *
 * Bands come level by level (`wavelet-LLH`, …, `wavelet2-LLH`, …) and the last level's approximation at the end; float32 images are
 * filtered in float32, all others in float64, summed in PyWavelets' order. The passes along x and y are shared between bands.
 */
export function* stationaryWavelet(input: FilterInput, settings: FilterSettings): Generator<FilteredImage> {
  const { data, size } = input.image;
  const asFloat32 = data instanceof Float32Array;
  const taps = asFloat32 ? float32Taps(settings.wavelet ?? 'coif1') : waveletTaps(settings.wavelet ?? 'coif1');
  const levels = settings.level ?? 1;
  const start = settings.startLevel ?? 0;
  const axes = ([0, 1, 2] as const).filter(
    (axis) => !settings.force2D || axis !== 2 - (settings.force2Ddimension ?? 0),
  );
  const period: Vec3 = [size[0] + (size[0] % 2), size[1] + (size[1] % 2), size[2] + (size[2] % 2)];
  const half = taps.decompositionLow.length / 2;
  // Left and right of a voxel, the transform of one level reads this far.
  const reach = { before: half - 1, after: half };
  const region = regionOf(input);
  const grown = (box: Box, times: number): Box => ({
    lower: shift(box.lower, axes, -times * reach.before),
    upper: shift(box.upper, axes, times * reach.after),
  });
  /** What must be known with so many levels left; of an axis on which that is a whole period or more, one period. */
  const needed = (left: number): Box => withinPeriod(grown(region, left), axes, period);

  let box: Box = wholeBox(size);
  let part: Samples = data;
  for (let level = 0; level < start + levels; level++) {
    const next = needed(start + levels - level - 1);
    const around = grown(next, 1);
    requireRoom(boxSize(around), data.BYTES_PER_ELEMENT, 'voxels that a level of the wavelet looks at');
    if (level === 0 || !isSameBox(around, box)) part = periodicPart(part, box, period, around);
    box = around;
    const passes = axes.map((axis) => ({
      axis,
      range: [next.lower[axis] - box.lower[axis], next.upper[axis] - box.lower[axis] + 1] as const,
      first: box.lower[axis],
      period: period[axis],
      filters: [taps.decompositionLow, taps.decompositionHigh],
    }));
    const isWanted = level >= start;
    let approximation: Floats | null = null;
    for (const band of bands(part, boxSize(box), passes, isWanted, '')) {
      if (band.letters.includes('H')) {
        const volume = filteredVolume(input, isSameBox(next, region) ? band.data : inner(band.data, next, region));
        yield { name: `${levelName(level - start + 1)}-${band.letters}`, volume };
      } else approximation = band.data;
    }
    part = approximation!;
    box = next;
  }
  const name = `${levelName(levels)}-${'L'.repeat(axes.length)}`;
  yield { name, volume: filteredVolume(input, part as Floats) };
}

type Floats = Float32Array | Float64Array;

const levelName = (level: number): string => (level === 1 ? 'wavelet' : `wavelet${level}`);

const shift = (corner: Vec3, axes: readonly number[], by: number): Vec3 => {
  const moved = (axis: 0 | 1 | 2) => corner[axis] + (axes.includes(axis) ? by : 0);
  return [moved(0), moved(1), moved(2)];
};

interface Pass {
  readonly axis: 0 | 1 | 2;
  readonly range: readonly [number, number];
  /** Voxel of the periodic image at which the lines begin. */
  readonly first: number;
  readonly period: number;
  /** Low-pass, high-pass. */
  readonly filters: readonly (readonly number[])[];
}

/** All bands of one level, low before high along each axis; where details are not wanted, the approximation alone. */
function* bands(
  data: Samples,
  size: Vec3,
  passes: readonly Pass[],
  withDetails: boolean,
  letters: string,
): Generator<{ readonly letters: string; readonly data: Floats }> {
  const [pass, ...rest] = passes;
  if (pass === undefined) {
    yield { letters, data: data as Floats };
    return;
  }
  const nextSize = withAxis(size, pass.axis, pass.range[1] - pass.range[0]);
  const filters = withDetails ? pass.filters : pass.filters.slice(0, 1);
  for (const [k, filter] of filters.entries()) {
    const out = floatsLike(data, nextSize[0] * nextSize[1] * nextSize[2]);
    convolve(data, size, pass, filter, out);
    yield* bands(out, nextSize, rest, withDetails, letters + 'LH'[k]!);
  }
}

const floatsLike = (data: Samples, length: number): Floats =>
  data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);

function withinPeriod(box: Box, axes: readonly number[], period: Vec3): Box {
  const size = boxSize(box);
  const isWhole = (axis: 0 | 1 | 2): boolean => axes.includes(axis) && size[axis] >= period[axis];
  const corner = (of: Vec3, whole: (axis: 0 | 1 | 2) => number): Vec3 => {
    const at = (axis: 0 | 1 | 2): number => (isWhole(axis) ? whole(axis) : of[axis]);
    return [at(0), at(1), at(2)];
  };
  return { lower: corner(box.lower, () => 0), upper: corner(box.upper, (axis) => period[axis] - 1) };
}

const isSameBox = (a: Box, b: Box): boolean =>
  [0, 1, 2].every((axis) => a.lower[axis] === b.lower[axis] && a.upper[axis] === b.upper[axis]);

/**
 * The samples of `wanted` from those of `box`, which go on periodically. The image itself may be a voxel short of its period: its first one
 * stands there.
 */
function periodicPart(data: Samples, box: Box, period: Vec3, wanted: Box): Floats {
  const size = boxSize(box);
  const [nx, ny, nz] = boxSize(wanted);
  const out = floatsLike(data, nx * ny * nz);
  const places = ([0, 1, 2] as const).map((axis) =>
    Int32Array.from(
      { length: boxSize(wanted)[axis] },
      (_, k) => wrap(wanted.lower[axis] + k - box.lower[axis], period[axis]) % size[axis],
    ),
  );
  const [xs, ys, zs] = places as [Int32Array, Int32Array, Int32Array];
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = size[0] * (ys[y]! + size[1] * zs[z]!);
      for (let x = 0; x < nx; x++, at++) out[at] = data[row + xs[x]!]!;
    }
  return out;
}

const wrap = (voxel: number, period: number): number => ((voxel % period) + period) % period;

/** The part of a larger box's samples that lies in the region. */
function inner(data: Floats, box: Box, region: Box): Floats {
  const [nx, ny, nz] = boxSize(region);
  const [bx, by] = boxSize(box);
  const out = floatsLike(data, nx * ny * nz);
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++, at += nx) {
      const row =
        region.lower[0] -
        box.lower[0] +
        bx * (region.lower[1] + y - box.lower[1] + by * (region.lower[2] + z - box.lower[2]));
      out.set(data.subarray(row, row + nx), at);
    }
  return out;
}

/**
 * out[k] = Σ_j taps[j] · x[k + F/2 − j] along one axis, on lines that begin at voxel `first` of the periodic image. PyWavelets adds the
 * terms by ascending j, except that near the end of a period those that wrap come first, by descending j; sums are kept in that order,
 * because a last bit can decide a grey-level bin.
 */
function convolve(data: Samples, size: Vec3, pass: Pass, taps: readonly number[], out: Floats): void {
  const { axis, range, first, period } = pass;
  const half = taps.length / 2;
  const step = axis === 0 ? 1 : axis === 1 ? size[0] : size[0] * size[1];
  const length = size[axis];
  const rows = data.length / (step * length);
  const kept = range[1] - range[0];
  const ascending = taps.map((_, j) => j);
  const termsOf = new Map<number, Terms>();
  // How many terms wrap, less one, at the sample k of a line; −1 where none does.
  const wrapsAt = (k: number): number => Math.max(-1, wrap(first + k, period) + half - period);
  const terms = (wraps: number): Terms => {
    let known = termsOf.get(wraps);
    if (known === undefined) {
      const order = [...ascending.slice(0, wraps + 1).reverse(), ...ascending.slice(wraps + 1)].filter(
        (j) => taps[j] !== 0,
      );
      known = {
        shifts: Int32Array.from(order, (j) => (half - j) * step),
        weights: Float64Array.from(order, (j) => taps[j]!),
        offsets: new Int32Array(order.length),
      };
      termsOf.set(wraps, known);
    }
    return known;
  };
  for (let row = 0; row < rows; row++)
    for (let k = 0; k < kept; ) {
      const wraps = wrapsAt(k + range[0]);
      // Along x the samples that share an order of terms are neighbours; along y and z whole rows or planes are.
      let run = 1;
      if (axis === 0 && wraps < 0) while (k + run < kept && wrapsAt(k + run + range[0]) < 0) run++;
      const { shifts, weights, offsets } = terms(wraps);
      const at = (row * length + k + range[0]) * step;
      for (let n = 0; n < offsets.length; n++) offsets[n] = at + shifts[n]!;
      const to = (row * kept + k) * step;
      if (out instanceof Float32Array) weightedRowsFloat32(out, to, data, offsets, weights, run * step);
      else weightedRows(out, to, data, offsets, weights, run * step);
      k += run;
    }
}

interface Terms {
  readonly shifts: Int32Array;
  readonly weights: Float64Array;
  readonly offsets: Int32Array;
}
