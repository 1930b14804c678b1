import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { writeReplacing } from '../shared/durable-files.js';
import { ConcordatError } from '../shared/errors.js';
import { writeNifti } from '../site-agent/imaging/nifti-write.js';
import { writeNrrd } from '../site-agent/imaging/nrrd-write.js';
import { requireAcceptedMask } from '../site-agent/imaging/shell/accepted-mask.js';
import { type Extraction, type FailureReason, failureOf, type Source } from '../site-agent/radiomics/extract.js';
import { featureCsv, featureJson, featureRow } from '../site-agent/radiomics/feature-table.js';
import { extractByIbsi, parseIbsiSettings } from '../site-agent/radiomics/ibsi-profile.js';
import { defaultSettings, type ExtractionSettings, parseSettings } from '../site-agent/radiomics/settings.js';
import { canonicalSettings, settingsDigest } from '../site-agent/radiomics/settings-digest.js';
import { withDeepFeatures } from '../site-agent/radiomics/shell/deep-encoder.js';
import { ExtractionPool } from '../site-agent/radiomics/shell/extraction-pool.js';
import { readSource } from '../site-agent/radiomics/shell/read-source.js';

export interface ExtractOneOptions {
  readonly image: string;
  readonly mask: string;
  readonly params?: string;
  /** Settings of an encoder whose deep features are added. */
  readonly deep?: string;
  readonly profile: 'pyradiomics' | 'ibsi';
  readonly label?: number;
  readonly name: { readonly case: string; readonly phase: string; readonly timepoint: string };
  readonly resampleMask: boolean;
  readonly threads?: number;
  readonly out?: string;
  readonly progress: (line: string) => void;
}

export interface ExtractOneOutcome {
  /** How many features there are, missing ones too. */
  readonly features: number;
  readonly failure: FailureReason | null;
  /** Where the result lies; null where it is in `text` and `document` alone. */
  readonly written: string | null;
  readonly text: string;
  readonly document: unknown;
}

/** One region of one image, from files to a file. */
export async function extractOne(options: ExtractOneOptions): Promise<ExtractOneOutcome> {
  requireFiles(options);
  const base = options.profile === 'ibsi' ? ibsiWork(options) : pyradiomicsWork(options);
  const work = options.deep === undefined ? base : await withDeepFeatures(base, options.deep);
  const extraction = await extracted(options, work);
  if (extraction.status === 'ok') for (const note of new Set(extraction.notes)) options.progress(`note: ${note}`);
  const row = featureRow({ ...options.name, label: work.label, settingsDigest: work.digest }, extraction);
  const document = featureJson([row]);
  const csv = featureCsv([row]);
  if (options.out !== undefined) {
    const content = /\.json$/i.test(options.out) ? `${JSON.stringify(document, null, 2)}\n` : csv;
    writeReplacing(path.resolve(options.out), content, 0o600);
  }
  return { features: row.features.size, failure: row.reason, written: options.out ?? null, text: csv, document };
}

/** Maps of features of one region, each to a file of its name in a folder. */
export async function extractMapsOne(
  options: ExtractOneOptions & { readonly out: string; readonly format: 'nii.gz' | 'nrrd' },
): Promise<{ maps: number; failure: FailureReason | null }> {
  requireFiles(options);
  const settings = readSettings(options);
  const pool = new ExtractionPool(options.threads ?? availableParallelism());
  try {
    const { label, correctMask } = settings.preprocessing;
    const source = await readSource(options.image, options.mask, label, { mayResample: correctMask });
    const mapping = await pool.maps(source, settings, (done, total) => options.progress(`  ${done} of ${total}`));
    if (mapping.status === 'failed') return { maps: 0, failure: mapping.reason };
    for (const note of new Set(mapping.notes)) options.progress(`note: ${note}`);
    mkdirSync(options.out, { recursive: true });
    const write = options.format === 'nrrd' ? writeNrrd : writeNifti;
    for (const { name, volume } of mapping.maps)
      writeFileSync(path.join(options.out, `${name}.${options.format}`), write(volume));
    return { maps: mapping.maps.length, failure: null };
  } catch (error) {
    return { maps: 0, failure: failureOf(error) };
  } finally {
    await pool.close();
  }
}

function requireFiles(options: ExtractOneOptions): void {
  for (const file of [options.image, options.mask, options.params, options.deep])
    if (file !== undefined && !existsSync(file)) throw new ConcordatError('CLI_FILE_MISSING', `${file} does not exist`);
  requireAcceptedMask(options.mask);
}

/** What is done with an image and its mask, and what the table says of it. */
interface Work {
  readonly label: number;
  /** A mask on another grid is taken to the image's. */
  readonly mayResample: boolean;
  readonly digest: string;
  run(source: Source): Promise<Extraction>;
}

function pyradiomicsWork(options: ExtractOneOptions): Work {
  const settings = readSettings(options);
  return {
    label: settings.preprocessing.label,
    mayResample: settings.preprocessing.correctMask,
    digest: settingsDigest(canonicalSettings(settings)),
    run: async (source) => {
      const pool = new ExtractionPool(options.threads ?? availableParallelism());
      try {
        return await pool.extract(source, settings, (done, total) => options.progress(`  ${done} of ${total}`));
      } finally {
        await pool.close();
      }
    },
  };
}

function ibsiWork(options: ExtractOneOptions): Work {
  const text = options.params === undefined ? null : readFileSync(options.params, 'utf8');
  const read = parseIbsiSettings(text, options.params ?? 'the default');
  const settings = options.label === undefined ? read : { ...read, label: options.label };
  return {
    label: settings.label,
    mayResample: options.resampleMask,
    digest: settingsDigest({ format: 1, profile: 'ibsi', settings }),
    run: async (source) => extractByIbsi(source, settings, { resampleMask: options.resampleMask }),
  };
}

function readSettings(options: ExtractOneOptions): ExtractionSettings {
  const read =
    options.params === undefined
      ? { settings: defaultSettings(), notes: [] }
      : parseSettings(readFileSync(options.params, 'utf8'), options.params);
  for (const note of read.notes) options.progress(`note: ${note}`);
  const { settings } = read;
  return {
    ...settings,
    preprocessing: {
      ...settings.preprocessing,
      ...(options.label === undefined ? {} : { label: options.label }),
      ...(options.resampleMask ? { correctMask: true } : {}),
    },
  };
}

async function extracted(options: ExtractOneOptions, work: Work): Promise<Extraction> {
  let source: Source;
  try {
    source = await readSource(options.image, options.mask, work.label, { mayResample: work.mayResample });
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
  return await work.run(source);
}
