import { seededRandom } from '../../../shared/rng.js';
import { blur } from '../../../site-agent/imaging/phantom/field.js';
import { roiOf } from '../../../site-agent/imaging/roi.js';
import { readImageFile } from '../../../site-agent/imaging/shell/read-file.js';
import type { Mask, Vec3, Volume } from '../../../site-agent/imaging/volume.js';
import { cropAround, resampleAround } from '../../../site-agent/radiomics/resample.js';

export interface BenchCase {
  readonly name: string;
  readonly image: Volume;
  readonly mask: Mask;
}

/** The official example for CT: original image, five LoG scales and eight wavelet bands, 1,316 features. */
export const EXAMPLE_CT = {
  imageType: { Original: {}, LoG: { sigma: [1.0, 2.0, 3.0, 4.0, 5.0] }, Wavelet: {} },
  featureClass: { shape: [], firstorder: [], glcm: [], glrlm: [], glszm: [], gldm: [], ngtdm: [] },
  setting: {
    interpolator: 'sitkBSpline',
    resampledPixelSpacing: [1, 1, 1],
    padDistance: 10,
    binWidth: 25,
    voxelArrayShift: 1000,
    label: 1,
  },
};

/** The CT phantom as it is and cropped to the region, at its own spacing and at 1 mm; empty without the reference folder. */
export function phantomCases(folder: string | null): { whole: BenchCase | null; cases: BenchCase[] } {
  if (folder === null) return { whole: null, cases: [] };
  const image = readImageFile(`${folder}/ibsi1/ct_phantom/phantom.nii.gz`);
  const labels = readImageFile(`${folder}/ibsi1/ct_phantom/mask.nii.gz`);
  const mask: Mask = { ...labels, data: Uint8Array.from(labels.data, (value) => (value === 1 ? 1 : 0)) };
  const whole = { name: 'CT phantom', image, mask };
  const native = cropAround(whole, roiOf(mask).box!, 0);
  const fine = resampleAround(whole, { resampledPixelSpacing: [1, 1, 1], interpolator: 'sitkBSpline', padDistance: 0 });
  return {
    whole,
    cases: [
      { name: 'CT phantom, native', ...native },
      { name: 'CT phantom, 1 mm', ...cropAround(fine, roiOf(fine.mask).box!, 0) },
    ],
  };
}

/** A liver-like ellipsoid of 2.8 million voxels in its own box: smoothed seeded noise around 100 HU. */
export function ellipsoidCase(): BenchCase {
  const { image, mask } = liver([211, 171, 151], [1, 1, 1], [105.5, 85.5, 75.5], [105, 85, 75]);
  return { name: 'ellipsoid, 2.8 million voxels', image, mask };
}

/** An abdominal CT of 512 × 512 × 300 voxels with a liver-sized region of 2.9 million. */
export function abdomenCase(): BenchCase {
  const { image, mask } = liver([512, 512, 300], [0.75, 0.75, 1], [113, 92, 67], [220, 256, 150]);
  return { name: '512 × 512 × 300', image, mask };
}

function liver(size: Vec3, spacingMm: Vec3, axes: Vec3, middle: Vec3): { image: Volume<Int16Array>; mask: Mask } {
  const grid = { size, spacingMm, origin: [0, 0, 0] as const, direction: [1, 0, 0, 0, 1, 0, 0, 0, 1] };
  const [nx, ny, nz] = size;
  const noise = new Float32Array(nx * ny * nz);
  const random = seededRandom('bench', 'liver');
  // Uniform noise is as good as normal noise once it is smoothed, and an order of magnitude quicker to draw.
  for (let k = 0; k < noise.length; k++) noise[k] = random.uint32() / 4294967296 - 0.5;
  blur(noise, size, spacingMm, 1.5 * spacingMm[0]);
  const image = new Int16Array(noise.length);
  const mask = new Uint8Array(noise.length);
  for (let z = 0, k = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, k++) {
        const [u, v, w] = [(x - middle[0]) / axes[0], (y - middle[1]) / axes[1], (z - middle[2]) / axes[2]];
        mask[k] = u * u + v * v + w * w <= 1 ? 1 : 0;
        image[k] = Math.round(100 + 700 * noise[k]!);
      }
  return { image: { ...grid, data: image }, mask: { ...grid, data: mask } };
}
