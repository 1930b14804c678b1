import { seededRandom } from '../../../shared/rng.js';
import type { Mask, Vec3, Volume } from '../volume.js';
import { blur, LatticeField, sphereField } from './field.js';

/**
 * Simulated liver lesions. The lesion is one thing (surface, texture, enhancement); a scanner samples it on its own grid with its own
 * blur, noise and offset. Nothing in it comes from a person.
 */
export interface PhantomLesion {
  /** Mean radius, in mm. */
  readonly radiusMm: number;
  /** Standard deviation of the surface's distance from the ball, as a share of the radius: 0 is a ball, 0.2 is lobulated. */
  readonly irregularity: number;
  /** Standard deviation of the lesion's texture, in HU (CT) or in hundredths of the liver's signal (MRI). */
  readonly heterogeneity: number;
  /** Width of the texture's grains, in mm. */
  readonly grainMm: number;
}

export type PhantomModality = 'CT' | 'MR';
export type PhantomPhase = 'arterial' | 'portal-venous';
export const PHANTOM_PHASES: readonly PhantomPhase[] = ['arterial', 'portal-venous'];

export interface PhantomScanner {
  readonly modality: PhantomModality;
  /** Voxel size, in mm. */
  readonly spacingMm: Vec3;
  /** Width (standard deviation) of the reconstruction kernel's blur, in mm. */
  readonly kernelMm: number;
  /** Standard deviation of the noise after the kernel, in the unit of the intensities. */
  readonly noise: number;
  /** Added to every intensity, which is multiplied by `gain` before. */
  readonly offset: number;
  readonly gain: number;
}

export interface PhantomCase {
  /** One image a phase, all on the same grid. */
  readonly images: Readonly<Record<PhantomPhase, Volume<Int16Array>>>;
  /** 0 outside, 1 lesion, 2 liver around it. */
  readonly labels: Mask;
}

export const LESION_LABEL = 1;
export const LIVER_LABEL = 2;
/** Liver that is imaged around the lesion's largest reach, in mm. */
const MARGIN_MM = 8;
const LIVER_GRAIN_MM = 5;
const LIVER_HETEROGENEITY = 4;

/** Mean of lesion and liver by phase: the lesion is bright in the arterial phase and washes out in the portal venous one. */
const LEVELS: Record<PhantomModality, Record<PhantomPhase, { lesion: number; liver: number }>> = {
  CT: { arterial: { lesion: 95, liver: 65 }, 'portal-venous': { lesion: 90, liver: 110 } },
  MR: { arterial: { lesion: 420, liver: 300 }, 'portal-venous': { lesion: 330, liver: 400 } },
};
/** Texture is stronger where contrast medium arrives first. */
const TEXTURE: Record<PhantomPhase, number> = { arterial: 1, 'portal-venous': 0.7 };

/**
 * One case as a scanner sees it; `seed` fixes the lesion's shape and texture, the scanner and the noise do the rest. The volume of interest
 * is a box around the lesion, as a picture archive's crop would be.
 */
export function phantomCase(lesion: PhantomLesion, scanner: PhantomScanner, ...seed: (string | number)[]): PhantomCase {
  const shape = sphereField(seededRandom('phantom-shape', ...seed));
  const reachMm = lesion.radiusMm * (1 + 3 * lesion.irregularity) + MARGIN_MM;
  const texture = new LatticeField(seededRandom('phantom-texture', ...seed), reachMm, lesion.grainMm);
  const liver = new LatticeField(seededRandom('phantom-liver', ...seed), reachMm, LIVER_GRAIN_MM);
  const size = scanner.spacingMm.map((spacing) => 2 * Math.ceil(reachMm / spacing) + 1) as unknown as Vec3;
  const half = size.map((count, axis) => ((count - 1) / 2) * scanner.spacingMm[axis]!);
  const grid = {
    size,
    spacingMm: scanner.spacingMm,
    origin: [-half[0]!, -half[1]!, -half[2]!] as Vec3,
    direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  };
  const labels = new Uint8Array(size[0] * size[1] * size[2]);
  const grains = new Float32Array(labels.length);
  const inside = insideOf(lesion, shape);
  for (let z = 0, at = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++)
      for (let x = 0; x < size[0]; x++, at++) {
        const xMm = x * scanner.spacingMm[0] - half[0]!;
        const yMm = y * scanner.spacingMm[1] - half[1]!;
        const zMm = z * scanner.spacingMm[2] - half[2]!;
        if (inside(xMm, yMm, zMm)) {
          labels[at] = LESION_LABEL;
          grains[at] = lesion.heterogeneity * texture.at(xMm, yMm, zMm);
        } else {
          labels[at] = LIVER_LABEL;
          grains[at] = LIVER_HETEROGENEITY * liver.at(xMm, yMm, zMm);
        }
      }
  const image = (phase: PhantomPhase) => ({ ...grid, data: seen(phase, labels, grains, scanner, size, seed) });
  return {
    images: { arterial: image('arterial'), 'portal-venous': image('portal-venous') },
    labels: { ...grid, data: labels },
  };
}

/** Whether a point, in mm from the centre, lies in the lesion. */
function insideOf(
  { radiusMm, irregularity }: PhantomLesion,
  shape: (x: number, y: number, z: number) => number,
): (x: number, y: number, z: number) => boolean {
  // Three standard deviations are the most that the surface may bend, so the box always holds the lesion.
  const surelyMm = radiusMm * Math.max(0, 1 - 3 * irregularity);
  const neverMm = radiusMm * (1 + 3 * irregularity);
  return (x, y, z) => {
    const distance = Math.sqrt(x * x + y * y + z * z);
    if (distance <= surelyMm) return true;
    if (distance > neverMm) return false;
    const bend = Math.min(3, Math.max(-3, shape(x / distance, y / distance, z / distance)));
    return distance <= radiusMm * (1 + irregularity * bend);
  };
}

function seen(
  phase: PhantomPhase,
  labels: Uint8Array,
  grains: Float32Array,
  scanner: PhantomScanner,
  size: Vec3,
  seed: readonly (string | number)[],
): Int16Array {
  const level = LEVELS[scanner.modality][phase];
  const unit = scanner.modality === 'MR' ? level.liver / 100 : 1;
  const signal = new Float32Array(labels.length);
  for (let at = 0; at < signal.length; at++)
    signal[at] = (labels[at] === LESION_LABEL ? level.lesion : level.liver) + unit * TEXTURE[phase] * grains[at]!;
  blur(signal, size, scanner.spacingMm, scanner.kernelMm);
  const random = seededRandom('phantom-noise', phase, ...seed);
  const noise = new Float32Array(labels.length);
  for (let at = 0; at < noise.length; at++) noise[at] = random.normal();
  blur(noise, size, scanner.spacingMm, scanner.kernelMm / 2);
  const amplitude = scanner.noise / spread(noise);
  const image = new Int16Array(labels.length);
  for (let at = 0; at < image.length; at++)
    image[at] = Math.round(scanner.gain * signal[at]! + scanner.offset + amplitude * noise[at]!);
  return image;
}

function spread(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum / values.length) || 1;
}
