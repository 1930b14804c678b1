import { z } from 'zod';
import { ConcordatError, type Problem } from '../errors.js';
import { fromHex, toHex } from '../hex.js';
import { findMember, parseSignedRoster, rosterIsSigned, type SignedRoster } from '../roster.js';
import { type Study, studyHash } from '../study.js';
import type { Ratification } from '../study-messages.js';
import { parseStudy } from '../study-parse.js';
import { ratificationIsSigned } from '../study-signatures.js';
import {
  BUNDLE_FILE,
  type BundleDocument,
  bundleDigest,
  parseBundle,
  RESULT_FILE,
  ROSTER_FILE,
  SIGNATURE_FOLDER,
  STUDY_FILE,
  sha256,
} from './bundle.js';

/** One file of signatures/: everything that is signed, who signed, and the Ed25519 signature in hexadecimal. */
const signatureSchema = z.strictObject({
  site: z.string(),
  bundleDigest: z.string(),
  studyHash: z.string(),
  rosterVersion: z.int().min(1),
  transcriptHead: z.string(),
  verdict: z.enum(['ratified', 'refused']),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

export function signatureFile(ratification: Ratification): { path: string; bytes: Uint8Array } {
  const { reason: _unsigned, signature, ...statement } = ratification;
  const text = `${JSON.stringify({ ...statement, signature: toHex(signature) }, null, 2)}\n`;
  return { path: `${SIGNATURE_FOLDER}${ratification.site}.json`, bytes: Buffer.from(text, 'utf8') };
}

export interface Verification {
  readonly digest: string | null;
  /** Sites whose signature under exactly this bundle is good, sorted. */
  readonly ratified: readonly string[];
  readonly refused: readonly string[];
  readonly quorum: number | null;
  /** Whether the roster was checked against a key that the verifier brought. */
  readonly rosterPinned: boolean;
  /** Empty where the bundle is what its sites signed. */
  readonly problems: readonly Problem[];
}

/**
 * Verifies a bundle offline from its files (path -> bytes): every digest, the study's hash, every signature against the
 * roster, the quorum; and the roster against the consortium's public key (Ed25519, raw) where one is given. Without that
 * pin the keys are only those the bundle itself brings.
 */
export function verifyBundle(
  files: ReadonlyMap<string, Uint8Array>,
  options: { readonly consortiumPublicKey?: Uint8Array } = {},
): Verification {
  const problems: Problem[] = [];
  const report = (file: string, message: string) => problems.push({ file, message });
  const rosterPinned = options.consortiumPublicKey !== undefined;
  const bytes = files.get(BUNDLE_FILE);
  const bundle = attempt(() => parseBundle(bytes ?? new Uint8Array()), BUNDLE_FILE, problems);
  if (bytes === undefined || bundle === null)
    return { digest: null, ratified: [], refused: [], quorum: null, rosterPinned, problems };
  const digest = bundleDigest(bytes);
  checkFiles(files, bundle, report);
  const study = checkStudy(files, bundle, problems);
  const roster = checkRoster(files, options.consortiumPublicKey, problems);
  const verdicts = roster === null ? [] : checkSignatures(files, bundle, digest, roster, report);
  const sitesWith = (verdict: string) => verdicts.filter((entry) => entry.verdict === verdict).map(({ site }) => site);
  const ratified = sitesWith('ratified').sort();
  const quorum = study === null ? null : (study.quorum ?? study.sites.training.length);
  if (quorum !== null && ratified.length < quorum)
    report(SIGNATURE_FOLDER, `${ratified.length} good ratifications, the study wants ${quorum}`);
  return { digest, ratified, refused: sitesWith('refused').sort(), quorum, rosterPinned, problems };
}

type Report = (file: string, message: string) => void;

function checkFiles(files: ReadonlyMap<string, Uint8Array>, bundle: BundleDocument, report: Report): void {
  for (const [path, wanted] of Object.entries(bundle.files)) {
    const content = files.get(path);
    if (content === undefined) report(path, 'the bundle names this file, but it is missing');
    else if (sha256(content) !== wanted) report(path, 'the file is not the one the bundle names: its SHA-256 differs');
  }
  for (const path of files.keys())
    if (path !== BUNDLE_FILE && !path.startsWith(SIGNATURE_FOLDER) && !Object.hasOwn(bundle.files, path))
      report(path, 'the file is no part of the bundle, nobody signed it');
  const result = files.get(RESULT_FILE);
  if (result !== undefined && sha256(result) !== bundle.resultHash)
    report(RESULT_FILE, 'the result is not the one the bundle was made from');
}

function checkStudy(files: ReadonlyMap<string, Uint8Array>, bundle: BundleDocument, problems: Problem[]): Study | null {
  const text = Buffer.from(files.get(STUDY_FILE) ?? new Uint8Array()).toString('utf8');
  const study = attempt(() => parseStudy(text, STUDY_FILE), STUDY_FILE, problems);
  if (study !== null && studyHash(study) !== bundle.studyHash)
    problems.push({ file: STUDY_FILE, message: 'the study has another hash than the one the bundle names' });
  return study;
}

function checkRoster(
  files: ReadonlyMap<string, Uint8Array>,
  consortiumPublicKey: Uint8Array | undefined,
  problems: Problem[],
): SignedRoster | null {
  const text = Buffer.from(files.get(ROSTER_FILE) ?? new Uint8Array()).toString('utf8');
  const roster = attempt(() => parseSignedRoster(text), ROSTER_FILE, problems);
  if (roster !== null && consortiumPublicKey !== undefined && !rosterIsSigned(roster, consortiumPublicKey))
    problems.push({ file: ROSTER_FILE, message: 'the roster is not signed by the consortium key given' });
  return roster;
}

function checkSignatures(
  files: ReadonlyMap<string, Uint8Array>,
  bundle: BundleDocument,
  digest: string,
  signed: SignedRoster,
  report: Report,
): { site: string; verdict: string }[] {
  const verdicts: { site: string; verdict: string }[] = [];
  const heads = new Set<string>();
  for (const [path, content] of files) {
    if (!path.startsWith(SIGNATURE_FOLDER)) continue;
    const parsed = signatureSchema.safeParse(json(content));
    if (!parsed.success) {
      report(path, 'the file is no signature');
      continue;
    }
    const { signature, ...statement } = parsed.data;
    const member = findMember(signed.roster, statement.site);
    const publicKey = fromHex(member?.signingPublicKey ?? '', 32);
    const bytes = fromHex(signature, 64);
    if (path !== `${SIGNATURE_FOLDER}${statement.site}.json`) report(path, 'the file carries another site’s name');
    else if (member === undefined || publicKey === null) report(path, 'the site is not in the roster');
    else if (member.status === 'revoked') report(path, 'the site is revoked in the roster');
    else if (statement.bundleDigest !== digest) report(path, 'the site signed another bundle');
    else if (statement.studyHash !== bundle.studyHash) report(path, 'the site signed another study');
    else if (statement.rosterVersion !== signed.roster.version) report(path, 'the site signed under another roster');
    else if (bytes === null || !ratificationIsSigned({ ...statement, reason: '', signature: bytes }, publicKey))
      report(path, 'the signature is wrong');
    else {
      heads.add(statement.transcriptHead);
      verdicts.push({ site: statement.site, verdict: statement.verdict });
    }
  }
  if (heads.size > 1) report(SIGNATURE_FOLDER, 'the sites signed different transcripts of the study');
  return verdicts;
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null;
  }
}

/** Runs a parser; its complaint becomes a problem of that file. */
function attempt<T>(parse: () => T, file: string, problems: Problem[]): T | null {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    problems.push({ file, message: error.message }, ...error.problems);
    return null;
  }
}
