import { z } from 'zod';
import type { ErrorCode } from '../../shared/errors.js';
import type { ImagingRegion } from '../../shared/imaging.js';
import type { Encoder } from '../../shared/imaging-deep.js';
import type { Perturbation } from '../../shared/perturbation.js';
import type { Acquisition } from '../imaging/acquisition.js';
import type { FeatureSet, FeatureValue } from './feature.js';
import type { PerturbationSeed } from './perturb/perturb.js';
import type { RegionResult } from './region-source.js';
import type { PhaseStandard } from './standard-image.js';
import type { StudyExtraction } from './study-extraction.js';

/** What a thread is asked: paths are absolute and stay in this process. */
export interface RegionRequest {
  readonly image: string;
  readonly mask: string;
  readonly label: number;
  readonly organ: { readonly mask: string; readonly label: number } | null;
  readonly region: ImagingRegion;
  /** Whether a mask on another grid is taken to the image's. */
  readonly mayResample: boolean;
  readonly extraction: StudyExtraction;
  /** The study's standard scale of intensities, and the organ where landmarks are measured in it; null where it has none. */
  readonly standard:
    | (PhaseStandard & { readonly organ: { readonly mask: string; readonly label: number } | null })
    | null;
  /** Where the reading is of a perturbed lesion. */
  readonly perturbed?: { readonly of: Perturbation; readonly seed: PerturbationSeed };
}

/** The same image and region, of which an encoder's patch is wanted instead of features. */
export interface PatchRequest extends Omit<RegionRequest, 'extraction'> {
  readonly encoder: Encoder;
}

/** A result as it is kept in the cache and sent between threads: plain JSON. */
const keptSchema = z.discriminatedUnion('status', [
  z.strictObject({
    format: z.literal(1),
    status: z.literal('ok'),
    volumeMm3: z.number(),
    spacingMm: z.array(z.number()).length(3),
    /** How the image was made, where its file says so. */
    acquisition: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    features: z.array(
      z.tuple([
        z.string(),
        z.strictObject({ value: z.number().nullable(), code: z.string().optional(), reason: z.string().optional() }),
      ]),
    ),
  }),
  z.strictObject({
    format: z.literal(1),
    status: z.literal('failed'),
    reason: z.strictObject({ code: z.string(), message: z.string() }),
  }),
]);
export type KeptRegion = z.output<typeof keptSchema>;

export function keptOf(result: RegionResult, acquisition?: Acquisition): KeptRegion {
  if (result.status === 'failed') return { format: 1, status: 'failed', reason: { ...result.reason } };
  const { volumeMm3, spacingMm } = result;
  const features = [...result.features].map(([name, value]): [string, FeatureValue] => [name, finite(value)]);
  const stated = acquisition === undefined ? {} : { acquisition: { ...acquisition } };
  return { format: 1, status: 'ok', volumeMm3, spacingMm: [...spacingMm], ...stated, features };
}

/** JSON has no NaN and no infinity: such a value is one that the definition does not give. */
const finite = (value: FeatureValue): FeatureValue =>
  value.value === null || Number.isFinite(value.value)
    ? value
    : { ...value, value: null, reason: value.reason ?? 'not a finite number' };

/** How the image of a region was made, as far as its file says it: nothing of a region that failed. */
export const acquisitionKept = (kept: KeptRegion): Acquisition =>
  kept.status === 'ok' ? (kept.acquisition ?? {}) : {};

export function resultOf(kept: KeptRegion): RegionResult {
  if (kept.status === 'failed')
    return { status: 'failed', reason: { code: kept.reason.code as ErrorCode, message: kept.reason.message } };
  const features: FeatureSet = new Map(
    kept.features.map(([name, { value, code, reason }]) => [
      name,
      { value, ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }) },
    ]),
  );
  return { status: 'ok', volumeMm3: kept.volumeMm3, spacingMm: kept.spacingMm, features };
}

/** A cache entry, or null where it is damaged or of another release: then the region is extracted again. */
export function readKept(text: string): KeptRegion | null {
  try {
    const read = keptSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}
