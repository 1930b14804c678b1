import { boxSize } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Vec3 } from '../../../imaging/volume.js';
import { extended, type Part } from './boundary.js';
import { restored, transformed } from './fourier.js';
import { goodLength } from './lane-fft.js';
import type { Boundary, Ibsi2Filter, Pooling } from './settings.js';

type Gabor = Extract<Ibsi2Filter, { kind: 'gabor' }>;

/** The envelope is cut off where it has fallen to exp(−18) = 1.5e-8, below float32's rounding of the peak. */
const CUTOFF_SIGMAS = 6;

/**
 * The response of 2D Gabor filters exp(−(x'² + γ²y'²) / 2σ² + 2πi x'/λ), where x' lies at θ from the plane's first axis toward its
 * second, slice by slice in the axial plane or averaged over the three planes. With an angular step the moduli (or other parts) of all
 * orientations are pooled; half a turn suffices, since the other half gives complex conjugates.
 */
export function gaborResponse(
  part: Part,
  spacingMm: Vec3,
  region: Box,
  gabor: Gabor,
  boundary: Boundary,
  pooling: Pooling,
): Float64Array {
  const normals: readonly (0 | 1 | 2)[] = gabor.planes === 'orthogonal' ? [2, 1, 0] : [2];
  const [nx, ny, nz] = boxSize(region);
  const total = new Float64Array(nx * ny * nz);
  for (const normal of normals) addPlane(part, spacingMm, region, gabor, boundary, pooling, normal, total);
  if (normals.length > 1) for (let i = 0; i < total.length; i++) total[i] = total[i]! / normals.length;
  return total;
}

const radius = (gabor: Gabor, spacing: number): number =>
  Math.ceil(((CUTOFF_SIGMAS * gabor.sigmaMm) / spacing) * Math.max(1, 1 / gabor.gamma));

const inPlaneSpacing = (spacingMm: Vec3, normal: 0 | 1 | 2): number =>
  Math.max(...([0, 1, 2] as const).filter((axis) => axis !== normal).map((axis) => spacingMm[axis]));

function addPlane(
  part: Part,
  spacingMm: Vec3,
  region: Box,
  gabor: Gabor,
  boundary: Boundary,
  pooling: Pooling,
  normal: 0 | 1 | 2,
  total: Float64Array,
): void {
  const [u, v] = ([0, 1, 2] as const).filter((axis) => axis !== normal) as [0 | 1 | 2, 0 | 1 | 2];
  const spacing = inPlaneSpacing(spacingMm, normal);
  const reach = radius(gabor, spacing);
  const size = boxSize(region);
  const lengths = [goodLength(size[u] + 2 * reach), goodLength(size[v] + 2 * reach)] as const;
  const kernels = orientations(gabor).map((theta) => kernelTransform(gabor, spacing, theta, reach, lengths));
  const steps = [1, size[0], size[0] * size[1]] as const;
  const plane: Vec3 = [lengths[0], lengths[1], 1];
  const window = { lower: [reach, reach, 0], upper: [reach + size[u], reach + size[v], 1] } as const;
  const count = lengths[0] * lengths[1];
  const pooled = new Float64Array(size[u] * size[v]);
  const re = new Float64Array(count);
  const im = new Float64Array(count);
  for (let slice = 0; slice < size[normal]; slice++) {
    const box = sliceBox(region, normal, slice, u, v, reach, lengths);
    const imageRe = extended(part, box, boundary);
    const imageIm = new Float64Array(count);
    transformed(imageRe, imageIm, plane);
    for (const [k, kernel] of kernels.entries()) {
      for (let i = 0; i < count; i++) {
        re[i] = imageRe[i]! * kernel.re[i]! - imageIm[i]! * kernel.im[i]!;
        im[i] = imageRe[i]! * kernel.im[i]! + imageIm[i]! * kernel.re[i]!;
      }
      restored(re, im, plane, window);
      for (let b = 0, i = 0; b < size[v]; b++)
        for (let a = 0; a < size[u]; a++, i++) {
          const at = a + reach + lengths[0] * (b + reach);
          const value = responsePart(gabor.response, re[at]! / count, im[at]! / count);
          const before = pooled[i]!;
          pooled[i] =
            k === 0
              ? value
              : pooling === 'mean'
                ? before + value
                : pooling === 'max'
                  ? Math.max(before, value)
                  : Math.min(before, value);
        }
    }
    const scale = pooling === 'mean' ? 1 / kernels.length : 1;
    for (let b = 0, i = 0; b < size[v]; b++)
      for (let a = 0; a < size[u]; a++, i++) {
        const at = a * steps[u] + b * steps[v] + slice * steps[normal];
        total[at] = total[at]! + pooled[i]! * scale;
      }
  }
}

function sliceBox(
  region: Box,
  normal: number,
  slice: number,
  u: number,
  v: number,
  reach: number,
  lengths: readonly [number, number],
): Box {
  const lower = [...region.lower] as [number, number, number];
  const upper = [...region.upper] as [number, number, number];
  lower[normal] = upper[normal] = region.lower[normal]! + slice;
  lower[u] = region.lower[u]! - reach;
  lower[v] = region.lower[v]! - reach;
  upper[u] = lower[u]! + lengths[0] - 1;
  upper[v] = lower[v]! + lengths[1] - 1;
  return { lower, upper };
}

/** The angles in radians, each orientation once. */
function orientations({ thetaDegrees, thetaStepDegrees }: Gabor): number[] {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  if (thetaStepDegrees === undefined) return [radians(thetaDegrees)];
  const angles: number[] = [];
  // A step that does not divide half a turn goes on to the full turn.
  const turn = Math.abs(180 / thetaStepDegrees - Math.round(180 / thetaStepDegrees)) < 1e-9 ? 180 : 360;
  for (let k = 0; k * thetaStepDegrees < turn - 1e-9; k++) angles.push(radians(thetaDegrees + k * thetaStepDegrees));
  return angles;
}

function kernelTransform(
  gabor: Gabor,
  spacing: number,
  theta: number,
  reach: number,
  [length, height]: readonly [number, number],
): { readonly re: Float64Array; readonly im: Float64Array } {
  const re = new Float64Array(length * height);
  const im = new Float64Array(length * height);
  const sigma = gabor.sigmaMm / spacing;
  const wave = (2 * Math.PI * spacing) / gabor.lambdaMm;
  const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const along = x * cos + y * sin;
      const across = gabor.gamma * (x * sin - y * cos);
      const envelope = Math.exp(-(along * along + across * across) / (2 * sigma * sigma));
      const at = ((x + length) % length) + length * ((y + height) % height);
      re[at] = envelope * Math.cos(wave * along);
      im[at] = envelope * Math.sin(wave * along);
    }
  transformed(re, im, [length, height, 1]);
  return { re, im };
}

function responsePart(response: Gabor['response'], re: number, im: number): number {
  switch (response) {
    case 'modulus':
      return Math.sqrt(re * re + im * im);
    case 'real':
      return re;
    case 'imaginary':
      return im;
    case 'angle':
      return Math.atan2(im, re);
  }
}
