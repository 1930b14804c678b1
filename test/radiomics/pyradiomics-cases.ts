import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { type ClassInput, type ClassSettings, DEFAULT_CLASS_SETTINGS } from '../../site-agent/radiomics/class-input.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import type { FeatureClass } from '../../site-agent/radiomics/features/catalogue.js';
import type { Wanted } from '../../site-agent/radiomics/features/collect.js';
import { shape } from '../../site-agent/radiomics/features/shape.js';
import { shape2D } from '../../site-agent/radiomics/features/shape-2d.js';
import { intensityFeatures } from '../../site-agent/radiomics/features/texture.js';

/** Settings as a PyRadiomics parameter file has them. */
export type Parameters = Readonly<Record<string, unknown>>;

/** Settings that change the image or the region before any class sees them: such cases belong to the preprocessing's tests. */
const PREPROCESSING = ['resegmentRange', 'removeOutliers', 'resampledPixelSpacing'] as const;

export const needsPreprocessing = (p: Parameters): boolean =>
  p.normalize === true || PREPROCESSING.some((name) => p[name] !== undefined && p[name] !== null);

export function classSettings(p: Parameters): ClassSettings {
  const d = DEFAULT_CLASS_SETTINGS;
  const of = <T>(name: string, fallback: T): T => (p[name] ?? fallback) as T;
  return {
    binWidth: of('binWidth', d.binWidth),
    binCount: of('binCount', d.binCount),
    voxelArrayShift: of('voxelArrayShift', d.voxelArrayShift),
    symmetricalGLCM: of('symmetricalGLCM', d.symmetricalGLCM),
    weightingNorm: of('weightingNorm', d.weightingNorm),
    distances: of('distances', d.distances),
    gldmA: of('gldm_a', d.gldmA),
    force2D: of('force2D', d.force2D),
    force2Ddimension: of('force2Ddimension', d.force2Ddimension),
  };
}

export function inputOf(image: Volume, mask: Volume, p: Parameters): ClassInput {
  return { image, roi: roiOf(mask, (p.label as number | undefined) ?? 1), settings: classSettings(p) };
}

/** One class alone, as a caller gets it. */
export function featuresOf(featureClass: FeatureClass, input: ClassInput, wanted: Wanted = null): FeatureSet {
  if (featureClass === 'shape') return shape(input, wanted);
  if (featureClass === 'shape2D') return shape2D(input, wanted);
  return intensityFeatures(input, new Map([[featureClass, wanted]])).get(featureClass)!;
}

/** Worst place of a comparison at |difference| ≤ 1e-6 · |reference| + 1e-10. */
export class Comparison {
  readonly off: string[] = [];
  compared = 0;
  add(place: string, got: number | null | undefined, want: number | null): void {
    this.compared++;
    if (want === null || Number.isNaN(want)) {
      if (got !== null) this.off.push(`${place}: got ${got}, want none`);
      return;
    }
    const allowed = 1e-6 * Math.abs(want) + 1e-10;
    if (typeof got !== 'number' || !(Math.abs(got - want) <= allowed))
      this.off.push(`${place}: got ${got}, want ${want}`);
  }
}
