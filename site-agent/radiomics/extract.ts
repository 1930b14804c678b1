import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import { cropGrid, cropVolume, growBox } from '../imaging/crop.js';
import type { Box, Roi } from '../imaging/roi.js';
import type { Volume } from '../imaging/volume.js';
import { classFeatures } from './class-features.js';
import type { ClassInput, ClassSettings } from './class-input.js';
import type { Diagnostics } from './diagnostics.js';
import type { FeatureSet, FeatureValue } from './feature.js';
import type { FeatureClassName } from './feature-names.js';
import type { IntensityClass } from './features/texture.js';
import { filteredImages, filterUnits } from './filter-units.js';
import type { FilteredImage } from './filters/filter.js';
import { type Prepared, prepare } from './preprocessing.js';
import type { EnabledClass, ExtractionSettings, VoxelSettings } from './settings.js';
import { voxelMaps } from './voxel-maps.js';

/** What one region of one image gave. */
export type Extraction =
  | {
      readonly status: 'ok';
      readonly features: FeatureSet;
      readonly diagnostics: Diagnostics;
      /** What was left out and why, where PyRadiomics warns and goes on. */
      readonly notes: readonly string[];
    }
  | { readonly status: 'failed'; readonly reason: FailureReason };

/** Why a case has no features; the message names no case. */
export interface FailureReason {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Source {
  readonly image: Volume;
  readonly mask: Volume;
}

/** Features by name, in PyRadiomics' order. */
export type Named = readonly (readonly [name: string, value: FeatureValue])[];

/**
 * All features of one region in the calling thread: preprocessing, shape, then each image type's classes, in PyRadiomics'
 * names and order. What is wrong with the image or the region is a status, not an exception.
 *
 * Source: PyRadiomics, featureextractor.execute.
 */
export function extract(source: Source, settings: ExtractionSettings): Extraction {
  try {
    return extractPrepared(prepare(source, settings.preprocessing, { diagnose: settings.additionalInfo }), settings);
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}

/** Maps of features, by name, or why there are none. */
export type Mapping =
  | { readonly status: 'ok'; readonly maps: readonly FilteredImage[]; readonly notes: readonly string[] }
  | { readonly status: 'failed'; readonly reason: FailureReason };

/**
 * Voxel-based extraction in the calling thread: a map of every enabled feature but shape, on the region's box grown by the
 * kernel's radius.
 *
 * Source: PyRadiomics, featureextractor.execute with voxelBased.
 */
export function extractMaps(source: Source, settings: ExtractionSettings): Mapping {
  try {
    const prepared = prepare(source, settings.preprocessing, { diagnose: false });
    const notes: string[] = [];
    const note = (reason: string): void => void notes.push(reason);
    const maps = filterUnits(settings).flatMap((unit) =>
      [...filteredImages(prepared, unit, note, settings.voxel.kernelRadius)].flatMap((filtered) =>
        imageMaps(prepared.roi, filtered, unit.classes, settings.featureClasses, settings.voxel),
      ),
    );
    return { status: 'ok', maps, notes };
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}

/** @throws whatever is no fault of the image, so that a broken promise of the program is not taken for a bad case. */
export function failureOf(error: unknown): FailureReason {
  if (error instanceof ConcordatError && error.entry.fault !== 'bug')
    return { code: error.code, message: error.message };
  if (isOutOfMemory(error)) return { code: 'IMAGE_TOO_LARGE', message: 'the extraction ran out of memory' };
  throw error;
}

/** What Node throws where an array cannot be had. */
const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocation failed|invalid (typed )?array length|out of memory/i.test(error.message);

function extractPrepared(prepared: Prepared, settings: ExtractionSettings): Extraction {
  const features: FeatureSet = new Map();
  const notes: string[] = [];
  const add = (named: Named): void => {
    for (const [name, value] of named) features.set(name, value);
  };
  add(shapeFeatures(prepared, settings, (note) => notes.push(note)));
  for (const unit of filterUnits(settings))
    for (const filtered of filteredImages(prepared, unit, (note) => notes.push(note)))
      add(imageFeatures(prepared.roi, filtered, unit.classes, settings.featureClasses));
  return { status: 'ok', features, diagnostics: prepared.diagnostics, notes };
}

const isShape = (name: FeatureClassName): boolean => name === 'shape' || name === 'shape2D';

/** The shape classes, which are of the original image's region alone. */
export function shapeFeatures(
  prepared: Pick<Prepared, 'image' | 'shapeRoi'>,
  settings: ExtractionSettings,
  skipped: (reason: string) => void = () => {},
): Named {
  const { shapeRoi } = prepared;
  const found: Named[number][] = [];
  const { classes } = settings;
  // shape comes first, whatever the order of the file.
  const inOrder = ['shape', 'shape2D'].flatMap((one) => settings.featureClasses.filter(({ name }) => name === one));
  for (const enabled of inOrder) {
    if (enabled.name === 'shape2D') {
      const reason = noShape2D(shapeRoi, classes);
      if (reason !== null) {
        skipped(reason);
        continue;
      }
    }
    const box = shapeRoi.box!;
    const input: ClassInput = {
      image: cropVolume(prepared.image, box),
      roi: cropRoi(shapeRoi, box),
      settings: classes,
    };
    found.push(...namedFeatures('original', enabled, classFeatures(input, [enabled]).get(enabled.name)));
  }
  return found;
}

/**
 * PyRadiomics goes on without shape2D where it is not 2D, and stops where the region is more than one slice. It also goes on without where
 * the region is one voxel wide along the axis that `force2Ddimension` numbers in (x, y, z) order, although it counts (z, y, x): so never
 * gives any for 1.
 */
function noShape2D(roi: Roi, { force2D, force2Ddimension }: ClassSettings): string | null {
  if (!force2D) return 'shape2D needs force2D: true';
  if (roi.box!.upper[force2Ddimension]! === roi.box!.lower[force2Ddimension]!)
    return `shape2D is left out as in PyRadiomics: with force2Ddimension ${force2Ddimension} it needs a region wider than one voxel along ${'xyz'[force2Ddimension]}`;
  const axis = 2 - force2Ddimension;
  if (roi.box!.upper[axis]! === roi.box!.lower[axis]!) return null;
  throw new ConcordatError(
    'IMAGE_ROI_NOT_FLAT',
    `shape2D needs a region of one slice along ${'xyz'[axis]}, the region is thicker`,
  );
}

/**
 * Maps of the enabled features of one filtered image, which covers the region's box grown by the kernel's radius: the value
 * at a voxel is that of its neighbourhood. Shape has no maps.
 */
export function imageMaps(
  roi: Roi,
  { name, volume }: FilteredImage,
  classes: ClassSettings,
  enabled: readonly EnabledClass[],
  voxel: VoxelSettings,
): FilteredImage[] {
  const box = growBox(roi.box!, voxel.kernelRadius, roi.grid.size);
  const wanted = new Map<IntensityClass, readonly string[]>();
  for (const one of enabled)
    if (!isShape(one.name) && one.features.length > 0) wanted.set(one.name as IntensityClass, one.features);
  const maps = voxelMaps({ image: volume, roi: cropRoi(roi, box), settings: classes }, wanted, voxel);
  return [...wanted].flatMap(([featureClass, features]) =>
    features.flatMap((feature) => {
      const map = maps.get(`${featureClass}_${feature}`);
      return map === undefined ? [] : [{ name: `${name}_${featureClass}_${feature}`, volume: map }];
    }),
  );
}

/** The classes other than shape, of one filtered image over the region's box. */
export function imageFeatures(
  roi: Roi,
  { name, volume }: FilteredImage,
  classes: ClassSettings,
  enabled: readonly EnabledClass[],
): Named {
  const wanted = enabled.filter((one) => !isShape(one.name));
  if (wanted.length === 0) return [];
  const box = onItsBox(roi);
  // A binary pattern may have no value somewhere (variance or kurtosis of equal samples): PyRadiomics passes such voxels by, unless bins are
  // counted or the region's first voxel is one, and its features are then undefined. So they are where another filter carries a voxel
  // without a number into the region. In the image itself such a voxel is an error, and so is a filtered image without any number.
  const { numbers, gaps } = name === 'original' ? { numbers: box.indices.length, gaps: 0 } : tally(volume, box);
  const isWhole = numbers === box.indices.length;
  const isFirst = Number.isNaN(volume.data[box.indices[0]!]!);
  const passable = name.startsWith('lbp-') && numbers + gaps === box.indices.length && !isFirst;
  if (numbers > 0 && !isWhole && (classes.binCount !== null || !passable)) {
    const none = { value: null, reason: 'the filtered image holds no number in a part of the region' };
    return wanted.flatMap((one) => one.features.map((feature) => [`${name}_${one.name}_${feature}`, none] as const));
  }
  const found = classFeatures(
    { image: volume, roi: box, settings: classes, withGaps: numbers > 0 && !isWhole },
    wanted,
  );
  return wanted.flatMap((one) => namedFeatures(name, one, found.get(one.name)));
}

/** How many of the region's voxels hold a number, and how many NaN. */
function tally({ data }: Volume, { indices }: Roi): { readonly numbers: number; readonly gaps: number } {
  let numbers = 0;
  let gaps = 0;
  for (let k = 0; k < indices.length; k++) {
    const value = data[indices[k]!]!;
    if (Number.isFinite(value)) numbers++;
    else if (Number.isNaN(value)) gaps++;
  }
  return { numbers, gaps };
}

function namedFeatures(image: string, { name, features }: EnabledClass, found: FeatureSet | undefined): Named {
  return features.map((feature) => {
    const value = found?.get(feature) ?? { value: null, reason: 'not computed' };
    return [`${image}_${name}_${feature}`, value] as const;
  });
}

const cropped = new WeakMap<Roi, Roi>();

/** The region in the voxels of its own box, which is the same for every filtered image. */
export function onItsBox(roi: Roi): Roi {
  const { lower, upper } = roi.box!;
  if (lower.every((low, axis) => low === 0 && upper[axis] === roi.grid.size[axis]! - 1)) return roi;
  let known = cropped.get(roi);
  if (known === undefined) {
    known = cropRoi(roi, roi.box!);
    cropped.set(roi, known);
  }
  return known;
}

/** The region in the voxels of a box around it. */
export function cropRoi(roi: Roi, box: Box): Roi {
  const [nx, ny] = roi.grid.size;
  const grid = cropGrid(roi.grid, box);
  const [mx, my] = grid.size;
  const indices = new Int32Array(roi.indices.length);
  // Ascending voxels share rows, so that a row is found once: [start, start + nx) becomes [to, to + nx).
  let start = -nx;
  let to = 0;
  for (let k = 0; k < indices.length; k++) {
    const at = roi.indices[k]!;
    if (at < start || at - start >= nx) {
      const row = Math.floor(at / nx);
      const z = Math.floor(row / ny);
      start = row * nx;
      to = mx * (row - z * ny - box.lower[1] + my * (z - box.lower[2])) - box.lower[0];
    }
    indices[k] = at - start + to;
  }
  const shift = (corner: Box['lower']) =>
    [corner[0] - box.lower[0], corner[1] - box.lower[1], corner[2] - box.lower[2]] as const;
  return {
    grid,
    indices,
    box: roi.box === null ? null : { lower: shift(roi.box.lower), upper: shift(roi.box.upper) },
  };
}
