import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ConcordatError } from '../../../shared/errors.js';
import type { Study } from '../../../shared/study.js';
import { hasPatterns, parseStudy, resolveFeatures } from '../../../shared/study-parse.js';
import { loadCohort, readCohortConfig, readTable, studyHeader } from '../../cohort-files.js';
import type { Table } from '../../cohort-table.site.js';
import { type ImageRow, imageRows } from '../../imaging/images-table.js';
import { requireAcceptedMask } from '../../imaging/shell/accepted-mask.js';
import { readImage } from '../../imaging/shell/read-file.js';
import { readMask } from '../../imaging/shell/read-mask.js';
import type { Volume } from '../../imaging/volume.js';
import { failureOf } from '../extract.js';
import { namesOf } from '../features-file.js';
import { type CaseQuality, lesionQuality } from '../quality/case-quality.js';
import { featureQuality } from '../quality/feature-quality.js';
import { qualityPage } from '../quality/page.js';
import type { QualityReport, ReportPicture } from '../quality/report.js';
import { type Thumbnail, thumbnailOf } from '../quality/thumbnail.js';
import { studyFeatureNames } from '../study-names.js';
import { ensureFeatures, type ImagesPlace } from './feature-store.js';

export interface QualityOptions {
  readonly cohort: string;
  readonly study?: string;
  /** This site's name in the study, where the table holds several sites' rows. */
  readonly site?: string;
  /** A table of features as `concordat extract --cohort` writes it. */
  readonly features?: string;
  readonly out: string;
  readonly threads: number;
  /** ISO 8601. */
  readonly at: string;
  readonly onCase: (done: number, total: number) => void;
  readonly onExtracted: (done: number, total: number, failed: number) => void;
}

/**
 * Looks at every image and lesion of a site's cohort and writes `index.html`, `quality.json` and `lesions/*.png` into a folder that only its owner can
 * read. A case that cannot be read is an exclusion of the report, not an error.
 *
 * @throws ConcordatError COHORT_*, STUDY_*, IMAGE_SETTINGS_INVALID of the cohort's and the study's own files
 */
export async function writeQualityReport(options: QualityOptions): Promise<QualityReport> {
  const folder = dirname(resolve(options.cohort));
  const config = readCohortConfig(options.cohort);
  if (config.images === undefined)
    throw new ConcordatError('COHORT_IMAGES_MISSING', `${basename(options.cohort)} names no table of images`);
  const study =
    options.study === undefined ? null : parseStudy(readFileSync(options.study, 'utf8'), basename(options.study));
  const imagesTable = resolve(folder, config.images.table);
  const rows = imageRows(readTable(imagesTable)).filter(({ reader }) => reader === '');
  const looks: Look[] = [];
  for (const row of rows) {
    looks.push(await lookAt(row, dirname(imagesTable)));
    options.onCase(looks.length, rows.length);
  }
  const { pictures, pngs } = picturesOf(looks);
  const place = { folder, table: config.images.table, models: config.models };
  const features = await featuresOf(options, study, place);
  const table = readTable(resolve(folder, config.table), config.separator);
  const report: QualityReport = {
    format: 'concordat-quality-1',
    madeAt: options.at,
    cohort: basename(options.cohort),
    study: study?.name ?? null,
    cases: looks.map(({ quality }) => quality),
    pictures,
    exclusions: [
      ...unmatched(rows, table, config.id),
      ...(study === null
        ? []
        : studyExclusions(
            study,
            options,
            studyHeader(config, table).filter((name) => name !== config.id),
          )),
    ],
    features,
  };
  mkdirSync(join(options.out, 'lesions'), { recursive: true, mode: 0o700 });
  // The folder may have been there, empty and open to others.
  chmodSync(options.out, 0o700);
  const write = (name: string, content: string | Uint8Array) =>
    writeFileSync(join(options.out, name), content, { mode: 0o600 });
  pngs.forEach((png, at) => {
    write(pictures[at]!.file, png);
  });
  write('quality.json', `${JSON.stringify(report, null, 2)}\n`);
  write('index.html', qualityPage(report, pngs));
  return report;
}

interface Look {
  readonly quality: CaseQuality;
  readonly thumbnail: Thumbnail | null;
}

async function lookAt(row: ImageRow, folder: string): Promise<Look> {
  const named = { case: row.case, phase: row.phase, timepoint: row.timepoint, label: row.label };
  let seen: SeenImage | null = null;
  try {
    seen = await imageWithFacts(resolve(folder, row.image));
    const { volume, modality, kernel } = seen;
    const mask = resolve(folder, row.mask);
    requireAcceptedMask(mask);
    const region = (await readMask(mask)).region(row.label, volume);
    const { roi, lesion, notes } = lesionQuality(volume, region);
    const quality: CaseQuality = {
      ...named,
      status: 'ok',
      reason: null,
      modality,
      kernel,
      image: imageOf(volume),
      lesion,
      notes,
    };
    return { quality, thumbnail: thumbnailOf(volume, region, roi, modality) };
  } catch (error) {
    const { code, message } = failureOf(error);
    const facts = {
      modality: seen?.modality ?? null,
      kernel: seen?.kernel ?? null,
      image: seen === null ? null : imageOf(seen.volume),
    };
    const quality: CaseQuality = {
      ...named,
      status: 'excluded',
      reason: { code, message: `${seen === null ? 'image' : 'mask'}: ${message}` },
      ...facts,
      lesion: null,
      notes: [],
    };
    return { quality, thumbnail: null };
  }
}

const imageOf = ({ size, spacingMm }: Volume): { size: readonly number[]; spacingMm: readonly number[] } => ({
  size,
  spacingMm,
});

interface SeenImage {
  readonly volume: Volume;
  readonly modality: string | null;
  readonly kernel: string | null;
}

/** An image, with what its DICOM files say of how it was made. */
async function imageWithFacts(path: string): Promise<SeenImage> {
  const volume = await readImage(path);
  const { modality, kernel } = volume.acquisition ?? {};
  return { volume, modality: textOf(modality), kernel: textOf(kernel) };
}

const textOf = (stated: string | number | undefined): string | null => (stated === undefined ? null : String(stated));

function picturesOf(looks: readonly Look[]): { pictures: ReportPicture[]; pngs: Uint8Array[] } {
  const pictures: ReportPicture[] = [];
  const pngs: Uint8Array[] = [];
  for (const [at, { thumbnail }] of looks.entries()) {
    if (thumbnail === null) continue;
    const { png, ...rest } = thumbnail;
    pngs.push(png);
    pictures.push({ case: at, file: `lesions/${String(at + 1).padStart(4, '0')}.png`, ...rest });
  }
  return { pictures, pngs };
}

function unmatched(rows: readonly ImageRow[], table: Table, idColumn: string): QualityReport['exclusions'] {
  const idAt = table.header.indexOf(idColumn);
  if (idAt < 0) return [];
  const known = new Set(table.rows.map((cells) => cells[idAt]!));
  const imaged = new Set(rows.map((row) => row.case));
  const lists = [
    { reason: 'in the table of cases, without an image', cases: [...known].filter((name) => !imaged.has(name)) },
    { reason: 'with images, and not in the table of cases', cases: [...imaged].filter((name) => !known.has(name)) },
  ];
  return lists.filter(({ cases }) => cases.length > 0).map((one) => ({ ...one, count: one.cases.length }));
}

/** Whom the study leaves out, by reason; the cohort's own loading names no cases. */
function studyExclusions(
  study: Study,
  { cohort, site }: QualityOptions,
  header: readonly string[],
): QualityReport['exclusions'] {
  try {
    const extracted = study.imaging === undefined ? null : studyFeatureNames(study.imaging);
    // As when a study is checked: patterns mean what the images give, and a name in full may be a column of the table.
    const named = study.cohort.features.filter((name) => !name.includes('*') && !extracted?.includes(name));
    const resolved = hasPatterns(study)
      ? resolveFeatures(study, extracted === null ? header : [...extracted, ...named])
      : study;
    const { exclusions } = loadCohort(resolved, resolve(cohort), site ?? '').cohort;
    return exclusions.map(({ reason, count }) => ({ reason: `by the study: ${reason}`, count, cases: [] }));
  } catch (error) {
    const { code, message } = failureOf(error);
    return [{ reason: `the study cannot use the table: ${code}: ${message}`, count: 0, cases: [] }];
  }
}

async function featuresOf(
  options: QualityOptions,
  study: Study | null,
  place: ImagesPlace,
): Promise<QualityReport['features']> {
  if (options.features !== undefined) return featuresOfTable(readTable(options.features));
  if (study?.imaging === undefined) return null;
  const { threads, onExtracted: onCase } = options;
  const { rows } = await ensureFeatures(study.imaging, place, { threads, onCase });
  const names = namesOf(rows);
  const columns = names.map((name) => rows.map((row) => row.features.get(name)?.value ?? null));
  const list = featureQuality(names, columns).map((one) => ({ ...one, feature: one.name }));
  return { source: `study ${study.name}`, rows: rows.map((row) => row.case), list };
}

/** Columns that name a row of a table of features, of which a table by case has fewer. */
const NAMING = ['case', 'phase', 'timepoint', 'label', 'status', 'reason'];

/** Features of one image a row are judged phase by phase, so that a difference between phases is no outlier. */
function featuresOfTable({ file, header, rows }: Table): NonNullable<QualityReport['features']> {
  const caseAt = header.indexOf('case');
  if (caseAt < 0)
    throw new ConcordatError('COHORT_INVALID', `${file} has no column "case": it is no table of features`);
  const cell = (row: readonly string[], name: string): string => row[header.indexOf(name)] ?? '';
  const groupOf = (row: readonly string[]) =>
    [cell(row, 'timepoint'), cell(row, 'phase')].filter((word) => word !== '').join(' ');
  const groups = [...new Set(rows.map(groupOf))];
  const names = header.filter((name) => !NAMING.includes(name));
  const list = groups.flatMap((group) => {
    const own = rows.flatMap((row, at) => (groupOf(row) === group ? [at] : []));
    const columns = names.map((name) => {
      const column = header.indexOf(name);
      return own.map((at) => numberOf(rows[at]![column]!));
    });
    const prefixed = names.map((name) => (group === '' ? name : `${group}: ${name}`));
    return featureQuality(prefixed, columns).map((one, at) => ({
      ...one,
      feature: names[at]!,
      outliers: one.outliers.map((row) => own[row]!),
    }));
  });
  return { source: file, rows: rows.map((row) => row[caseAt]!), list };
}

const numberOf = (cell: string): number | null =>
  cell.trim() === '' || !Number.isFinite(Number(cell)) ? null : Number(cell);
