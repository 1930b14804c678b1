import { z } from 'zod';
import { BUNDLE_FILE, RESULT_FILE, ROSTER_FILE, STUDY_FILE, sha256 } from '../shared/bundle/bundle.js';
import { verifyBundle } from '../shared/bundle/verify.js';
import { encodeDocument } from '../shared/document.js';
import { ConcordatError, type Problem } from '../shared/errors.js';
import { decodeTotal, packWords, zeroWords } from '../shared/fixed-point.js';
import { fromHex } from '../shared/hex.js';
import { MerkleLog } from '../shared/merkle.js';
import type { RoundTerms } from '../shared/messages.js';
import { planStudy } from '../shared/plan.js';
import { parseSignedRoster, type SignedRoster } from '../shared/roster.js';
import { encodeRoundDocument } from '../shared/round-document.js';
import { attemptContext, declarationHash, threshold } from '../shared/secagg/context.js';
import { verifyStatement } from '../shared/secagg/keys.js';
import { accumulate } from '../shared/secagg/masked-input.coordinator.js';
import { checkPreKey } from '../shared/secagg/pre-keys.js';
import { maskedInputStatement, preKeyDigest, survivorsStatement } from '../shared/secagg/statements.js';
import { rebuildMasks, removeMasks } from '../shared/secagg/unmask.coordinator.js';
import { type Study, studyHash, studySites } from '../shared/study.js';
import { parseStudy } from '../shared/study-parse.js';
import { approvalIsSigned } from '../shared/study-signatures.js';
import { type TranscriptEntry, transcriptHead, transcriptLeaf } from '../shared/transcript.js';
import { bundleOf } from './bundle.js';
import { COORDINATOR_COMPUTATIONS } from './computations.js';
import { advanceRun, startRun } from './study-run.js';
import { termsOf } from './terms.js';
import {
  ATTEMPTS_FILE,
  inputFile,
  type KeptAttempt,
  parseAttempts,
  parseTranscript,
  TRANSCRIPT_FILE,
} from './transcript-file.js';

/**
 * Checks a published bundle against the transcript of its study, offline and without trust in the coordinator. Two
 * different things can come out:
 *
 * `committed`: these hashes of masked inputs, survivor sets and totals were committed to, in this order, and signed by
 * these sites. That the totals are sums, and the model follows from them, is not shown: what would show it was not kept.
 *
 * `recomputed`: every total was rebuilt from the masked inputs and the revealed shares, every step of the coordinator was
 * repeated on it, and result and model came out bit for bit. (The same platform and Node major: see docs/architecture.md.)
 */
export interface Audit {
  readonly proved: 'committed' | 'recomputed';
  readonly entries: number;
  readonly totals: number;
  readonly maskedInputs: number;
  readonly head: string | null;
  readonly signedBy: readonly string[];
  /** Empty where nothing contradicts. */
  readonly problems: readonly Problem[];
}

export interface AuditInput {
  /** Path -> bytes, signatures included. */
  readonly bundle: ReadonlyMap<string, Uint8Array>;
  /** A file of the transcript's folder; undefined where there is none. */
  readonly transcript: (file: string) => Uint8Array | undefined;
  readonly consortiumPublicKey?: Uint8Array;
}

const signatureShape = z.looseObject({ site: z.string(), transcriptHead: z.string() });

type Attempt = Extract<TranscriptEntry, { type: 'attemptOpened' }>;
type Opening = Extract<TranscriptEntry, { type: 'roundOpened' }>;

interface AuditedTotal {
  readonly opening: Opening;
  readonly attempt: Attempt;
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  /** Site -> hash of its masked input. */
  readonly inputs: ReadonlyMap<string, string>;
  readonly totalHash: string;
}

type Report = (file: string, message: string) => void;

/** Throws BUNDLE_UNREADABLE where transcript or study cannot be read at all. */
export function auditBundle(input: AuditInput): Audit {
  const problems: Problem[] = [];
  const report: Report = (file, message) => void problems.push({ file, message });
  const pin = input.consortiumPublicKey === undefined ? {} : { consortiumPublicKey: input.consortiumPublicKey };
  const verification = verifyBundle(input.bundle, pin);
  problems.push(...verification.problems);
  const document = parseTranscript(input.transcript(TRANSCRIPT_FILE));
  const study = parseStudy(textOf(input.bundle.get(STUDY_FILE)), STUDY_FILE);
  const roster = parseSignedRoster(textOf(input.bundle.get(ROSTER_FILE)));
  if (document.studyHash !== studyHash(study)) report(TRANSCRIPT_FILE, 'the transcript is that of another study');
  if (study.transcript?.retain === true && !document.retained)
    report(TRANSCRIPT_FILE, 'the study promised to keep its masked inputs, and they are not here');
  const { entries } = document;
  const head = checkHead(study, entries, input.bundle, report);
  const proved = document.retained ? 'recomputed' : 'committed';
  const audit = {
    proved,
    entries: entries.length,
    maskedInputs: entries.filter(({ type }) => type === 'maskedInput').length,
    head,
    signedBy: verification.ratified,
  } as const;
  const terms = checkApprovals(study, roster, entries, report);
  // What comes after the bundle nobody signed with it.
  const signed = entries.slice(0, entries.findIndex(({ type }) => type === 'finished') + 1);
  const totals = terms === null ? [] : checkRounds(terms, signed, report);
  if (document.retained && terms !== null && problems.length === 0)
    recompute(study, terms, totals, roster, parseAttempts(input.transcript(ATTEMPTS_FILE)), input, report);
  return { ...audit, totals: totals.length, problems };
}

/** The root over everything before the bundle is what each ratification names. */
function checkHead(
  study: Study,
  entries: readonly TranscriptEntry[],
  bundle: ReadonlyMap<string, Uint8Array>,
  report: Report,
): string | null {
  const size = entries.findIndex(({ type }) => type === 'finished');
  if (size < 0) {
    report(TRANSCRIPT_FILE, 'the transcript ends before the bundle');
    return null;
  }
  const log = new MerkleLog();
  for (const entry of entries.slice(0, size)) log.append(transcriptLeaf(entry));
  const head = transcriptHead(studyHash(study), { size, root: log.root() });
  for (const [file, bytes] of bundle) {
    if (!file.startsWith('signatures/')) continue;
    const signed = signatureOf(bytes);
    // Whether it is a signature at all verifyBundle has said.
    if (signed !== null && signed.transcriptHead !== head)
      report(TRANSCRIPT_FILE, `the transcript is not the one that site "${signed.site}" signed with the bundle`);
  }
  const finished = entries[size] as Extract<TranscriptEntry, { type: 'finished' }>;
  if (finished.bundleDigest !== sha256(bundle.get(BUNDLE_FILE) ?? new Uint8Array()))
    report(TRANSCRIPT_FILE, 'the transcript ends in another bundle');
  return head;
}

/** Terms of the rounds, from approvals that every site signed; null where one is missing or forged. */
function checkApprovals(
  study: Study,
  roster: SignedRoster,
  entries: readonly TranscriptEntry[],
  report: Report,
): RoundTerms | null {
  const approvals = entries
    .filter((entry) => entry.type === 'approval')
    .filter(({ decision }) => decision === 'approved')
    .map((entry) => {
      const boxPublicKey = fromHex(entry.boxPublicKey, 32) ?? new Uint8Array(32);
      const signature = fromHex(entry.signature, 64) ?? new Uint8Array(64);
      return { ...entry, studyHash: studyHash(study), boxPublicKey, signature };
    });
  let sound = true;
  for (const site of studySites(study)) {
    const approval = approvals.find((entry) => entry.site === site);
    const key = fromHex(roster.roster.sites.find((member) => member.site === site)?.signingPublicKey ?? '', 32);
    if (approval !== undefined && key !== null && approvalIsSigned(approval, key)) continue;
    report(TRANSCRIPT_FILE, `the approval of site "${site}" is missing or not signed by it`);
    sound = false;
  }
  return sound ? termsOf(study, studyHash(study), roster.roster, approvals) : null;
}

/** Every entry fits the ones before it, every signature is good, and rounds 1, 2, ... have one total each. */
function checkRounds(terms: RoundTerms, entries: readonly TranscriptEntry[], report: Report): AuditedTotal[] {
  const { studyHash: hash, rosterVersion, sites } = terms.roster;
  const keyOf = (site: string) => sites.find((entry) => entry.site === site)?.signingPublicKey ?? new Uint8Array(32);
  const totals: AuditedTotal[] = [];
  let opening: Opening | null = null;
  let attempt: Attempt | null = null;
  let inputs = new Map<string, string>();
  let set: { readonly survivors: readonly string[]; readonly dropped: readonly string[] } | null = null;
  let signed = new Set<string>();
  for (const entry of entries) {
    const here = opening === null ? 'the transcript' : `round ${opening.round} (${opening.computation})`;
    const wrong = (message: string) => report(TRANSCRIPT_FILE, `${here}: ${message}`);
    if ('context' in entry && entry.type !== 'attemptOpened' && entry.context !== attempt?.context) {
      wrong(`an entry "${entry.type}" belongs to no open attempt`);
      continue;
    }
    switch (entry.type) {
      case 'roundOpened':
        opening = entry;
        attempt = null;
        break;
      case 'attemptOpened': {
        const { computation = '', round = 0, broadcastHash = '', declarationHash: declared = '' } = opening ?? {};
        const identity = { studyHash: hash, rosterVersion, computation, round, attempt: entry.attempt };
        if (attemptContext({ ...identity, broadcastHash, declarationHash: declared }) !== entry.context)
          wrong(`attempt ${entry.attempt} is not about this round`);
        attempt = entry;
        inputs = new Map();
        signed = new Set();
        set = null;
        break;
      }
      case 'maskedInput': {
        const { context, site, blobHash } = entry;
        const statement = maskedInputStatement(context, site, blobHash, opening?.contributionBytes ?? 0);
        if (!verifyStatement(keyOf(site), statement, fromHex(entry.signature, 64) ?? new Uint8Array(64)))
          wrong(`the masked input of site "${site}" is not signed by it`);
        inputs.set(site, blobHash);
        break;
      }
      case 'survivors':
        if (entry.survivors.some((site) => !inputs.has(site))) wrong('a survivor has sent no masked input');
        set = entry;
        break;
      case 'signature': {
        const statement = survivorsStatement(
          entry.context,
          attempt?.preKeyDigest ?? '',
          set?.survivors ?? [],
          set?.dropped ?? [],
        );
        if (verifyStatement(keyOf(entry.site), statement, fromHex(entry.signature, 64) ?? new Uint8Array(64)))
          signed.add(entry.site);
        else wrong(`the signature of site "${entry.site}" under the survivor set is wrong`);
        break;
      }
      case 'total': {
        const agreed = terms.mode === 'plain' || terms.coordinator === 'curious' || signed.size >= threshold(terms);
        if (!agreed) wrong(`only ${signed.size} sites signed the survivor set`);
        if (opening === null || attempt === null || set === null || set.survivors.join() !== entry.sites.join()) {
          wrong('a total is not over the survivor set that was signed');
          break;
        }
        if (opening.round !== totals.length + 1) wrong(`round ${totals.length + 1} is missing`);
        const { survivors, dropped } = set;
        totals.push({ opening, attempt, survivors, dropped, inputs, totalHash: entry.totalHash });
        attempt = null;
        break;
      }
      case 'attemptAborted':
        attempt = null;
        break;
      default:
        break;
    }
  }
  return totals;
}

/** The whole run again: totals out of masked inputs, the coordinator's steps on them, result and model at the end. */
function recompute(
  study: Study,
  terms: RoundTerms,
  totals: readonly AuditedTotal[],
  roster: SignedRoster,
  kept: readonly KeptAttempt[],
  input: AuditInput,
  report: Report,
): void {
  let run = startRun(planStudy(study), COORDINATOR_COMPUTATIONS);
  for (const total of totals) {
    const { opening } = total;
    const here = `round ${opening.round} (${opening.computation})`;
    const { request } = run;
    if (request === null) return report(TRANSCRIPT_FILE, `${here}: the study was at its end before`);
    const upstream = Object.fromEntries(
      [...run.results].map(([instance, result]) => [instance, sha256(encodeDocument(result))]),
    );
    const { instance, iteration, broadcast, leaves } = request;
    const announced = sha256(encodeRoundDocument({ instance, iteration, broadcast, upstream }));
    if (instance !== opening.computation || declarationHash(leaves) !== opening.declarationHash)
      return report(TRANSCRIPT_FILE, `${here}: the totals so far lead to another computation or declaration`);
    if (announced !== opening.broadcastHash)
      return report(TRANSCRIPT_FILE, `${here}: what was broadcast does not follow from the totals before it`);
    const words = zeroWords(leaves);
    for (const site of total.survivors) {
      const hash = total.inputs.get(site)!;
      const bytes = input.transcript(inputFile(hash));
      if (bytes === undefined) return report(inputFile(hash), `${here}: the masked input of site "${site}" is missing`);
      if (sha256(bytes) !== hash)
        return report(inputFile(hash), `${here}: the masked input of site "${site}" is not the one it signed`);
      accumulate(words, leaves, bytes);
    }
    try {
      unmask(terms, total, kept, words, leaves);
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      return report(ATTEMPTS_FILE, `${here}: the masks cannot be rebuilt: ${error.message}`);
    }
    if (sha256(packWords(words)) !== total.totalHash)
      return report(TRANSCRIPT_FILE, `${here}: the total is not the sum of the masked inputs`);
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites: total.survivors, values: decodeTotal(leaves, words) });
  }
  if (run.request !== null)
    return report(
      TRANSCRIPT_FILE,
      `round ${run.request.round} (${run.request.instance}) is missing: the study goes on`,
    );
  const simulated = (study.title ?? '').toLowerCase().includes('simulated');
  const made = bundleOf({ run, study, roster, simulated });
  for (const [file, bytes] of made.files) {
    const shown = input.bundle.get(file);
    if (shown === undefined || sha256(shown) !== sha256(bytes))
      report(
        file,
        file === RESULT_FILE ? 'the result does not follow from the totals' : `${file} does not follow from the totals`,
      );
  }
}

/** Takes the masks out of the sum, in place. Nothing to do in plain mode. */
function unmask(
  terms: RoundTerms,
  total: AuditedTotal,
  kept: readonly KeptAttempt[],
  words: readonly BigUint64Array[],
  leaves: Parameters<typeof removeMasks>[1],
): void {
  if (terms.mode === 'plain') return;
  const { context, preKeyDigest: digest } = total.attempt;
  const revealed = kept.find((attempt) => attempt.context === context);
  if (revealed === undefined || preKeyDigest(revealed.preKeys) !== digest)
    throw new ConcordatError('SECAGG_PRE_KEY_INVALID', 'the pre-keys are missing or not those of the attempt');
  for (const preKey of revealed.preKeys) checkPreKey(terms, preKey.slot, preKey);
  const shares = new Map(revealed.shares.map((entry) => [entry.site, entry.shares]));
  removeMasks(words, leaves, { context, preKeyDigest: digest }, rebuildMasks(terms, revealed.preKeys, total, shares));
}

function signatureOf(bytes: Uint8Array): { readonly site: string; readonly transcriptHead: string } | null {
  try {
    return signatureShape.parse(JSON.parse(textOf(bytes)));
  } catch {
    return null;
  }
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? new Uint8Array()).toString('utf8');
}
