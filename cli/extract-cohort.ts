import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeReplacing } from '../shared/durable-files.js';
import { ConcordatError } from '../shared/errors.js';
import type { Imaging, ImagingRegion } from '../shared/imaging.js';
import { parseStudy } from '../shared/study-parse.js';
import { readCohortConfig, readTable } from '../site-agent/cohort-files.js';
import { type ImageRow, imageRows } from '../site-agent/imaging/images-table.js';
import { type FeatureRow, featureCsv, featureJson } from '../site-agent/radiomics/feature-table.js';
import { type CaseRow, caseCsv, namesOf } from '../site-agent/radiomics/features-file.js';
import { parseIbsiSettings } from '../site-agent/radiomics/ibsi-profile.js';
import { resultOf } from '../site-agent/radiomics/region-task.js';
import { defaultSettings, parseSettings } from '../site-agent/radiomics/settings.js';
import { canonicalSettings, settingsDigest } from '../site-agent/radiomics/settings-digest.js';
import { extractLesions, inOrder, RegionExtraction } from '../site-agent/radiomics/shell/cohort-extraction.js';
import { withDeepDigest } from '../site-agent/radiomics/shell/deep-encoder.js';
import { Encoders } from '../site-agent/radiomics/shell/encoders.js';
import {
  ensureFeatures,
  FEATURES_FOLDER,
  type ImagesPlace,
  studyEncoders,
} from '../site-agent/radiomics/shell/feature-store.js';
import { defaultThreads } from '../site-agent/radiomics/shell/prepare-cohort.js';
import { ensureRepeats } from '../site-agent/radiomics/shell/repeat-store.js';
import { canonicalImaging, imagingDigest, type StudyExtraction } from '../site-agent/radiomics/study-extraction.js';

export interface ExtractCohortOptions {
  readonly cohort: string;
  readonly study?: string;
  /** With a study: one row a lesion. */
  readonly byLesion?: boolean;
  readonly params?: string;
  /** Settings of an encoder whose deep features are added; a study names its own. */
  readonly deep?: string;
  readonly profile: 'pyradiomics' | 'ibsi';
  readonly threads?: number;
  readonly out?: string;
  readonly onCase: (done: number, total: number, failed: number) => void;
  readonly threadFile?: URL;
}

export interface ExtractCohortOutcome {
  readonly rows: number;
  readonly failed: number;
  /** Where the table is, and the settings' digest that it was made with. */
  readonly written: string;
  readonly digest: string;
}

/**
 * All images of a cohort. With a study, one row a patient with the study's features, kept where the study will look for them; without, one row
 * an image with the features of a parameter file. What was extracted before is taken from the cache.
 */
export async function extractCohortFiles(options: ExtractCohortOptions): Promise<ExtractCohortOutcome> {
  const folder = path.dirname(path.resolve(options.cohort));
  const config = readCohortConfig(options.cohort);
  if (config.images === undefined)
    throw new ConcordatError('COHORT_IMAGES_MISSING', `${path.basename(options.cohort)} names no table of images`);
  const threads = options.threads ?? defaultThreads();
  const { onCase } = options;
  const pool = options.threadFile === undefined ? {} : { threadFile: options.threadFile };
  if (options.study !== undefined) {
    const study = parseStudy(readFileSync(options.study, 'utf8'), path.basename(options.study));
    if (study.imaging === undefined)
      throw new ConcordatError(
        'STUDY_INVALID',
        `study "${study.name}" has no imaging section: its features come from the table`,
      );
    const place = { folder, table: config.images.table, models: config.models };
    if (options.byLesion === true) return lesionsOf(study.imaging, place, { ...options, threads, ...pool });
    const { rows, file, digest } = await ensureFeatures(study.imaging, place, { threads, onCase, ...pool });
    await ensureRepeats(study, place, { threads, onCase, ...pool });
    const failed = rows.filter(({ status }) => status === 'failed').length;
    if (options.out === undefined) return { rows: rows.length, failed, written: file, digest };
    writeOut(options.out, readFileSync(file, 'utf8'));
    return { rows: rows.length, failed, written: options.out, digest };
  }
  const imagesTable = path.resolve(folder, config.images.table);
  const images = imageRows(readTable(imagesTable));
  const { extraction, digest: base } = settingsOf(options);
  const store = path.join(folder, FEATURES_FOLDER);
  const encoders = options.deep === undefined ? Encoders.NONE : await Encoders.ofFile(options.deep);
  const digest = options.deep === undefined ? base : withDeepDigest(base, encoders.digest);
  const regions = new RegionExtraction(
    extraction,
    { folder: path.dirname(imagesTable), store, threads, encoders, ...pool },
    () => base,
  );
  let done = 0;
  let failed = 0;
  const one = async (image: ImageRow): Promise<FeatureRow> => {
    const kept = await regions.of(image, LESION, image.phase);
    const [lacking] = kept.lacking ?? [];
    // As for one image: without its deep features a row has none.
    const result = lacking === undefined ? resultOf(kept) : ({ status: 'failed', reason: lacking } as const);
    done++;
    if (result.status === 'failed') failed++;
    onCase(done, images.length, failed);
    const { phase, timepoint, label } = image;
    return {
      case: image.case,
      phase,
      timepoint,
      label,
      status: result.status,
      reason: result.status === 'failed' ? result.reason : null,
      features: result.status === 'failed' ? new Map() : result.features,
      diagnostics: {},
      settingsDigest: digest,
    };
  };
  let rows: FeatureRow[];
  try {
    rows = await inOrder(images, 2 * threads, one);
  } finally {
    await regions.close();
    await encoders.close();
  }
  const written = options.out ?? path.join(store, `images-${digest.slice(0, 12)}.csv`);
  writeOut(written, /\.json$/i.test(written) ? `${JSON.stringify(featureJson(rows), null, 2)}\n` : featureCsv(rows));
  return { rows: rows.length, failed, written, digest };
}

/** The study's features lesion by lesion, from the cache where the patients' were extracted before. */
async function lesionsOf(
  imaging: Imaging,
  place: ImagesPlace & { readonly table: string },
  options: ExtractCohortOptions & { readonly threads: number },
): Promise<ExtractCohortOutcome> {
  const imagesTable = path.resolve(place.folder, place.table);
  const store = path.join(place.folder, FEATURES_FOLDER);
  const { threads, onCase, threadFile } = options;
  const encoders = await studyEncoders(imaging, place);
  let rows: CaseRow[];
  try {
    rows = await extractLesions(imaging, imageRows(readTable(imagesTable)), {
      ...{ folder: path.dirname(imagesTable), store, threads, onCase, encoders },
      ...(threadFile === undefined ? {} : { threadFile }),
    });
  } finally {
    await encoders.close();
  }
  const digest = imagingDigest(canonicalImaging(imaging));
  const written = options.out ?? path.join(store, `lesions-${digest.slice(0, 12)}.csv`);
  writeOut(written, caseCsv(rows, namesOf(rows)));
  return { rows: rows.length, failed: rows.filter(({ status }) => status === 'failed').length, written, digest };
}

const LESION: ImagingRegion = { name: 'lesion', kind: 'lesion', withinOrgan: true };

/** Rows hold names of cases: nobody else on the machine needs to read them, whatever was there before. */
const writeOut = (file: string, content: string): void => writeReplacing(path.resolve(file), content, 0o600);

function settingsOf(options: ExtractCohortOptions): { extraction: StudyExtraction; digest: string } {
  const text = options.params === undefined ? null : readFileSync(options.params, 'utf8');
  const name = options.params ?? 'the default';
  if (options.profile === 'ibsi') {
    const settings = parseIbsiSettings(text, name);
    return {
      extraction: { profile: 'ibsi', settings },
      digest: settingsDigest({ format: 1, profile: 'ibsi', settings }),
    };
  }
  const settings = text === null ? defaultSettings() : parseSettings(text, name).settings;
  return { extraction: { profile: 'pyradiomics', settings }, digest: settingsDigest(canonicalSettings(settings)) };
}
