import { ConcordatError } from '../../shared/errors.js';
import { compareGrids, requireSameGrid } from '../imaging/compare-grids.js';
import { type Roi, roiOf } from '../imaging/roi.js';
import type { Grid, Mask, Volume } from '../imaging/volume.js';
import { type CheckedRoi, checkedRoi, maskOfLabel } from './check-mask.js';
import { type Diagnostics, imageDiagnostics, maskDiagnostics } from './diagnostics.js';
import { clipImage, normalizeImage } from './normalize.js';
import { boxWithin, cropAround, type ImageAndMask, resampleAround, resampleMask } from './resample.js';
import { resegment } from './resegment.js';
import type { PreprocessingSettings } from './settings.js';

/** An image ready for filters and features. */
export interface PreparedImage {
  /** What filters see: the whole image, or what resampling and preCrop left around the region. */
  readonly image: Volume;
  /** The region of all classes but shape, on the image's grid; features are of the image cropped to its box. */
  readonly roi: CheckedRoi;
  /** The region of the shape classes: before resegmentation unless resegmentShape. */
  readonly shapeRoi: Roi;
}

export interface Prepared extends PreparedImage {
  readonly diagnostics: Diagnostics;
}

/**
 * Everything before filters and features, in PyRadiomics' order: the label, clipping (Concordat's own), normalisation of the whole image, resampling
 * or preCrop, the checks of the region, resegmentation. With resampling image and mask may be on different grids, as in
 * PyRadiomics; otherwise only with `correctMask`.
 *
 * Source: PyRadiomics, featureextractor.execute and loadImage.
 *
 * @throws ConcordatError IMAGE_MASK_EMPTY, IMAGE_MASK_NOT_LABELS, IMAGE_GRID_MISMATCH, IMAGE_ROI_OUTSIDE, IMAGE_ROI_TOO_SMALL.
 */
export function prepare(
  source: { readonly image: Volume; readonly mask: Volume },
  settings: PreprocessingSettings,
  { diagnose = true }: { readonly diagnose?: boolean } = {},
): Prepared {
  const { diagnose: found, ...prepared } = prepareImage(source, settings);
  return { ...prepared, diagnostics: diagnose ? found() : {} };
}

/** The same with diagnostics that are found when asked for, which can be while others already filter the image. */
export function prepareImage(
  source: { readonly image: Volume; readonly mask: Volume },
  settings: PreprocessingSettings,
): PreparedImage & { readonly diagnose: () => Diagnostics } {
  const notes: (() => Diagnostics)[] = [];
  const note = (found: () => Diagnostics): void => void notes.push(found);
  const diagnose = (): Diagnostics => Object.assign({}, ...notes.map((found) => found()));
  const own = maskOfLabel(source.mask, settings.label);
  let pair: ImageAndMask = { image: source.image, mask: own };
  note(() => ({
    ...imageDiagnostics(source.image, 'original'),
    ...maskDiagnostics(own, 'original', { labels: source.mask }),
  }));
  if (settings.clip !== null) pair = { ...pair, image: clipImage(pair.image, settings.clip) };
  if (settings.normalize) pair = { ...pair, image: normalizeImage(pair.image, settings) };
  const corrected = (before: ImageAndMask): ImageAndMask => {
    const after = onOneGrid(before, settings);
    if (after !== before) note(() => maskDiagnostics(after.mask, 'corrected', { image: after.image }));
    return after;
  };
  if (settings.interpolator !== null && settings.resampledPixelSpacing !== null) {
    const { interpolator, resampledPixelSpacing, padDistance } = settings;
    const { image, mask } = resampleAround(pair, { interpolator, resampledPixelSpacing, padDistance });
    pair = { image, mask };
    note(() => ({
      ...imageDiagnostics(image, 'interpolated'),
      ...maskDiagnostics(mask, 'interpolated', { image }),
    }));
  } else {
    pair = corrected(pair);
    if (settings.preCrop) pair = cropAround(pair, checkedRoi(pair.mask, settings).box, settings.padDistance);
  }
  const whole = checkedRoi(pair.mask, settings);
  const { image } = pair;
  if (settings.resegmentRange === null) return { image, roi: whole, shapeRoi: whole, diagnose };
  const { resegmentRange, resegmentMode } = settings;
  const mask = resegment(image, whole, { resegmentRange, resegmentMode });
  const roi = checkedRoi(mask, settings);
  note(() => maskDiagnostics(mask, 'resegmented', { image }));
  return { image, roi, shapeRoi: settings.resegmentShape ? roi : within(pair.mask, roi), diagnose };
}

/** The mask on the image's grid; the same pair where it is there already. */
function onOneGrid(pair: ImageAndMask, settings: PreprocessingSettings): ImageAndMask {
  const { geometryTolerance, correctMask } = settings;
  const isOne =
    geometryTolerance === null
      ? compareGrids(pair.image, pair.mask).length === 0
      : isWithin(pair.image, pair.mask, geometryTolerance);
  if (isOne) return pair;
  if (!correctMask) {
    requireSameGrid(pair.image, pair.mask);
    throw new ConcordatError('IMAGE_GRID_MISMATCH', 'image and mask differ by more than geometryTolerance');
  }
  boxWithin(pair.image, pair.mask);
  return { ...pair, mask: resampleMask(pair.mask, pair.image) };
}

/** ITK's tolerance: of the spacing along x for positions and spacings, absolute for the entries of the direction. */
function isWithin(image: Grid, mask: Grid, tolerance: number): boolean {
  const allowedMm = tolerance * image.spacingMm[0];
  const near = (a: readonly number[], b: readonly number[], allowed: number) =>
    a.every((value, k) => Math.abs(value - b[k]!) <= allowed);
  return (
    near(image.size, mask.size, 0) &&
    near(image.spacingMm, mask.spacingMm, allowedMm) &&
    near(image.origin, mask.origin, allowedMm) &&
    near(image.direction, mask.direction, tolerance)
  );
}

/**
 * The mask within the box of what resegmentation left: PyRadiomics crops the region of its shape classes to that box too,
 * although it is not resegmented.
 */
function within(mask: Mask, { box }: CheckedRoi): Roi {
  const [nx, ny, nz] = mask.size;
  const data = new Uint8Array(nx * ny * nz);
  for (let z = box.lower[2]; z <= box.upper[2]; z++)
    for (let y = box.lower[1]; y <= box.upper[1]; y++) {
      const row = nx * (y + ny * z);
      const [from, to] = [row + box.lower[0], row + box.upper[0] + 1];
      data.set(mask.data.subarray(from, to), from);
    }
  return roiOf({ ...mask, data });
}
