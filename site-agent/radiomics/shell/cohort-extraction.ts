import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeReplacing } from '../../../shared/durable-files.js';
import type { Imaging, ImagingRegion } from '../../../shared/imaging.js';
import { deepNames } from '../../../shared/imaging-deep.js';
import type { Perturbation } from '../../../shared/perturbation.js';
import type { ImageRow } from '../../imaging/images-table.js';
import { requireAcceptedMask } from '../../imaging/shell/accepted-mask.js';
import { caseFeatureNames, caseFeatures, type ExtractedRegion } from '../case-features.js';
import { type CasePlan, casePlans, lesionPlans } from '../case-plan.js';
import { comparisons } from '../comparisons.js';
import { missingDeepFeatures } from '../deep/encode.js';
import type { RegionPatch } from '../deep/region-patch.js';
import { type FailureReason, failureOf } from '../extract.js';
import type { FeatureValue } from '../feature.js';
import type { CaseRow } from '../features-file.js';
import { takesMasksToImage } from '../region-on-image.js';
import {
  acquisitionKept,
  type KeptRegion,
  keptOf,
  type PatchRequest,
  type RegionRequest,
  readKept,
  resultOf,
} from '../region-task.js';
import { type PhaseStandard, standardOf } from '../standard-image.js';
import { deepRegionDigest, regionDigest, type StudyExtraction, studyExtraction } from '../study-extraction.js';
import type { Encoders, OpenEncoder } from './encoders.js';
import { FileDigests } from './file-digests.js';
import { makeStore } from './make-store.js';
import { RegionPool } from './region-pool.js';

/** Changes whenever a release of this program gives other values for the same settings: cached features of before are not used. */
const VALUES_VERSION = 2;

export interface CohortExtractionOptions {
  /** Folder that the table's paths are relative to. */
  readonly folder: string;
  /** Folder of the site's features: cache, digests and tables. */
  readonly store: string;
  readonly threads: number;
  /** For tests that run from source: where the compiled thread is. */
  readonly threadFile?: URL;
  /** Whose features stand beside the others; whoever opened them closes them. */
  readonly encoders?: Encoders;
  /** After each case. */
  readonly onCase?: (done: number, total: number, failed: number) => void;
}

/**
 * One row of features for each case of the table, in its order. What was extracted before, from the same bytes with the same settings, is taken from
 * the cache, so an interrupted run goes on where it stopped. A case that cannot be read gets a row that says why.
 */
export function extractCohort(
  imaging: Imaging,
  rows: readonly ImageRow[],
  options: CohortExtractionOptions,
): Promise<CaseRow[]> {
  return extractPlans(imaging, casePlans(imaging, rows), options);
}

/**
 * One row for each lesion of every case, with the features that a study of one lesion a patient would have. For looking at lesions and for other programs: a
 * study's rows are patients.
 *
 * @throws ConcordatError COHORT_INVALID where two lesions of a case cannot be told apart.
 */
export function extractLesions(
  imaging: Imaging,
  rows: readonly ImageRow[],
  options: CohortExtractionOptions,
): Promise<CaseRow[]> {
  return extractPlans({ ...imaging, lesions: 'largest' }, lesionPlans(imaging, casePlans(imaging, rows)), options);
}

async function extractPlans(
  imaging: Imaging,
  plans: readonly (CasePlan & { readonly lesion?: string })[],
  options: CohortExtractionOptions,
): Promise<CaseRow[]> {
  const regions = studyRegions(imaging, options);
  let done = 0;
  let failed = 0;
  // Every region has features of the same names but for those of encoders, which the study knows.
  const deep = new Set((imaging.deep ?? []).flatMap(({ name, features }) => deepNames(name, features)));
  let names: readonly string[] = [];
  const named: Regions = {
    of: async (row, region, phase) => {
      const kept = await regions.of(row, region, phase);
      if (kept.status === 'ok' && names.length === 0)
        names = kept.features.map(([name]) => name).filter((name) => !deep.has(name));
      return kept;
    },
  };
  const one = async (plan: CasePlan & { readonly lesion?: string }): Promise<CaseRow> => {
    const row = await caseRow(imaging, plan, named);
    done++;
    if (row.status === 'failed') failed++;
    options.onCase?.(done, plans.length, failed);
    return plan.lesion === undefined ? row : { ...row, lesion: plan.lesion };
  };
  try {
    const found = await inOrder(plans, 2 * options.threads, one);
    return withAllFeatures(found, caseFeatureNames(imaging, names));
  } finally {
    await regions.close();
  }
}

/** A feature that no case of the site has, because all lack a phase or a habitat, is missing everywhere, not unknown. */
function withAllFeatures(rows: readonly CaseRow[], names: readonly string[]): CaseRow[] {
  const known = new Set(rows.flatMap((row) => [...row.features.keys()]));
  const lacking = names.filter((name) => !known.has(name));
  const missing: FeatureValue = { value: null, reason: 'no case has a value' };
  return rows.map((row) => ({
    ...row,
    features: new Map([...row.features, ...lacking.map((name): [string, FeatureValue] => [name, missing])]),
  }));
}

/** The regions of a study's images under its settings. */
export function studyRegions(imaging: Imaging, options: CohortExtractionOptions): RegionExtraction {
  return new RegionExtraction(
    studyExtraction(imaging),
    options,
    (region, phase) => regionDigest(imaging, region, phase),
    (phase) => standardOf(imaging.standardize, phase),
  );
}

/** Runs at most `atOnce` at a time, results in the order of the items; the first bug is thrown once all that began have ended. */
export async function inOrder<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!);
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.max(1, atOnce) }, lane));
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason;
  return results;
}

/** A patient's features from `regions`, whatever reading of them it gives. */
export async function caseRow(imaging: Imaging, plan: CasePlan, regions: Regions): Promise<CaseRow> {
  const extracted: ExtractedRegion[] = [];
  const reasons: string[] = plan.missing.map((what) => `no image of ${what}`);
  for (const task of plan.tasks) {
    const kept = await regions.of(task.row, task.region, task.phase);
    const result = resultOf(kept);
    const where = [task.timepoint, task.phase, task.region.name].filter((word) => word !== '').join(' ');
    if (result.status === 'failed') {
      reasons.push(`${where}: ${result.reason.code}: ${result.reason.message}`);
      continue;
    }
    for (const { code, message } of kept.lacking ?? []) reasons.push(`${where}: ${code}: ${message}`);
    const { volumeMm3, spacingMm, features } = result;
    const { timepoint, phase } = task;
    const { date, mask } = task.row;
    const acquisition = acquisitionKept(kept);
    extracted.push({
      timepoint,
      phase,
      region: task.region.name,
      volumeMm3,
      spacingMm,
      features,
      date,
      mask,
      acquisition,
    });
  }
  const { excluded, remarked } = comparisons(imaging, extracted);
  reasons.push(...excluded);
  const status = reasons.length === 0 ? 'ok' : extracted.length > 0 ? 'partial' : 'failed';
  const reason = [...reasons, ...remarked].join('; ');
  return { case: plan.case, status, reason, features: caseFeatures(imaging, extracted) };
}

/** Null where there is no entry, or none that can be read: then the region is extracted. */
function cached(file: string): KeptRegion | null {
  try {
    return readKept(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** A region with the features of its encoders after its own; of an encoder that failed on it they are missing, and `lacking` says why. */
export type WholeRegion = KeptRegion & { readonly lacking?: readonly FailureReason[] };

/** The regions of one reading. */
export interface Regions {
  of(row: ImageRow, region: ImagingRegion, phase: string): Promise<WholeRegion>;
}

/** Which reading of a perturbed lesion is meant. */
export interface PerturbedReading {
  readonly of: Perturbation;
  readonly seed: number;
  /** 1 for the first. */
  readonly reading: number;
}

/** What is asked of a region, and all that a cached answer depends on besides the settings. */
interface Asked {
  readonly request: Omit<RegionRequest, 'extraction'>;
  readonly content: readonly unknown[];
}

/** Regions of images through the cache and the threads. */
export class RegionExtraction implements Regions {
  private readonly pool: RegionPool<RegionRequest | PatchRequest, KeptRegion | RegionPatch>;
  private readonly digests: FileDigests;

  constructor(
    private readonly extraction: StudyExtraction,
    private readonly options: CohortExtractionOptions,
    private readonly digestOf: (region: ImagingRegion, phase: string) => string,
    private readonly standardOf: (phase: string) => PhaseStandard | null = () => null,
  ) {
    makeStore(path.join(options.store, 'cache'));
    this.pool = new RegionPool(options.threads, options.threadFile);
    this.digests = new FileDigests(path.join(options.store, 'files.json'));
  }

  async of(
    row: ImageRow,
    region: ImagingRegion,
    phase: string,
    reading: PerturbedReading | null = null,
  ): Promise<WholeRegion> {
    let asked: Asked;
    try {
      asked = await this.asked(row, region, phase, reading);
    } catch (error) {
      return failed(error);
    }
    const { request } = asked;
    const kept = await this.throughCache(asked, this.digestOf(region, phase), async () => {
      const found = await this.pool.extract({ ...request, extraction: this.extraction });
      return found as KeptRegion;
    });
    const encoders = this.options.encoders?.of(region) ?? [];
    if (kept.status === 'failed' || encoders.length === 0) return kept;
    const features = [...kept.features];
    const lacking: FailureReason[] = [];
    for (const one of encoders) {
      const deep = resultOf(await this.encoded(asked, one, region, phase));
      if (deep.status === 'failed') lacking.push(deep.reason);
      const { name } = one.encoder.settings;
      features.push(...(deep.status === 'ok' ? deep.features : missingDeepFeatures(name, one.count, NOT_ENCODED)));
    }
    return { ...kept, features, ...(lacking.length === 0 ? {} : { lacking }) };
  }

  /** One encoder's features of a region: the patch is cut where images are read, the model has a thread of its own. */
  private encoded({ request, content }: Asked, one: OpenEncoder, region: ImagingRegion, phase: string) {
    const { encoder } = one;
    const digest = deepRegionDigest(encoder.settings, region, this.standardOf(phase));
    return this.throughCache({ request, content }, digest, async () => {
      const patch = await this.pool.extract({ ...request, encoder: encoder.settings });
      if (patch.status !== 'patch') return patch as KeptRegion;
      try {
        return keptOf({ ...patch, status: 'ok', features: await encoder.featuresOf(patch) });
      } catch (error) {
        return failed(error);
      }
    });
  }

  /** @throws ConcordatError IMAGE_MASK_*, IMAGE_UNREADABLE: a file is not there, or nobody accepted it */
  private async asked(
    row: ImageRow,
    region: ImagingRegion,
    phase: string,
    reading: PerturbedReading | null,
  ): Promise<Asked> {
    const at = (file: string) => path.resolve(this.options.folder, file);
    const usesOrgan = (region.kind === 'ring' || region.kind === 'dilated') && region.withinOrgan && row.organ !== null;
    const organ = usesOrgan ? { mask: at(row.organ!), label: row.organLabel } : null;
    const standard = this.standardFor(row, phase, at);
    // Before the cache is asked, because nobody's acceptance is part of its key.
    for (const mask of new Set([at(row.mask), ...(organ === null ? [] : [organ.mask])])) requireAcceptedMask(mask);
    const files = [await this.digests.of(at(row.image)), await this.digests.of(at(row.mask))];
    if (organ !== null) files.push(await this.digests.of(organ.mask));
    const measuredIn = standard?.organ ?? null;
    if (measuredIn !== null) requireAcceptedMask(measuredIn.mask);
    if (measuredIn !== null) files.push(await this.digests.of(measuredIn.mask));
    const labels = [row.label, organ?.label ?? null, ...(measuredIn === null ? [] : [measuredIn.label])];
    const request = {
      image: at(row.image),
      mask: at(row.mask),
      label: row.label,
      organ,
      region,
      standard,
      mayResample: takesMasksToImage(this.extraction),
    };
    const content = [files, ...labels];
    if (reading === null) return { request, content };
    const seed = { seed: reading.seed, reading: reading.reading, lesion: `${files[1]} ${row.label}`, image: files[0]! };
    return { request: { ...request, perturbed: { of: reading.of, seed } }, content: [...content, reading] };
  }

  /** What failed is not kept but tried again next time: memory, a disk or a share may be there then. */
  private async throughCache(
    { content }: Asked,
    digest: string,
    extracted: () => Promise<KeptRegion>,
  ): Promise<KeptRegion> {
    const key = createHash('sha256')
      .update(JSON.stringify([VALUES_VERSION, digest, ...content]))
      .digest('hex');
    const file = path.join(this.options.store, 'cache', `${key}.json`);
    const known = cached(file);
    if (known !== null) return known;
    const kept = await extracted();
    if (kept.status === 'ok') writeReplacing(file, JSON.stringify(kept), 0o600);
    return kept;
  }

  private standardFor(row: ImageRow, phase: string, at: (file: string) => string): RegionRequest['standard'] {
    const standard = this.standardOf(phase);
    if (standard === null) return null;
    const measured = standard.within === 'organ' && row.organ !== null;
    return { ...standard, organ: measured ? { mask: at(row.organ!), label: row.organLabel } : null };
  }

  async close(): Promise<void> {
    this.digests.save();
    await this.pool.close();
  }
}

const NOT_ENCODED = 'the encoder gave nothing for this region';

const failed = (error: unknown): KeptRegion => ({ format: 1, status: 'failed', reason: { ...failureOf(error) } });
