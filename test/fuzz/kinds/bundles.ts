import { bundleDigest, sha256 } from '../../../shared/bundle/bundle.js';
import { signatureFile, verifyBundle } from '../../../shared/bundle/verify.js';
import { ConcordatError } from '../../../shared/errors.js';
import { parseSignedRoster, rosterHash } from '../../../shared/roster.js';
import { studyHash } from '../../../shared/study.js';
import { signRatification, studyDocument } from '../../../shared/study-signatures.js';
import { checkBundleForRatification } from '../../../site-agent/ratify.js';
import { bundleFiles, consortiumPublicKey, HEAD, SITES, siteKey, study } from '../../bundle/bundle-folder.js';
import { Broken, bytesOf, type FuzzKind, jsonOrText, pack, textOf, unpack } from '../kind.js';
import { jsonText, mutateBytes, mutateText, mutateValue, pick } from '../mutate.js';

const JSON_FILES = /\.json$/;

interface BundleCase {
  readonly files: readonly (readonly [string, Uint8Array])[];
  /** Whether whoever changed it could name the new bytes in bundle.json, and had the sites sign that. */
  readonly signedAgain: boolean;
}

/** A whole bundle with one file changed, added or taken away; for `verify`, offline. */
export const BUNDLE: FuzzKind = {
  name: 'bundle',
  weight: 0.6,
  prepare() {
    const specimen = bundleFiles();
    return {
      make(random) {
        const files = new Map(specimen);
        const path = pick(random, [...files.keys(), 'bundle.json', 'bundle.json']);
        const bytes = files.get(path)!;
        const way = random.integer(12);
        if (way === 0) files.delete(path);
        else if (way === 1)
          files.set(pick(random, ['constructor', '__proto__', 'toString', 'signatures/x', 'a/b']), bytes);
        else if (way === 2) files.set(path, mutateBytes(random, bytes));
        else if (JSON_FILES.test(path))
          files.set(
            path,
            jsonOrText(random, jsonText(mutateValue(random, JSON.parse(textOf(bytes)) as unknown)), mutateText),
          );
        else files.set(path, bytesOf(mutateText(random, textOf(bytes))));
        const signedAgain = way > 2 && random.integer(2) === 0;
        if (signedAgain) signAgain(files, path);
        return pack({ files: [...files], signedAgain } satisfies BundleCase);
      },
      run(input) {
        const { files, signedAgain } = unpack(input) as BundleCase;
        const verification = verifyBundle(new Map(files), { consortiumPublicKey });
        if (verification.problems.length > 0) throw new ConcordatError('BUNDLE_NOT_VERIFIED', 'problems');
        const changed =
          files.some(([path, bytes]) => !path.startsWith('signatures/') && !same(specimen.get(path), bytes)) ||
          [...specimen.keys()].some(
            (path) => !path.startsWith('signatures/') && !files.some(([name]) => name === path),
          );
        if (changed && !signedAgain) throw new Broken('a changed bundle verified');
      },
    };
  },
};

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** As dishonest signers would: the changed file is named with its new hash, and all sign what came out. */
function signAgain(files: Map<string, Uint8Array>, path: string): void {
  try {
    const bundle = JSON.parse(textOf(files.get('bundle.json')!)) as { files?: Record<string, string> };
    if (path !== 'bundle.json' && bundle.files !== undefined && Object.hasOwn(bundle.files, path)) {
      bundle.files[path] = sha256(files.get(path)!);
      files.set('bundle.json', bytesOf(JSON.stringify(bundle)));
    }
  } catch {
    // No JSON any more: signed as it is.
  }
  const digest = bundleDigest(files.get('bundle.json')!);
  for (const site of SITES) {
    const statement = { studyHash: studyHash(study), bundleDigest: digest, rosterVersion: 1, transcriptHead: HEAD };
    const signed = signRatification({ ...statement, site, verdict: 'ratified', reason: '' }, siteKey(site));
    const { path: at, bytes } = signatureFile(signed);
    files.set(at, bytes);
  }
}

/** What a coordinator puts before a site to countersign; it may say anything, with every hash in order. */
export const RATIFICATION: FuzzKind = {
  name: 'ratification',
  weight: 3,
  prepare() {
    const specimen = bundleFiles();
    const own = Float64Array.from([40, 12, 1, 2, 3]);
    const known = {
      document: studyDocument(study),
      studyHash: studyHash(study),
      rosterHash: rosterHash(parseSignedRoster(textOf(specimen.get('roster.json')!)).roster),
      ownValues: [
        {
          type: 'ownValues' as const,
          computation: 'validate',
          iteration: 1,
          values: { 'site/logistic/combat/external/alder': own },
        },
      ],
    };
    const metrics = { n: { value: 40 }, auc: { value: 0.7, low: 0.6, high: 0.8 } };
    const result = {
      study: { hash: known.studyHash },
      validation: {
        folds: [{ name: 'external', model: 'logistic', arm: 'combat', sites: { alder: metrics, birch: metrics } }],
      },
    };
    const bundle = JSON.parse(textOf(specimen.get('bundle.json')!)) as unknown;
    return {
      make(random) {
        const ofResult = random.integer(3) > 0;
        return pack({
          own: random.integer(2) === 0,
          result: jsonText(ofResult ? mutateValue(random, result) : result),
          bundle: jsonText(ofResult ? bundle : mutateValue(random, bundle)),
        });
      },
      run(input) {
        const given = unpack(input) as { own?: boolean; result: string; bundle: string };
        const files = new Map(specimen);
        files.set('result.json', bytesOf(given.result));
        const named = given.bundle
          .replace(/"resultHash":"[0-9a-f]{64}"/, `"resultHash":"${sha256(bytesOf(given.result))}"`)
          .replace(/"result.json":"[0-9a-f]{64}"/, `"result.json":"${sha256(bytesOf(given.result))}"`);
        files.set('bundle.json', bytesOf(named));
        const request = { bundleDigest: sha256(bytesOf(named)), studyHash: known.studyHash };
        // Sometimes a site that sent no numbers of its own, and is shown none: the only one that can agree here.
        const asked = given.own === false ? { ...known, ownValues: [] } : known;
        const problems = checkBundleForRatification(request, files, asked, given.own === false ? 'cedar' : 'alder');
        if (problems.length > 0) throw new ConcordatError('BUNDLE_CHANGED', problems.join('; '));
      },
    };
  },
};

export const ROSTER: FuzzKind = {
  name: 'roster',
  weight: 3,
  prepare() {
    const specimen = JSON.parse(textOf(bundleFiles().get('roster.json')!)) as unknown;
    return {
      make: (random) => jsonOrText(random, jsonText(mutateValue(random, specimen)), mutateText),
      run: (input) => void parseSignedRoster(textOf(input)),
    };
  },
};
