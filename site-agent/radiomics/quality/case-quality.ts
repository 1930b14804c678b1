import { countComponents } from '../../imaging/components.js';
import { type Roi, roiOf } from '../../imaging/roi.js';
import type { Mask, Volume } from '../../imaging/volume.js';

/** One image with one lesion, as the report has it. It names a case and stays at the site. */
export interface CaseQuality {
  readonly case: string;
  readonly phase: string;
  readonly timepoint: string;
  readonly label: number;
  /** `excluded` where image or mask cannot be used; then `reason` says why. */
  readonly status: 'ok' | 'excluded';
  readonly reason: { readonly code: string; readonly message: string } | null;
  /** As DICOM states it; null where the file states none. */
  readonly modality: string | null;
  readonly kernel: string | null;
  readonly image: { readonly size: readonly number[]; readonly spacingMm: readonly number[] } | null;
  readonly lesion: LesionQuality | null;
  /** Worth a look, in words; the case is used all the same. */
  readonly notes: readonly string[];
}

export interface LesionQuality {
  readonly voxels: number;
  readonly volumeMm3: number;
  /** Parts that do not touch, by faces, edges or corners. */
  readonly components: number;
  /** Sides of the image that the lesion reaches: it may go on beyond them. */
  readonly touches: readonly string[];
}

/** Lesions of fewer voxels give textures that mean little. */
const VOXELS_FEW = 64;
/** Axes whose spacing differs by this factor make 3D textures depend on the direction. */
const ANISOTROPY = 3;

/** What is known of a lesion that has at least one voxel. */
export function lesionQuality(image: Volume, mask: Mask): { roi: Roi; lesion: LesionQuality; notes: string[] } {
  const roi = roiOf(mask);
  const [dx, dy, dz] = image.spacingMm;
  const touches = ['x', 'y', 'z'].flatMap((name, axis) => [
    ...(roi.box!.lower[axis] === 0 ? [`first ${name}`] : []),
    ...(roi.box!.upper[axis] === image.size[axis]! - 1 ? [`last ${name}`] : []),
  ]);
  const voxels = roi.indices.length;
  const components = countComponents(roi);
  const notes: string[] = [];
  if (components > 1) notes.push(`the mask has ${components} separate parts`);
  if (touches.length > 0) notes.push(`the lesion reaches the image’s border (${touches.join(', ')})`);
  if (voxels < VOXELS_FEW) notes.push(`the lesion has ${voxels} voxels only`);
  if (roi.box!.lower[2] === roi.box!.upper[2] && image.size[2] > 1) notes.push('the lesion lies in one slice');
  const [least, most] = [Math.min(dx, dy, dz), Math.max(dx, dy, dz)];
  if (most >= ANISOTROPY * least) notes.push(`voxels are ${(most / least).toFixed(1)} times as long as wide`);
  let notFinite = 0;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const index of roi.indices) {
    const value = image.data[index]!;
    if (!Number.isFinite(value)) notFinite++;
    else {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (notFinite > 0) notes.push(`${notFinite} voxels of the lesion hold no number`);
  if (low === high) notes.push(`the lesion has one intensity, ${low}`);
  return { roi, lesion: { voxels, volumeMm3: voxels * dx * dy * dz, components, touches }, notes };
}
