import type { Imaging, ImagingRegion } from '../../shared/imaging.js';
import { dilated, eroded, innerRim, ringOf } from '../imaging/distance.js';
import { assertSameGrid, GEOMETRY_TOLERANCE } from '../imaging/grid-match.js';
import type { Mask, Volume } from '../imaging/volume.js';
import { maskOfLabel } from './check-mask.js';
import { extract, type FailureReason, failureOf } from './extract.js';
import type { FeatureSet } from './feature.js';
import { extractIbsi } from './ibsi/extract.js';
import type { StudyExtraction } from './study-extraction.js';

/** An image with a lesion on its grid or another, and the organ around it. */
export interface RegionSource {
  readonly image: Volume;
  readonly mask: Volume;
  readonly label: number;
  readonly organ: { readonly mask: Volume; readonly label: number } | null;
}

export type RegionResult =
  | {
      readonly status: 'ok';
      readonly features: FeatureSet;
      /** Of the lesion itself. */
      readonly volumeMm3: number;
      readonly spacingMm: readonly number[];
    }
  | { readonly status: 'failed'; readonly reason: FailureReason };

/** The features of one region, or why there are none. */
export function extractRegion(source: RegionSource, region: ImagingRegion, extraction: StudyExtraction): RegionResult {
  try {
    const lesion = maskOfLabel(source.mask, source.label);
    const mask = regionMask(lesion, source.organ, region);
    const volumeMm3 = lesion.data.reduce((sum, value) => sum + value, 0) * voxelMm3(lesion);
    const spacingMm = source.image.spacingMm;
    if (extraction.profile === 'ibsi') {
      const features = extractIbsi(source.image, mask, { ...extraction.settings, label: 1 });
      return { status: 'ok', features, volumeMm3, spacingMm };
    }
    const { settings } = extraction;
    const preprocessing = { ...settings.preprocessing, label: 1 };
    const found = extract({ image: source.image, mask }, { ...settings, preprocessing, additionalInfo: false });
    return found.status === 'failed' ? found : { status: 'ok', features: found.features, volumeMm3, spacingMm };
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}

const voxelMm3 = ({ spacingMm }: Mask): number => spacingMm[0] * spacingMm[1] * spacingMm[2];

/**
 * The region that is meant by a kind and a width, around or inside the lesion. The organ's mask must be on the lesion's grid; the lesion counts as part of the organ.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH, IMAGE_LABEL_ABSENT.
 */
export function regionMask(lesion: Mask, organ: RegionSource['organ'], region: ImagingRegion): Mask {
  if (region.kind === 'lesion') return lesion;
  const widthMm = region.mm!;
  if (region.kind === 'eroded') return eroded(lesion, widthMm);
  if (region.kind === 'rim') return innerRim(lesion, widthMm);
  const within = organ === null || !region.withinOrgan ? null : organMask(lesion, organ);
  return region.kind === 'ring' ? ringOf(lesion, widthMm, within) : dilated(lesion, widthMm, within);
}

function organMask(lesion: Mask, organ: NonNullable<RegionSource['organ']>): Mask {
  const mask = maskOfLabel(organ.mask, organ.label);
  assertSameGrid(lesion, mask, GEOMETRY_TOLERANCE);
  return mask;
}

/** The regions that a study names, for messages. */
export function regionNames(imaging: Imaging): string[] {
  return imaging.regions.map(({ name }) => name);
}
