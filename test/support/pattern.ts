import type { Samples, Vec3, Volume } from '../../site-agent/imaging/volume.js';

/** A fixed image of integers from −60 to 195 with no symmetry, which any language can write down. */
export function patternVolume<T extends Samples>(
  size: Vec3,
  pixelType: new (length: number) => T,
  grid: Partial<Omit<Volume, 'size' | 'data'>> = {},
  offset = 0,
): Volume<T> {
  const [nx, ny, nz] = size;
  const data = new pixelType(nx * ny * nz);
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, i++) {
        const waves = ((x * y * 31 + y * z * 17 + x * z * 13) % 97) + ((x * x + 3 * y * y + 5 * z * z) % 41);
        data[i] = ((x * 73 + y * 151 + z * 283 + waves) % 256) - 60 + offset;
      }
  return { size, spacingMm: [1, 1, 1], origin: [0, 0, 0], direction: [1, 0, 0, 0, 1, 0, 0, 0, 1], ...grid, data };
}

/** What another program gave: some samples by index, and sums over all of them. */
export interface Quoted {
  readonly count: number;
  readonly sum: number;
  readonly absolute: number;
  readonly at: Record<string, number>;
}

/** The largest deviation of a volume's samples, of its mean and of its mean magnitude from what is quoted. */
export function deviation(data: Samples, quoted: Quoted): number {
  if (data.length !== quoted.count) return Number.POSITIVE_INFINITY;
  let sum = 0;
  let absolute = 0;
  for (let i = 0; i < data.length; i++) {
    sum += data[i]!;
    absolute += Math.abs(data[i]!);
  }
  const differences = Object.entries(quoted.at).map(([i, value]) => Math.abs(data[Number(i)]! - value));
  differences.push(Math.abs(sum - quoted.sum) / data.length, Math.abs(absolute - quoted.absolute) / data.length);
  return differences.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...differences);
}
