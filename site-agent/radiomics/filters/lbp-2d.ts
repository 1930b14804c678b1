import { emptyLike } from '../../imaging/crop.js';
import { boxSize } from '../../imaging/lines.js';
import type { Samples } from '../../imaging/volume.js';
import {
  type FilteredImage,
  type FilterInput,
  type FilterSettings,
  filteredVolume,
  type LbpMethod,
  regionOf,
} from './filter.js';

/**
 * Local binary patterns in every plane, as PyRadiomics has them of scikit-image (T. Ojala, M. Pietikäinen, T. Mäenpää, IEEE Trans.
 * Pattern Anal. 24 (2002) 971-987): samples on a circle by bilinear interpolation, zero outside the plane, each compared with the
 * centre. The result is written into the image's own pixel type, so that in an integer image `var` loses its fraction.
 */
export function* localBinaryPattern2D(input: FilterInput, settings: FilterSettings): Generator<FilteredImage> {
  const { data, size } = input.image;
  const samples = settings.lbp2DSamples ?? 8;
  const radius = settings.lbp2DRadius ?? 1;
  const outOfPlane = (2 - (settings.force2Ddimension ?? 0)) as 0 | 1 | 2;
  const steps = [1, size[0], size[0] * size[1]] as const;
  // scikit-image's rows and columns: PyRadiomics swaps the out-of-plane axis with the first of its (z, y, x) arrays.
  const [rowAxis, columnAxis] = outOfPlane === 2 ? [1, 0] : outOfPlane === 1 ? [2, 0] : [1, 2];
  const plane: Plane = {
    data,
    rows: size[rowAxis as 0 | 1 | 2],
    columns: size[columnAxis as 0 | 1 | 2],
    rowStep: steps[rowAxis as 0 | 1 | 2],
    columnStep: steps[columnAxis as 0 | 1 | 2],
  };
  const circle = circleOf(samples, radius);
  const code = coding(settings.lbp2DMethod ?? 'uniform', samples);
  const region = regionOf(input);
  const [nx, ny, nz] = boxSize(region);
  const out = emptyLike<Samples>(data, nx * ny * nz);
  // What a processor makes of NaN in 32 bits, as numpy leaves it; smaller integers keep its lower bits, which are 0.
  const none = data instanceof Int32Array ? -2147483648 : data instanceof Uint32Array ? 2147483648 : Number.NaN;
  const texture = new Float64Array(samples);
  const signs = new Uint8Array(samples);
  const voxel = [0, 0, 0];
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++) {
        voxel[0] = region.lower[0] + x;
        voxel[1] = region.lower[1] + y;
        voxel[2] = region.lower[2] + z;
        const base = voxel[outOfPlane]! * steps[outOfPlane];
        const row = voxel[rowAxis!]!;
        const column = voxel[columnAxis!]!;
        const centre = data[base + row * plane.rowStep + column * plane.columnStep]!;
        for (let k = 0; k < samples; k++) {
          texture[k] = bilinear(plane, base, row + circle.rows[k]!, column + circle.columns[k]!);
          signs[k] = texture[k]! - centre >= 0 ? 1 : 0;
        }
        const value = code(signs, texture);
        out[at] = Number.isNaN(value) ? none : value;
      }
  yield { name: 'lbp-2D', volume: filteredVolume(input, out) };
}

interface Plane {
  readonly data: Samples;
  readonly rows: number;
  readonly columns: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

/** Offsets of the samples, counted from the right against the clock, rounded to five decimals as scikit-image does. */
function circleOf(samples: number, radius: number): { readonly rows: Float64Array; readonly columns: Float64Array } {
  const rounded = (value: number) => roundHalfEven(value * 100000) / 100000;
  const angle = (k: number) => (2 * Math.PI * k) / samples;
  return {
    rows: Float64Array.from({ length: samples }, (_, k) => rounded(-radius * Math.sin(angle(k)))),
    columns: Float64Array.from({ length: samples }, (_, k) => rounded(radius * Math.cos(angle(k)))),
  };
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

function bilinear(plane: Plane, base: number, row: number, column: number): number {
  const top = Math.floor(row);
  const left = Math.floor(column);
  const bottom = Math.ceil(row);
  const right = Math.ceil(column);
  const down = row - top;
  const across = column - left;
  const upper = (1 - across) * pixel(plane, base, top, left) + across * pixel(plane, base, top, right);
  const lower = (1 - across) * pixel(plane, base, bottom, left) + across * pixel(plane, base, bottom, right);
  return (1 - down) * upper + down * lower;
}

function pixel({ data, rows, columns, rowStep, columnStep }: Plane, base: number, row: number, column: number): number {
  if (row < 0 || row >= rows || column < 0 || column >= columns) return 0;
  return data[base + row * rowStep + column * columnStep]!;
}

type Coding = (signs: Uint8Array, texture: Float64Array) => number;

function coding(method: LbpMethod, samples: number): Coding {
  switch (method) {
    case 'default':
      return weighted;
    case 'ror':
      return (signs) => {
        let least = weighted(signs);
        for (let turn = 1; turn < samples; turn++) least = Math.min(least, weighted(signs, turn));
        return least;
      };
    case 'uniform':
      return (signs) => (changes(signs) <= 2 ? ones(signs) : samples + 1);
    case 'nri_uniform':
      return (signs) => (changes(signs) <= 2 ? turnedUniform(signs) : samples * (samples - 1) + 2);
    case 'var':
      return (_, texture) => variance(texture);
  }
}

function weighted(signs: Uint8Array, turn: number | Float64Array = 0): number {
  const first = typeof turn === 'number' ? turn : 0;
  let sum = 0;
  let weight = 1;
  for (let k = 0; k < signs.length; k++, weight *= 2) sum += weight * signs[(k + first) % signs.length]!;
  return sum;
}

/** Changes between neighbouring signs; as scikit-image counts them, not between the last and the first. */
function changes(signs: Uint8Array): number {
  let count = 0;
  for (let k = 1; k < signs.length; k++) if (signs[k] !== signs[k - 1]) count++;
  return count;
}

function ones(signs: Uint8Array): number {
  let count = 0;
  for (const sign of signs) count += sign;
  return count;
}

/** The number of ones and where they begin, for patterns of one run. */
function turnedUniform(signs: Uint8Array): number {
  const samples = signs.length;
  const count = ones(signs);
  if (count === 0) return 0;
  if (count === samples) return samples * (samples - 1) + 1;
  const firstOne = signs.indexOf(1);
  const turned = firstOne === 0 ? count - signs.indexOf(0) : samples - firstOne;
  return 1 + (count - 1) * samples + turned;
}

function variance(texture: Float64Array): number {
  let sum = 0;
  let squares = 0;
  for (const value of texture) {
    sum += value;
    squares += value * value;
  }
  const result = (squares - (sum * sum) / texture.length) / texture.length;
  return result === 0 ? Number.NaN : result;
}
