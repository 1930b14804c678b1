import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeReplacing } from '../../../shared/durable-files.js';
import type { Imaging } from '../../../shared/imaging.js';
import type { ImageRow } from '../../imaging/images-table.js';
import { requireAcceptedMask } from '../../imaging/shell/accepted-mask.js';
import { casePlans, pairs } from '../case-plan.js';
import { failureOf } from '../extract.js';
import {
  type KeptLearned,
  type LearnedCase,
  type LearnedFile,
  type LearnRequest,
  meanOf,
  readKeptLearned,
  type Wanted,
} from '../learned-task.js';
import { standardOf } from '../standard-image.js';
import { type CohortExtractionOptions, inOrder } from './cohort-extraction.js';
import { FileDigests } from './file-digests.js';
import { RegionPool } from './region-pool.js';

/** Changes whenever a release of this program gives other values for the same settings: what is in the cache is not used then. */
const VALUES_VERSION = 1;

/**
 * What the study learns from, of each case of the table: never leaves the site but in sums. An image that cannot be used is left aside; why is in the table
 * of features, because its features fail for the same reason.
 */
export async function learnFromCohort(
  imaging: Imaging,
  rows: readonly ImageRow[],
  options: CohortExtractionOptions,
): Promise<LearnedFile> {
  const images = new LearnedImages(options);
  try {
    const cases = await inOrder(casePlans(imaging, rows), 2 * options.threads, async ({ case: name, tasks }) => {
      const own = rowsByPhase(
        imaging,
        tasks.map(({ phase, row }) => ({ phase, row })),
      );
      const lesions = tasks.filter(({ phase }) => phase === imaging.learn?.habitats?.phase).map(({ row }) => row);
      return {
        case: name,
        ...(await landmarksOf(imaging, own, images)),
        ...(await pointsOf(imaging, [...new Set(lesions)], images)),
      };
    });
    return { format: 'concordat-learned-1', cases };
  } finally {
    await images.close();
  }
}

/** Images of each phase, each once however many lesions are in it. */
function rowsByPhase(
  imaging: Imaging,
  tasks: readonly { readonly phase: string; readonly row: ImageRow }[],
): Map<string, ImageRow[]> {
  const phases = new Map<string, ImageRow[]>(pairs(imaging).map(({ phase }) => [phase, []]));
  for (const { phase, row } of tasks) {
    const known = phases.get(phase)!;
    if (!known.some(({ image }) => image === row.image)) known.push(row);
  }
  return phases;
}

async function landmarksOf(
  imaging: Imaging,
  own: ReadonlyMap<string, readonly ImageRow[]>,
  images: LearnedImages,
): Promise<Pick<LearnedCase, 'landmarks'>> {
  const section = imaging.learn?.landmarks;
  if (section === undefined) return {};
  const landmarks: Record<string, number[]> = {};
  for (const [phase, rows] of own) {
    const found: (readonly number[])[] = [];
    for (const row of rows) {
      const kept = await images.of(row, { kind: 'landmarks', within: section.within });
      if (kept.status === 'ok') found.push(kept.values);
    }
    if (found.length > 0) landmarks[phase] = meanOf(found);
  }
  return { landmarks };
}

/** Of the largest lesion, the first of several; of the first time point where there are more. */
async function pointsOf(
  imaging: Imaging,
  rows: readonly ImageRow[],
  images: LearnedImages,
): Promise<Pick<LearnedCase, 'points'>> {
  const section = imaging.learn?.habitats;
  const [first] = rows;
  if (section === undefined || first === undefined) return {};
  const { range, radiusMm, bins, voxels, phase } = section;
  const standard = standardOf(imaging.standardize, phase);
  const want: Wanted = { kind: 'points', scale: { range, radiusMm, bins }, voxels, standard };
  let largestMm3 = 0;
  let points: number[] = [];
  for (const row of rows.filter(({ timepoint }) => timepoint === first.timepoint)) {
    const kept = await images.of(row, want);
    if (kept.status === 'failed' || kept.values.at(-1)! <= largestMm3) continue;
    largestMm3 = kept.values.at(-1)!;
    points = kept.values.slice(0, -1);
  }
  return { points };
}

/** Images through the cache and the threads. */
class LearnedImages {
  private readonly pool: RegionPool<LearnRequest, KeptLearned>;
  private readonly digests: FileDigests;

  constructor(private readonly options: CohortExtractionOptions) {
    mkdirSync(path.join(options.store, 'cache'), { recursive: true });
    const beside = options.threadFile ?? new URL('./region-thread.js', import.meta.url);
    this.pool = new RegionPool(options.threads, new URL('./learned-thread.js', beside));
    this.digests = new FileDigests(path.join(options.store, 'files.json'));
  }

  async of(row: ImageRow, want: Wanted): Promise<KeptLearned> {
    const at = (file: string) => path.resolve(this.options.folder, file);
    const within = want.kind === 'landmarks' ? want.within : want.standard?.within;
    const usesOrgan = within === 'organ' && row.organ !== null;
    const lesion = { mask: at(row.mask), label: row.label };
    const organ = usesOrgan ? { mask: at(row.organ!), label: row.organLabel } : null;
    let key: string;
    try {
      // Before the cache is asked: a proposed mask that nobody accepted gives nothing, also where it did under another name.
      if (organ !== null) requireAcceptedMask(organ.mask);
      if (want.kind === 'points') requireAcceptedMask(lesion.mask);
      const files = [await this.digests.of(at(row.image))];
      if (organ !== null) files.push(await this.digests.of(organ.mask));
      if (want.kind === 'points') files.push(await this.digests.of(lesion.mask));
      const labels = [organ?.label ?? null, want.kind === 'points' ? lesion.label : null];
      const content = ['learned', VALUES_VERSION, want, files, labels];
      key = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    } catch (error) {
      return { format: 1, status: 'failed', reason: { ...failureOf(error) } };
    }
    const file = path.join(this.options.store, 'cache', `${key}.json`);
    const known = existsSync(file) ? readKeptLearned(readFileSync(file, 'utf8')) : null;
    if (known !== null) return known;
    const kept = await this.pool.extract({ image: at(row.image), lesion, organ, want });
    if (kept.status === 'ok') writeReplacing(file, JSON.stringify(kept), 0o600);
    return kept;
  }

  async close(): Promise<void> {
    this.digests.save();
    await this.pool.close();
  }
}
