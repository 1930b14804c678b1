import type { HabitatRegion, Imaging, ImagingRegion } from '../../shared/imaging.js';
import { requireSameGrid } from '../imaging/compare-grids.js';
import { dilated, eroded, innerRim, ringOf } from '../imaging/distance.js';
import type { Mask } from '../imaging/volume.js';
import { type Extraction, extract, failureOf, type Source } from './extract.js';
import { habitatMask } from './habitats.js';
import { extractByIbsi } from './ibsi-profile.js';
import { perturbed } from './perturb/perturb.js';
import type { RegionResult, RegionSource } from './region-source.js';
import type { RegionRequest } from './region-task.js';
import type { StudyExtraction } from './study-extraction.js';

/** The features of one region, or why there are none. */
export function extractRegion(source: RegionSource, region: ImagingRegion, extraction: StudyExtraction): RegionResult {
  try {
    const mask = maskOfRegion(source, region);
    const volumeMm3 = volumeOfMask(source.lesion);
    const spacingMm = source.image.spacingMm;
    const found = extracted({ image: source.image, mask }, extraction);
    return found.status === 'failed' ? found : { status: 'ok', features: found.features, volumeMm3, spacingMm };
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}

/** One reading of a perturbed lesion. Its volume is that of the lesion as drawn: which lesion is the largest one stays the same in every reading. */
export function extractPerturbed(
  source: RegionSource,
  region: ImagingRegion,
  extraction: StudyExtraction,
  reading: NonNullable<RegionRequest['perturbed']>,
): RegionResult {
  try {
    const result = extractRegion(perturbed(source, reading.of, reading.seed), region, extraction);
    if (result.status === 'failed') return result;
    return { ...result, volumeMm3: volumeOfMask(source.lesion) };
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}

/** The region's mask has one label, whatever the lesion's was. */
function extracted(source: Source, extraction: StudyExtraction): Extraction {
  if (extraction.profile === 'ibsi') return extractByIbsi(source, { ...extraction.settings, label: 1 });
  const { settings } = extraction;
  const preprocessing = { ...settings.preprocessing, label: 1 };
  return extract(source, { ...settings, preprocessing, additionalInfo: false });
}

/** Ones inside the region. @throws as `regionMask` and `habitatMask` */
export const maskOfRegion = (source: RegionSource, region: ImagingRegion): Mask =>
  region.kind === 'habitat' ? habitatOf(source, region) : regionMask(source.lesion, source.organ, region);

export const volumeOfMask = ({ data, spacingMm }: Mask): number =>
  data.reduce((sum, value) => sum + value, 0) * (spacingMm[0] * spacingMm[1] * spacingMm[2]);

/**
 * The region that is meant by a kind and a width, around or inside the lesion, which counts as part of its organ.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH where organ and lesion are on different grids.
 */
export function regionMask(lesion: Mask, organ: RegionSource['organ'], region: Imaging['regions'][number]): Mask {
  if (region.kind === 'lesion') return lesion;
  const widthMm = region.mm!;
  if (region.kind === 'eroded') return eroded(lesion, widthMm);
  if (region.kind === 'rim') return innerRim(lesion, widthMm);
  const within = region.withinOrgan ? organ : null;
  if (within !== null) requireSameGrid(lesion, within);
  return region.kind === 'ring' ? ringOf(lesion, widthMm, within) : dilated(lesion, widthMm, within);
}

function habitatOf({ image, lesion }: RegionSource, { map, habitat }: HabitatRegion): Mask {
  requireSameGrid(image, lesion);
  return habitatMask(image, lesion, map, habitat);
}
