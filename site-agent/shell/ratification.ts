import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import { planStudy } from '../../shared/plan.js';
import type { RatificationRequest } from '../../shared/study-messages.js';
import { readStudyDocument, signRatification } from '../../shared/study-signatures.js';
import { checkBundleForRatification } from '../ratify.js';
import type { KnownStudy } from '../site-records.js';
import type { AgentContext } from './agent-context.js';
import type { RunningStudies } from './running-studies.js';
import type { TranscriptWatch } from './transcript-watch.js';

/** Signs or refuses the bundle of a finished study, and writes what this site scores its own patients with. */
export class RatificationDesk {
  /** Requests that wait for a proof, and how many times the head alone was asked for since the request came. */
  private readonly waiting = new Map<string, { readonly request: RatificationRequest; readonly heads: number }>();

  constructor(
    private readonly context: AgentContext,
    private readonly studies: RunningStudies,
    private readonly transcripts: TranscriptWatch,
  ) {}

  /** After a proof: what waited for it is looked at again. */
  async onTranscript(studyHash: string): Promise<void> {
    const waiting = this.waiting.get(studyHash);
    if (waiting !== undefined) await this.consider(waiting.request, waiting.heads);
  }

  /** The transcript must be proven first; false where the answer is awaited. Throws where the head is not the proven one. */
  private proven(known: KnownStudy, request: RatificationRequest, heads: number): boolean {
    const { studyHash } = known;
    if (known.transcriptRefusal !== null || this.transcripts.isProven(known, request.transcriptHead)) {
      this.waiting.delete(studyHash);
      return true;
    }
    const onlyHead = known.unproven.size === 0;
    // The first answer may belong to a question from before the bundle; the second shows the head that is to be signed.
    if (onlyHead && heads === 2)
      this.transcripts.refuse(
        known,
        new ConcordatError(
          'STUDY_TRANSCRIPT_FORKED',
          'the head that is to be signed is not that of the transcript shown',
        ),
      );
    this.waiting.set(studyHash, { request, heads: onlyHead ? heads + 1 : heads });
    this.transcripts.poke(studyHash, true);
    return false;
  }

  /** A request begins to wait anew: it comes again with each connection, and what was asked on the last one has no answer. */
  onRequest(request: RatificationRequest): Promise<void> {
    return this.consider(request, 0);
  }

  private async consider(request: RatificationRequest, heads: number): Promise<void> {
    const { site, signingKey } = this.context.config;
    const known = this.context.log.study(request.studyHash);
    if (known === undefined || known.approval?.decision !== 'approved' || known.withdrawal !== null) return;
    if (known.ratification !== null)
      return this.context.send({ type: 'ratification', ratification: known.ratification });
    // No verdict at all on these, not even a refusal: the one verdict is for the bundle of the finished study.
    if (request.rosterVersion !== known.rosterVersion)
      throw new ConcordatError(
        'SITE_ROSTER_CHAIN_BROKEN',
        `a signature under roster version ${request.rosterVersion} is asked for, the study was approved under ${known.rosterVersion}`,
      );
    this.checkReached(known);
    if (!this.proven(known, request, heads)) return;
    const files = new Map<string, Uint8Array>();
    let left: number = LIMITS.bundleBytesMax;
    for (const file of request.files) {
      const bytes = await this.context.config.link.download(file.blobHash, left);
      files.set(file.path, bytes);
      left -= bytes.length;
    }
    const problems = checkBundleForRatification(request, files, known, site);
    if (known.transcriptRefusal !== null)
      problems.unshift(`${known.transcriptRefusal}: the transcript failed this site's check`);
    const ratification = signRatification(
      {
        studyHash: request.studyHash,
        bundleDigest: request.bundleDigest,
        rosterVersion: request.rosterVersion,
        transcriptHead: request.transcriptHead,
        site,
        verdict: problems.length === 0 ? 'ratified' : 'refused',
        reason: problems.join('; ').slice(0, LIMITS.reasonCharactersMax),
      },
      signingKey,
    );
    // The verdict is about the bundle; that the own scoring file cannot be made now is told here and is no reason to be silent.
    await this.writeLocal(known).catch((error: unknown) => this.context.problem(error));
    this.context.append(request.studyHash, { type: 'ratified', ratification });
    this.context.tell(known, ratification.verdict, problems.join('; '));
    this.context.send({ type: 'ratification', ratification });
  }

  /** Where nobody may be missing, this site took part in the last computation; before that there is nothing to sign. */
  private checkReached(known: KnownStudy): void {
    const study = readStudyDocument(known.document, known.studyHash);
    const last = planStudy(study).computations.at(-1)!.instance;
    const reached = known.participant.some((record) => record.type === 'joined' && record.computation === last);
    if (!reached && study.onMissingSite === 'wait')
      throw new ConcordatError('STUDY_WRONG_PHASE', `a signature is asked for before "${last}" has run here`);
  }

  /** local/<study>/harmonization.json: what never leaves, and what this site's own patients are scored with. */
  async writeLocal(known: KnownStudy): Promise<void> {
    const local = await (await this.studies.of(known.studyHash))?.localHarmonization();
    if (local === undefined || local === null) return;
    const { name } = readStudyDocument(known.document, known.studyHash);
    const folder = path.join(this.context.config.folder, 'local', `${name}-${known.studyHash.slice(0, 12)}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'harmonization.json'), `${JSON.stringify(local, null, 2)}\n`, { mode: 0o600 });
  }
}
