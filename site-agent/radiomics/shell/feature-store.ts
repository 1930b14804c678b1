import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeReplacing } from '../../../shared/durable-files.js';
import { ConcordatError } from '../../../shared/errors.js';
import type { Imaging } from '../../../shared/imaging.js';
import { parseTable, type Table } from '../../cohort-table.site.js';
import { imageRows } from '../../imaging/images-table.js';
import { type CaseRow, caseCsv, type FeaturesAbout, namesOf, otherSettings, parseAbout } from '../features-file.js';
import { type LearnedFile, parseLearned } from '../learned-task.js';
import { canonicalImaging, imagingDigest } from '../study-extraction.js';
import { type CohortExtractionOptions, extractCohort } from './cohort-extraction.js';
import { Encoders } from './encoders.js';
import { FileDigests } from './file-digests.js';
import { learnFromCohort } from './learned-extraction.js';
import { makeStore } from './make-store.js';

/** Folder of a cohort's features, beside its cohort.yaml. */
export const FEATURES_FOLDER = 'features';

export interface ImagesPlace {
  /** Folder of cohort.yaml. */
  readonly folder: string;
  /** `images.table` of cohort.yaml, or undefined where it has none. */
  readonly table: string | undefined;
  /** `models` of cohort.yaml: ONNX files that studies may name. */
  readonly models?: readonly string[];
}

/**
 * The features that a study wants of this site's images, as they were extracted last.
 *
 * @throws ConcordatError COHORT_FEATURES_MISSING where they were not extracted yet, naming the settings that differ from those at hand, or where
 * the table of images changed since; COHORT_IMAGES_MISSING where cohort.yaml names no images.
 */
export function readFeatures(imaging: Imaging, place: ImagesPlace): Table {
  const digest = imagingDigest(canonicalImaging(imaging));
  const about = aboutOf(place, digest);
  const images = imagesBytes(place);
  if (about === null) {
    const problems = otherSettings(canonicalImaging(imaging), allAbout(place));
    throw new ConcordatError(
      'COHORT_FEATURES_MISSING',
      problems.length === 0
        ? 'the features of this study are not extracted from the images yet'
        : `the features at hand were extracted with other settings than the study's: ${problems.length} differ`,
      { problems },
    );
  }
  if (about.images !== sha256(images))
    throw new ConcordatError(
      'COHORT_FEATURES_MISSING',
      'the table of images changed since the features were extracted',
    );
  return parseTable(
    readFileSync(fileOf(place, digest, 'csv'), 'utf8'),
    `${FEATURES_FOLDER}/${digest.slice(0, 12)}.csv`,
  );
}

/**
 * What the study learns from this site's images, as it was measured with the features.
 *
 * @throws ConcordatError COHORT_FEATURES_MISSING where it was not, or the file is damaged.
 */
export function readLearned(imaging: Imaging, place: ImagesPlace): LearnedFile {
  const file = fileOf(place, imagingDigest(canonicalImaging(imaging)), 'learned.json');
  const learned = existsSync(file) ? parseLearned(readFileSync(file, 'utf8')) : null;
  if (learned === null)
    throw new ConcordatError(
      'COHORT_FEATURES_MISSING',
      'what the study learns from the images is not measured yet, or its file is damaged',
    );
  return learned;
}

/**
 * Extracts what is not extracted yet and keeps the table of features. Gives its rows and its place.
 *
 * @throws ConcordatError IMAGE_MODEL_* where this site has not the study's encoders, before any image is read; COHORT_IMAGES_MISSING, COHORT_UNREADABLE
 */
export async function ensureFeatures(
  imaging: Imaging,
  place: ImagesPlace,
  options: Pick<CohortExtractionOptions, 'threads' | 'onCase' | 'threadFile'>,
): Promise<{ readonly rows: readonly CaseRow[]; readonly file: string; readonly digest: string }> {
  const images = imagesBytes(place);
  const rows = imageRows(parseTable(images.toString('utf8'), path.basename(place.table!)));
  const canonical = canonicalImaging(imaging);
  const digest = imagingDigest(canonical);
  const store = path.join(place.folder, FEATURES_FOLDER);
  makeStore(store);
  const folder = path.dirname(path.resolve(place.folder, place.table!));
  const encoders = await studyEncoders(imaging, place);
  let found: CaseRow[];
  try {
    found = await extractCohort(imaging, rows, { ...options, folder, store, encoders });
  } finally {
    await encoders.close();
  }
  if (imaging.learn !== undefined) {
    const learned = await learnFromCohort(imaging, rows, { ...options, folder, store });
    writeReplacing(fileOf(place, digest, 'learned.json'), `${JSON.stringify(learned)}\n`, 0o600);
  }
  const about: FeaturesAbout = {
    format: 'concordat-features-1',
    digest,
    settings: canonical,
    images: sha256(images),
    cases: found.length,
  };
  const file = fileOf(place, digest, 'csv');
  writeReplacing(file, caseCsv(found, namesOf(found)), 0o600);
  writeReplacing(fileOf(place, digest, 'json'), `${JSON.stringify(about, null, 2)}\n`, 0o600);
  return { rows: found, file, digest };
}

/** A study's encoders from the model files of this site, whose digests are remembered as those of images are. Whoever asks closes them. */
export async function studyEncoders(imaging: Imaging, place: ImagesPlace): Promise<Encoders> {
  if (imaging.deep === undefined) return Encoders.NONE;
  const digests = new FileDigests(path.join(place.folder, FEATURES_FOLDER, 'files.json'));
  try {
    return await Encoders.ofStudy(imaging, place, (file) => digests.of(file));
  } finally {
    digests.save();
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const fileOf = ({ folder }: ImagesPlace, digest: string, kind: 'csv' | 'json' | 'learned.json'): string =>
  path.join(folder, FEATURES_FOLDER, `${digest.slice(0, 12)}.${kind}`);

function aboutOf(place: ImagesPlace, digest: string): FeaturesAbout | null {
  const file = fileOf(place, digest, 'json');
  if (!existsSync(file) || !existsSync(fileOf(place, digest, 'csv'))) return null;
  const about = parseAbout(readFileSync(file, 'utf8'));
  return about?.digest === digest ? about : null;
}

function allAbout({ folder }: ImagesPlace): FeaturesAbout[] {
  const store = path.join(folder, FEATURES_FOLDER);
  if (!existsSync(store)) return [];
  return readdirSync(store)
    .filter((name) => /^[0-9a-f]{12}\.json$/.test(name))
    .map((name) => parseAbout(readFileSync(path.join(store, name), 'utf8')))
    .filter((about) => about !== null);
}

/** @throws ConcordatError COHORT_IMAGES_MISSING, COHORT_UNREADABLE */
export function imagesBytes({ folder, table }: ImagesPlace): Buffer {
  if (table === undefined)
    throw new ConcordatError(
      'COHORT_IMAGES_MISSING',
      'the study extracts features from images, and cohort.yaml names none',
    );
  try {
    return readFileSync(path.resolve(folder, table));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConcordatError('COHORT_UNREADABLE', `${path.basename(table)} cannot be read (${reason})`);
  }
}
