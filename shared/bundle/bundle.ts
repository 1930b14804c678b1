import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.js';
import { ConcordatError } from '../errors.js';

/**
 * `bundle.json`: what a published model is, with the SHA-256 of every other file of the bundle. Its own SHA-256 is the
 * bundle's digest, which the sites sign.
 */
const hash = z.string().regex(/^[0-9a-f]{64}$/);

export const bundleSchema = z.looseObject({
  format: z.literal('concordat-bundle-1'),
  name: z.string(),
  version: z.string(),
  studyHash: hash,
  resultHash: hash,
  endpoint: z.looseObject({ type: z.enum(['binary', 'survival']) }),
  /** Columns of `x`, in order: `features` of them, then the covariates. */
  inputs: z.array(
    z.strictObject({ name: z.string(), unit: z.string().nullable(), levels: z.array(z.string()).nullable() }),
  ),
  features: z.int().min(0),
  harmonization: z.enum(['none', 'zscore', 'combat']),
  /** Probability from which on a patient is called positive; null where there is none. */
  threshold: z.number().nullable(),
  sites: z.array(z.looseObject({ name: z.string(), role: z.string() })),
  /** Metrics of the published model, as in result.json. */
  metrics: z.unknown(),
  files: z.record(z.string(), hash),
});

export type BundleDocument = z.output<typeof bundleSchema>;
export type BundleInput = BundleDocument['inputs'][number];

export const BUNDLE_FILE = 'bundle.json';
export const MODEL_FILE = 'model.onnx';
export const CARD_FILE = 'card.md';
export const STUDY_FILE = 'study.yaml';
export const ROSTER_FILE = 'roster.json';
export const RESULT_FILE = 'result.json';
export const SIGNATURE_FOLDER = 'signatures/';

/** Bytes of bundle.json; `files` are all others but the signatures, which come later. Same input, same bytes. */
export function bundleJson(
  document: Omit<BundleDocument, 'format' | 'files'>,
  files: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  const digests = Object.fromEntries([...files].map(([path, bytes]) => [path, sha256(bytes)]));
  return Buffer.from(`${canonicalJson({ ...document, format: 'concordat-bundle-1', files: digests })}\n`, 'utf8');
}

/** SHA-256 of the bytes of bundle.json, and through it of every file of the bundle. */
export function bundleDigest(bundleJsonBytes: Uint8Array): string {
  return sha256(bundleJsonBytes);
}

/** Throws BUNDLE_UNREADABLE, naming every place that does not follow the form. */
export function parseBundle(bytes: Uint8Array): BundleDocument {
  let plain: unknown;
  try {
    plain = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new ConcordatError('BUNDLE_UNREADABLE', 'bundle.json is not JSON', { cause });
  }
  const parsed = bundleSchema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({
    file: BUNDLE_FILE,
    message: `${issue.path.join('.')}: ${issue.message}`,
  }));
  throw new ConcordatError('BUNDLE_UNREADABLE', 'bundle.json does not have the form of a bundle', { problems });
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
