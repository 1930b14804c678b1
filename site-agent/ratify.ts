import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ROSTER_FILE } from '../shared/bundle/bundle.js';
import { canonicalJson } from '../shared/canonical-json.js';
import { siteMetrics } from '../shared/computations/validate/site-metrics.js';
import { ConcordatError } from '../shared/errors.js';
import { frameOf } from '../shared/plan.js';
import { parseSignedRoster, rosterHash } from '../shared/roster.js';
import type { RatificationRequest } from '../shared/study-messages.js';
import { readStudyDocument } from '../shared/study-signatures.js';
import type { KnownStudy } from './site-records.js';

/** The parts of bundle.json and result.json that are looked at here; they come from the coordinator and may say anything. */
const bundleShape = z.looseObject({
  studyHash: z.string(),
  resultHash: z.string(),
  files: z.record(z.string(), z.string()).default({}),
});
const foldShape = z.looseObject({
  name: z.string(),
  model: z.string(),
  arm: z.string(),
  sites: z.record(z.string(), z.unknown()),
});
const resultShape = z.looseObject({
  study: z.looseObject({ hash: z.string() }),
  validation: z.looseObject({ folds: z.array(foldShape).default([]) }).prefault({}),
});
type ResultFold = z.output<typeof foldShape>;

/**
 * What this site checks before it signs a bundle: that the files are those the digest names, that it is about the study it
 * approved, and that its own validation numbers stand in the result exactly as it sent them. Empty = nothing to object.
 */
export function checkBundleForRatification(
  request: Pick<RatificationRequest, 'bundleDigest' | 'studyHash'>,
  files: ReadonlyMap<string, Uint8Array>,
  known: Pick<KnownStudy, 'document' | 'ownValues' | 'studyHash' | 'rosterHash'>,
  site: string,
): string[] {
  const bundleBytes = files.get('bundle.json');
  const resultBytes = files.get('result.json');
  if (bundleBytes === undefined || resultBytes === undefined) return ['bundle.json or result.json is missing'];
  const problems: string[] = [];
  if (sha256(bundleBytes) !== request.bundleDigest) problems.push('bundle.json is not what the digest names');
  const bundle = bundleShape.safeParse(parse(bundleBytes)).data;
  const result = resultShape.safeParse(parse(resultBytes)).data;
  if (bundle === undefined || result === undefined)
    return [...problems, 'bundle.json or result.json does not have the form of one'];
  if (bundle.studyHash !== known.studyHash || result.study.hash !== known.studyHash)
    problems.push('the bundle belongs to another study');
  if (bundle.resultHash !== sha256(resultBytes)) problems.push('result.json is not the one the bundle names');
  for (const [path, digest] of Object.entries(bundle.files)) {
    const bytes = files.get(path);
    if (bytes === undefined || sha256(bytes) !== digest)
      problems.push(`${path} is missing or not what the bundle names`);
  }
  if (!carriesRoster(files.get(ROSTER_FILE), known.rosterHash))
    problems.push('roster.json is not the roster that this site approved the study with');
  const { folds } = result.validation;
  return [...problems, ...foreignMetrics(folds, known, site), ...inventedMetrics(folds, known, site)];
}

/** Numbers this site sent that stand otherwise in the result, or not at all. */
function foreignMetrics(
  folds: readonly ResultFold[],
  known: Pick<KnownStudy, 'document' | 'ownValues' | 'studyHash'>,
  site: string,
): string[] {
  const frame = frameOf(readStudyDocument(known.document, known.studyHash));
  const problems: string[] = [];
  // A computation that began anew without a site that went missing asked again; the last numbers are those that count.
  const sent = new Map(
    known.ownValues.flatMap(({ computation, values }) => (computation === 'validate' ? Object.entries(values) : [])),
  );
  for (const [name, tensor] of sent) {
    const [what, model, arm, group] = name.split('/');
    if (what === 'site') {
      const own = siteMetrics(frame, tensor, '', []);
      const shown = folds.find((fold) => fold.name === group && fold.model === model && fold.arm === arm);
      if (shown === undefined || !sameJson(ownOf(shown.sites, site), own))
        problems.push(`the numbers of this site for model ${model} (${arm}) in "${group}" are not those it sent`);
    }
  }
  return problems;
}

/** Numbers shown for this site that it never sent. `leave-one-site-out` repeats those of its folds. */
function inventedMetrics(folds: readonly ResultFold[], known: Pick<KnownStudy, 'ownValues'>, site: string): string[] {
  const sent = new Set(known.ownValues.flatMap(({ values }) => Object.keys(values)));
  return folds.flatMap(({ name, model, arm, sites }) => {
    const group = name === 'leave-one-site-out' ? `without-${site}` : name;
    if (ownOf(sites, site) === undefined || sent.has(`site/${model}/${arm}/${group}/${site}`)) return [];
    return [`the result shows numbers of this site for model ${model} (${arm}) in "${name}" that it never sent`];
  });
}

function ownOf(sites: Readonly<Record<string, unknown>>, site: string): unknown {
  return Object.hasOwn(sites, site) ? sites[site] : undefined;
}

function sameJson(shown: unknown, own: unknown): boolean {
  if (shown === undefined) return false;
  try {
    return canonicalJson(shown) === canonicalJson(own);
  } catch (error) {
    if (error instanceof ConcordatError && error.code === 'WIRE_NOT_CANONICAL') return false;
    throw error;
  }
}

function carriesRoster(bytes: Uint8Array | undefined, wanted: string): boolean {
  if (bytes === undefined) return false;
  try {
    return rosterHash(parseSignedRoster(Buffer.from(bytes).toString('utf8')).roster) === wanted;
  } catch {
    return false;
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
