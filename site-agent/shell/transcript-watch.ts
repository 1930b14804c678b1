import { ConcordatError } from '../../shared/errors.js';
import { signStatement } from '../../shared/secagg/keys.js';
import { maskedInputStatement } from '../../shared/secagg/statements.js';
import type { TranscriptProof } from '../../shared/study-messages.js';
import { checkTranscriptProof, maskedInputLeaf, transcriptHead } from '../../shared/transcript.js';
import type { KnownStudy } from '../site-records.js';
import type { AgentContext } from './agent-context.js';

/**
 * Watches the coordinator's transcript for this site: after every attempt, and before it ratifies, each masked input
 * of its own that was acknowledged must be in it, and what was shown before must be its beginning. One question at a time a
 * study, so that every answer goes on from the one before.
 */
export class TranscriptWatch {
  /** Study -> the attempt that was asked about; null where only the newest head was. */
  private readonly asked = new Map<string, string | null>();

  constructor(private readonly context: AgentContext) {}

  /** Questions of the old connection have no answer any more. */
  onConnected(): void {
    this.asked.clear();
    for (const known of this.context.log.all()) if (known.closed === null) this.poke(known.studyHash);
  }

  /** Asks about the next input that is not proven; about the head alone where `head` wants it. */
  poke(studyHash: string, head = false): void {
    const known = this.context.log.study(studyHash);
    if (known === undefined || this.asked.has(studyHash) || known.transcriptRefusal !== null) return;
    const context = known.unproven.keys().next().value ?? null;
    if (context === null && !head) return;
    this.asked.set(studyHash, context);
    this.context.send({ type: 'transcriptRequest', studyHash, size: known.transcript?.size ?? 0, context });
  }

  /**
   * Keeps what was proven; a proof that fails is kept as well, and ends this site's part in the study.
   *
   * @throws ConcordatError STUDY_TRANSCRIPT_FORKED or STUDY_TRANSCRIPT_INPUT_MISSING.
   */
  onProof(proof: TranscriptProof): void {
    const { studyHash, size, root, context } = proof;
    const known = this.context.log.study(studyHash);
    const asked = this.asked.get(studyHash);
    if (known === undefined || asked === undefined || asked !== context || known.closed !== null) return;
    this.asked.delete(studyHash);
    try {
      checkTranscriptProof(known.transcript, context === null ? null : this.leafOf(known, context), proof);
    } catch (error) {
      this.refuse(known, error);
    }
    this.context.append(studyHash, { type: 'transcript', size, root, context });
    this.poke(studyHash);
  }

  /** Whether everything of this site is proven to be in the transcript of that head. */
  isProven(known: KnownStudy, head: string): boolean {
    return (
      known.unproven.size === 0 &&
      known.transcript !== null &&
      transcriptHead(known.studyHash, known.transcript) === head
    );
  }

  /** @throws ConcordatError always; durable before. */
  refuse(known: KnownStudy, error: unknown): never {
    if (error instanceof ConcordatError && known.transcriptRefusal === null)
      this.context.append(known.studyHash, { type: 'transcriptRefused', code: error.code });
    throw error;
  }

  private leafOf(known: KnownStudy, context: string): string {
    const { site, signingKey } = this.context.config;
    const { blobHash, byteLength } = known.unproven.get(context)!;
    const signature = signStatement(signingKey, maskedInputStatement(context, site, blobHash, byteLength));
    return maskedInputLeaf(context, site, blobHash, signature);
  }
}
