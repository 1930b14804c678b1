import { ConcordatError } from '../../../../shared/errors.js';
import { cropGrid } from '../../../imaging/crop.js';
import { wholeBox } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Vec3, Volume } from '../../../imaging/volume.js';
import { waveletTaps } from '../wavelet-taps.js';
import { grown, type Part, reached } from './boundary.js';
import { type Frequency, rieszTransfer, symmetricTransfer, transferResponse } from './fourier.js';
import { gaborResponse } from './gabor.js';
import {
  type Kernel,
  type Kernels,
  oddKernel,
  pooledResponse,
  reachOf,
  reachOfAll,
  rotated,
  rotations,
  withHoles,
} from './separable.js';
import type { Ibsi2Filter, Ibsi2Settings } from './settings.js';

/**
 * The response map of an IBSI 2 filter, float64, on `region` (the whole image where missing). Filters are computed as if on the whole
 * image, the boundary condition applying at its edges alone.
 *
 * @throws ConcordatError IMAGE_SETTINGS_INVALID where settings contradict each other: letters or orders for another dimension, a mean
 * filter of even size, an unknown wavelet, rotations of a filter that has none.
 */
export function ibsi2Response(image: Volume, settings: Ibsi2Settings, region?: Box): Volume<Float64Array> {
  const { filter } = settings;
  const within = region ?? wholeBox(image.size);
  const part: Part = { data: image.data, box: wholeBox(image.size), size: image.size };
  return { ...cropGrid(image, within), data: response(part, image.spacingMm, within, filter, settings) };
}

function response(
  part: Part,
  spacingMm: Vec3,
  region: Box,
  filter: Ibsi2Filter,
  settings: Ibsi2Settings,
): Float64Array {
  const { boundary, dimension, pooling } = settings;
  const refuseRotations = (): void => {
    if (pooling !== undefined) throw invalid(`filter ${filter.kind}: it has no rotations to pool over`);
  };
  switch (filter.kind) {
    case 'mean': {
      refuseRotations();
      if (filter.sizeVoxels % 2 === 0) throw invalid('filter.sizeVoxels: the mean filter needs an odd size');
      return pooledResponse(part, region, [meanKernels(filter.sizeVoxels, dimension)], boundary, 'mean');
    }
    case 'log': {
      refuseRotations();
      return logResponse(part, spacingMm, region, filter, settings);
    }
    case 'laws':
      return lawsResponse(part, region, filter, settings);
    case 'gabor':
      if (pooling !== undefined && filter.thetaStepDegrees === undefined)
        throw invalid('filter.thetaStepDegrees: pooling over orientations needs a step');
      if (dimension === '2D' && filter.planes === 'orthogonal')
        throw invalid('filter.planes: orthogonal planes need dimension 3D');
      return gaborResponse(part, spacingMm, region, filter, boundary, pooling ?? 'max');
    case 'wavelet':
      return waveletResponse(part, region, filter, settings);
    case 'simoncelli':
      refuseRotations();
      return transferResponse(part, region, simoncelli(filter, dimension), simoncelliPadding(filter), settings);
  }
}

const invalid = (message: string) => new ConcordatError('IMAGE_SETTINGS_INVALID', message);

function meanKernels(size: number, dimension: '2D' | '3D'): Kernels {
  const kernel = new Array<number>(size).fill(1 / size);
  return [kernel, kernel, dimension === '3D' ? kernel : null];
}

/** One kernel an axis from as many names as there are dimensions. */
function kernelsOf(
  names: readonly string[],
  dimension: '2D' | '3D',
  kernel: (name: string) => readonly number[],
): Kernels {
  if (names.length !== (dimension === '3D' ? 3 : 2))
    throw invalid(`filter: ${names.join('')} has ${names.length} letters, but the filter is ${dimension}`);
  const at = (axis: number): Kernel => (names[axis] === undefined ? null : kernel(names[axis]));
  return [at(0), at(1), at(2)];
}

// Laplacian of Gaussian: the sum over axes of a second derivative along it and Gaussians along the others.

type Log = Extract<Ibsi2Filter, { kind: 'log' }>;

interface LogAxis {
  readonly smooth: readonly number[];
  readonly bent: readonly number[];
}

function logAxis(sigmaVoxels: number, truncate: number): LogAxis {
  const reach = Math.floor(truncate * sigmaVoxels + 0.5);
  const offsets = Array.from({ length: 2 * reach + 1 }, (_, k) => k - reach);
  const square = sigmaVoxels * sigmaVoxels;
  const smooth = offsets.map((k) => Math.exp(-(k * k) / (2 * square)) / Math.sqrt(2 * Math.PI * square));
  return { smooth, bent: smooth.map((g, i) => (g * ((offsets[i]! * offsets[i]!) / square - 1)) / square) };
}

function logResponse(part: Part, spacingMm: Vec3, region: Box, filter: Log, settings: Ibsi2Settings): Float64Array {
  const { boundary, dimension } = settings;
  const dimensions = dimension === '3D' ? 3 : 2;
  const axes = spacingMm.slice(0, dimensions).map((mm) => logAxis(filter.sigmaMm / mm, filter.truncate));
  if (filter.riesz !== undefined) {
    const tables = axes.map(({ smooth, bent }) => ({ smooth: tabled(smooth), bent: tabled(bent) }));
    const base = ({ exact }: Frequency): number => {
      let sum = 0;
      for (let bend = 0; bend < dimensions; bend++) {
        let product = 1;
        for (let axis = 0; axis < dimensions; axis++)
          product *= tables[axis]![axis === bend ? 'bent' : 'smooth'](exact[axis]!);
        sum += product;
      }
      return sum;
    };
    const transfer = rieszTransfer(ordersOf(filter.riesz, dimension), base);
    return transferResponse(part, region, transfer, (count) => Math.floor(count / 2), settings);
  }
  const total = axes.map((_, bend) => {
    const kernel = (axis: number): Kernel =>
      axis >= dimensions ? null : axes[axis]![axis === bend ? 'bent' : 'smooth'];
    return pooledResponse(part, region, [[kernel(0), kernel(1), kernel(2)]], boundary, 'mean');
  });
  const [sum, ...rest] = total as [Float64Array, ...Float64Array[]];
  for (const term of rest) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + term[i]!;
  return sum;
}

/** A symmetric kernel's transfer function, each frequency computed once. */
function tabled(kernel: readonly number[]): (frequency: number) => number {
  const known = new Map<number, number>();
  return (frequency) => {
    let value = known.get(frequency);
    if (value === undefined) {
      value = symmetricTransfer(kernel, frequency);
      known.set(frequency, value);
    }
    return value;
  };
}

function ordersOf(orders: readonly number[], dimension: '2D' | '3D'): readonly number[] {
  if (orders.length !== (dimension === '3D' ? 3 : 2))
    throw invalid(`filter.riesz: ${orders.length} orders, but the filter is ${dimension}`);
  return orders;
}

// Laws: K. Laws, Rapid texture identification, Proc. SPIE 238 (1980) 376-381.

type Laws = Extract<Ibsi2Filter, { kind: 'laws' }>;

const LAWS: Readonly<Record<string, readonly number[]>> = {
  L5: [1, 4, 6, 4, 1],
  E5: [-1, -2, 0, 2, 1],
  S5: [-1, 0, 2, 0, -1],
  W5: [-1, 2, 0, -2, 1],
  R5: [1, -4, 6, -4, 1],
  L3: [1, 2, 1],
  E3: [-1, 0, 1],
  S3: [-1, 2, -1],
};

function lawsResponse(part: Part, region: Box, filter: Laws, settings: Ibsi2Settings): Float64Array {
  const { boundary, dimension, pooling } = settings;
  const names = filter.kernels.match(/../g) ?? [];
  const kernels = kernelsOf(names, dimension, (name) => normalised(LAWS[name]!));
  const filters = pooling === undefined ? [kernels] : rotations(dimension).map((turn) => rotated(kernels, turn));
  const distance = filter.energyDistance;
  if (distance === undefined) return pooledResponse(part, region, filters, boundary, pooling ?? 'mean');
  const mean = meanKernels(2 * distance + 1, dimension);
  const around = reached(grown(region, reachOf(mean)), part.size, boundary);
  const data = pooledResponse(part, around, filters, boundary, pooling ?? 'mean');
  for (let i = 0; i < data.length; i++) data[i] = Math.abs(data[i]!);
  return pooledResponse({ data, box: around, size: part.size }, region, [mean], boundary, 'mean');
}

function normalised(kernel: readonly number[]): number[] {
  const norm = Math.sqrt(kernel.reduce((sum, tap) => sum + tap * tap, 0));
  return kernel.map((tap) => tap / norm);
}

// Separable wavelets, undecimated: low-pass along all axes on every level but the last, with zeros between taps from the second on.

type Wavelet = Extract<Ibsi2Filter, { kind: 'wavelet' }>;

function waveletResponse(part: Part, region: Box, filter: Wavelet, settings: Ibsi2Settings): Float64Array {
  const { boundary, dimension, pooling } = settings;
  const taps = waveletTaps(filter.family);
  const letters = [...filter.bands];
  const byLetter = (letter: string) => oddKernel(letter === 'L' ? taps.decompositionLow : taps.decompositionHigh);
  const low = kernelsOf(
    letters.map(() => 'L'),
    dimension,
    byLetter,
  );
  const band = kernelsOf(letters, dimension, byLetter);
  const spread = (kernels: Kernels, level: number): Kernels => {
    let [x, y, z] = kernels;
    for (let k = 1; k < level; k++) [x, y, z] = [withHoles(x), withHoles(y), withHoles(z)];
    return [x, y, z];
  };
  if (filter.level === 1) {
    const filters = pooling === undefined ? [band] : rotations(dimension).map((turn) => rotated(band, turn));
    return pooledResponse(part, region, filters, boundary, pooling ?? 'mean');
  }
  // Each rotation turns its low-passes too, so the levels of one rotation are run through before the next.
  const turns = pooling === undefined ? [null] : rotations(dimension);
  const distinctTurns = new Map(
    turns.map((turn) => {
      const [l, b] = turn === null ? [low, band] : [rotated(low, turn), rotated(band, turn)];
      return [[...l, ...b].map(String).join(';'), [l, b] as const];
    }),
  );
  let pooled: Float64Array | null = null;
  for (const [l, b] of distinctTurns.values()) {
    const chain = Array.from({ length: filter.level }, (_, k) => spread(k + 1 < filter.level ? l : b, k + 1));
    const one = chained(part, region, chain, settings);
    if (pooled === null) pooled = one;
    else
      for (let i = 0; i < one.length; i++)
        pooled[i] =
          pooling === 'mean'
            ? pooled[i]! + one[i]!
            : pooling === 'max'
              ? Math.max(pooled[i]!, one[i]!)
              : Math.min(pooled[i]!, one[i]!);
  }
  if (pooling === 'mean') for (let i = 0; i < pooled!.length; i++) pooled![i] = pooled![i]! / distinctTurns.size;
  return pooled!;
}

/** Filters one after another, the boundary condition applied to the response of each. */
function chained(part: Part, region: Box, chain: readonly Kernels[], { boundary }: Ibsi2Settings): Float64Array {
  const regions = [region];
  for (const kernels of [...chain.slice(1)].reverse())
    regions.unshift(reached(grown(regions[0]!, reachOfAll([kernels])), part.size, boundary));
  let current = part;
  for (const [k, kernels] of chain.entries()) {
    const data = pooledResponse(current, regions[k]!, [kernels], boundary, 'mean');
    current = { data, box: regions[k]!, size: part.size };
  }
  return current.data as Float64Array;
}

// Simoncelli's non-separable wavelet: J. Portilla and E. Simoncelli, Int. J. Comput. Vis. 40 (2000) 49-71.

type Simoncelli = Extract<Ibsi2Filter, { kind: 'simoncelli' }>;

function simoncelli(filter: Simoncelli, dimension: '2D' | '3D') {
  let highest = 1;
  for (let level = 1; level < filter.level; level++) highest /= 2;
  const band = ({ centred }: Frequency): number => {
    const frequency = Math.sqrt(centred[0]! * centred[0]! + centred[1]! * centred[1]! + centred[2]! * centred[2]!);
    if (frequency < highest / 4 || frequency > highest) return 0;
    return Math.cos((Math.PI / 2) * Math.log2((2 * frequency) / highest));
  };
  return rieszTransfer(filter.riesz === undefined ? [] : ordersOf(filter.riesz, dimension), band);
}

/**
 * IBSI 2's consensus values of the wavelet itself take the image as periodic, whatever boundary condition is named. Its Riesz transforms
 * have one: a level's kernel has all but a thousandth of its energy within 8 · 2^(level − 1) voxels, and Riesz' falls off slowly.
 */
function simoncelliPadding(filter: Simoncelli): (() => number) | null {
  if (filter.riesz === undefined) return null;
  let reach = 8;
  for (let level = 1; level < filter.level; level++) reach *= 2;
  return () => reach + 16;
}
