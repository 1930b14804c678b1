import type { Grid, Mask } from './volume.js';

/**
 * Squared distance in mm² of every voxel centre to the nearest voxel centre where `isSource` is 1: exact and separable (Felzenszwalb and
 * Huttenlocher, Theory Comput 2012;8:415-28), with the grid's spacing. Infinity everywhere where there is no source.
 */
export function squaredDistances(grid: Grid, isSource: Uint8Array): Float64Array {
  const distances = new Float64Array(isSource.length);
  for (let i = 0; i < distances.length; i++) distances[i] = isSource[i] === 1 ? 0 : Number.POSITIVE_INFINITY;
  const stride = [1, grid.size[0], grid.size[0] * grid.size[1]];
  for (let axis = 0; axis < 3; axis++) {
    const length = grid.size[axis]!;
    const envelope = new Envelope(length, grid.spacingMm[axis]!);
    for (let line = 0; line < distances.length / length; line++) {
      const start = Math.floor(line / stride[axis]!) * stride[axis]! * length + (line % stride[axis]!);
      envelope.transform(distances, start, stride[axis]!);
    }
  }
  return distances;
}

/** Lower envelope of the parabolas (x - v)² s² + f(v) along one line. */
class Envelope {
  private readonly values: Float64Array;
  /** Positions of the parabolas in the envelope, and where each begins to be the lowest. */
  private readonly vertex: Int32Array;
  private readonly from: Float64Array;

  constructor(
    private readonly length: number,
    private readonly spacingMm: number,
  ) {
    this.values = new Float64Array(length);
    this.vertex = new Int32Array(length);
    this.from = new Float64Array(length + 1);
  }

  transform(data: Float64Array, start: number, stride: number): void {
    const { length, spacingMm, values, vertex, from } = this;
    const unit = spacingMm * spacingMm;
    let last = -1;
    for (let at = 0; at < length; at++) {
      const value = data[start + at * stride]!;
      values[at] = value;
      if (value === Number.POSITIVE_INFINITY) continue;
      let begins = Number.NEGATIVE_INFINITY;
      while (last >= 0) {
        const other = vertex[last]!;
        begins = (value / unit + at * at - (values[other]! / unit + other * other)) / (2 * (at - other));
        if (begins > from[last]!) break;
        last--;
      }
      last++;
      vertex[last] = at;
      from[last] = last === 0 ? Number.NEGATIVE_INFINITY : begins;
    }
    if (last < 0) return;
    from[last + 1] = Number.POSITIVE_INFINITY;
    for (let at = 0, part = 0; at < length; at++) {
      while (from[part + 1]! < at) part++;
      const step = (at - vertex[part]!) * spacingMm;
      data[start + at * stride] = step * step + values[vertex[part]!]!;
    }
  }
}

const inverse = (data: Uint8Array): Uint8Array => data.map((value) => 1 - value);

/** Voxels outside the region whose centre is within `radiusMm` of a voxel centre of it; `within` (an organ) clips them. */
export function ringOf(mask: Mask, radiusMm: number, within: Mask | null = null): Mask {
  const distances = squaredDistances(mask, mask.data);
  const data = new Uint8Array(mask.data.length);
  for (let i = 0; i < data.length; i++)
    if (mask.data[i] === 0 && Math.sqrt(distances[i]!) <= radiusMm && (within === null || within.data[i] === 1))
      data[i] = 1;
  return { ...mask, data };
}

/** The region and its ring. The region itself is never clipped. */
export function dilated(mask: Mask, radiusMm: number, within: Mask | null = null): Mask {
  const ring = ringOf(mask, radiusMm, within);
  return { ...mask, data: ring.data.map((value, at) => value | mask.data[at]!) };
}

/**
 * Voxels of the region whose centre is farther than `radiusMm` from every voxel centre outside it. What lies beyond the image is not outside: a
 * region that touches the border is not eroded from there.
 */
export function eroded(mask: Mask, radiusMm: number): Mask {
  const distances = squaredDistances(mask, inverse(mask.data));
  const data = new Uint8Array(mask.data.length);
  for (let i = 0; i < data.length; i++) if (mask.data[i] === 1 && Math.sqrt(distances[i]!) > radiusMm) data[i] = 1;
  return { ...mask, data };
}

/** The region without its eroded part: the inner side of its border. */
export function innerRim(mask: Mask, radiusMm: number): Mask {
  const core = eroded(mask, radiusMm);
  return { ...mask, data: mask.data.map((value, at) => value & (1 - core.data[at]!)) };
}
