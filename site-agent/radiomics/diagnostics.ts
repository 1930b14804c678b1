import { createHash } from 'node:crypto';
import { countComponents } from '../imaging/components.js';
import { type Roi, roiOf, valuesIn } from '../imaging/roi.js';
import { type Mask, physicalPoint, type Samples, type Volume } from '../imaging/volume.js';

/** What PyRadiomics says about an extraction beside the features, under its names without `diagnostics_`. */
export type Diagnostics = Record<string, string | number | readonly number[]>;

/** Size, spacing and intensities of an image; of the original also the SHA-1 of its samples as SimpleITK's Hash has it. */
export function imageDiagnostics(image: Volume, kind: 'original' | 'interpolated'): Diagnostics {
  const { data } = image;
  let sum = 0;
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    sum += value;
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  return named(`Image-${kind}`, {
    ...(kind === 'original' ? { Hash: sha1(data), Dimensionality: '3D' } : {}),
    Spacing: image.spacingMm,
    Size: image.size,
    Mean: sum / data.length,
    Minimum: minimum,
    Maximum: maximum,
  });
}

/** Box, volume and position of a region. `labels` is the mask as it was read, of which PyRadiomics gives the hash. */
export function maskDiagnostics(
  mask: Mask,
  kind: 'original' | 'interpolated' | 'corrected' | 'resegmented',
  { image, labels }: { readonly image?: Volume; readonly labels?: Volume } = {},
): Diagnostics {
  const roi = roiOf(mask);
  const base = {
    ...(labels === undefined ? {} : { Hash: sha1OfLabels(labels.data) }),
    Spacing: mask.spacingMm,
    Size: mask.size,
  };
  if (roi.box === null) return named(`Mask-${kind}`, { ...base, VoxelNum: 0 });
  const { lower, upper } = roi.box;
  const centre = centreOf(roi);
  const values = image === undefined ? null : valuesIn(image, roi);
  return named(`Mask-${kind}`, {
    ...base,
    BoundingBox: [...lower, ...lower.map((low, axis) => upper[axis]! - low + 1)],
    VoxelNum: roi.indices.length,
    VolumeNum: countComponents(roi),
    CenterOfMassIndex: centre,
    CenterOfMass: physicalPoint(mask, centre),
    ...(values === null ? {} : intensities(values)),
  });
}

function centreOf(roi: Roi): [number, number, number] {
  const [nx, ny] = roi.grid.size;
  const sums: [number, number, number] = [0, 0, 0];
  for (const index of roi.indices) {
    const x = index % nx;
    const rest = (index - x) / nx;
    sums[0] += x;
    sums[1] += rest % ny;
    sums[2] += Math.floor(rest / ny);
  }
  const n = roi.indices.length;
  return [sums[0] / n, sums[1] / n, sums[2] / n];
}

function intensities(values: Float64Array): Diagnostics {
  let sum = 0;
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    sum += value;
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  return { Mean: sum / values.length, Minimum: minimum, Maximum: maximum };
}

function named(prefix: string, values: Diagnostics): Diagnostics {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]));
}

function sha1(data: Samples): string {
  return createHash('sha1')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

/** Labels as uint32, a part at a time: a mask is as large as its image, and four times as large in this type. */
function sha1OfLabels(data: Samples): string {
  const hash = createHash('sha1');
  const part = new Uint32Array(1 << 16);
  for (let start = 0; start < data.length; start += part.length) {
    const values = data.subarray(start, start + part.length);
    part.set(values);
    hash.update(new Uint8Array(part.buffer, 0, 4 * values.length));
  }
  return hash.digest('hex');
}
