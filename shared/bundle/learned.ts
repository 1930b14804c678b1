import { Document, visit } from 'yaml';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.js';
import { ConcordatError } from '../errors.js';
import type { Imaging } from '../imaging.js';
import { type Habitats, habitatsSchema, type Standardize, standardizeSchema } from '../imaging-learned.js';
import { BUNDLE_FILE, bundleDigest, parseBundle, RESULT_FILE } from './bundle.js';
import { verifyBundle } from './verify.js';

/** Files of a bundle by their path in it. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** What a published study learned from images, as the imaging section of a later study wants it, origin included. */
export interface LearnedByStudy {
  /** Name of the study. */
  readonly name: string;
  readonly standardize?: Standardize;
  readonly habitats?: Habitats;
}

const resultShape = z.looseObject({
  study: z.looseObject({ name: z.string(), hash: z.string() }),
  learned: z
    .looseObject({ standardize: standardizeSchema.optional(), habitats: habitatsSchema.optional() })
    .default({}),
});

/**
 * What the bundle's result says was learned. Signatures are not looked at: see `originProblems`.
 *
 * @throws ConcordatError BUNDLE_UNREADABLE where bundle.json or result.json is none.
 */
export function learnedIn(files: BundleFiles): LearnedByStudy {
  const bytes = files.get(BUNDLE_FILE) ?? new Uint8Array();
  const { studyHash } = parseBundle(bytes);
  const result = resultShape.safeParse(jsonOf(files.get(RESULT_FILE)));
  if (!result.success || result.data.study.hash !== studyHash)
    throw new ConcordatError('BUNDLE_UNREADABLE', 'result.json is not the result of the study that the bundle names');
  const { study, learned } = result.data;
  const bundle = bundleDigest(bytes);
  const named = <T extends { readonly from: Standardize['from'] }>(section: T): T => ({
    ...section,
    from: { study: studyHash, bundle, result: section.from.result },
  });
  return {
    name: study.name,
    ...(learned.standardize === undefined ? {} : { standardize: named(learned.standardize) }),
    ...(learned.habitats === undefined ? {} : { habitats: named(learned.habitats) }),
  };
}

/** The sections of an imaging section that come from earlier studies. */
export function takenOver({
  standardize,
  habitats,
}: Imaging): ReadonlyMap<'standardize' | 'habitats', Standardize | Habitats> {
  const sections = new Map<'standardize' | 'habitats', Standardize | Habitats>();
  if (standardize !== undefined) sections.set('standardize', standardize);
  if (habitats !== undefined) sections.set('habitats', habitats);
  return sections;
}

/**
 * Why what an imaging section takes over is not what the named studies published; empty where every value stands in the named bundle, which the sites of that
 * study countersigned under a roster of this consortium.
 *
 * @param bundleOf Files of the bundle of a digest, null where it is not at hand.
 * @param consortiumPublicKey Ed25519, raw.
 */
export function originProblems(
  imaging: Imaging,
  bundleOf: (digest: string) => BundleFiles | null,
  consortiumPublicKey: Uint8Array,
): string[] {
  const problems: string[] = [];
  for (const [section, taken] of takenOver(imaging)) {
    const problem = originProblem(section, taken, bundleOf, consortiumPublicKey);
    if (problem !== null) problems.push(`imaging.${section} is not known to come from an earlier study: ${problem}`);
  }
  return problems;
}

function originProblem(
  section: 'standardize' | 'habitats',
  taken: Standardize | Habitats,
  bundleOf: (digest: string) => BundleFiles | null,
  consortiumPublicKey: Uint8Array,
): string | null {
  const { bundle, study } = taken.from;
  if (bundle === undefined) return 'it names no bundle (`concordat model learned BUNDLE` prints a section that does)';
  const short = bundle.slice(0, 12);
  const files = bundleOf(bundle);
  if (files === null) return `the coordinator has published no bundle ${short}`;
  const { digest, problems } = verifyBundle(files, { consortiumPublicKey });
  if (digest !== bundle) return `what is at hand as bundle ${short} is another one`;
  if (problems.length > 0) return `bundle ${short} is not what its sites signed (${problems[0]!.message})`;
  let learned: LearnedByStudy;
  try {
    learned = learnedIn(files);
  } catch (error) {
    // Signed, and all the same not what this release takes for a result.
    if (error instanceof ConcordatError) return `bundle ${short}: ${error.message}`;
    throw error;
  }
  const own = learned[section];
  if (own === undefined) return `study "${learned.name}" learned nothing of the kind`;
  if (own.from.study !== study) return `bundle ${short} is that of another study`;
  if (canonicalJson(own) !== canonicalJson(taken)) return `study "${learned.name}" published other values`;
  return null;
}

/** Lines for the imaging section of a later study, numbers to their last digit. */
export function learnedYaml(learned: LearnedByStudy): string {
  const { name: _, ...sections } = learned;
  const document = new Document(sections);
  // A list of numbers is one line.
  visit(document, {
    Seq: (_key, list) => {
      list.flow = true;
    },
  });
  return document.toString({ lineWidth: 0 });
}

function jsonOf(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? []).toString('utf8'));
  } catch {
    return null;
  }
}
