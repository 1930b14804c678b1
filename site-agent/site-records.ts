import { encodeDocument } from '../shared/document.js';
import type { ErrorCode } from '../shared/errors.js';
import type { EventStore, NewRecord } from '../shared/stores.js';
import type { Approval, Ratification } from '../shared/study-messages.js';
import type { TranscriptTip } from '../shared/transcript.js';
import type { ApproverSignature } from './approvers.js';
import type { ParticipantRecord } from './participant-types.js';
import { decodeSiteRecord } from './stored-records.js';

/** What a site's log says of a study; the fold of it is what `site studies` shows and what a restarted agent goes on from. */
export type SiteRecord =
  | {
      readonly type: 'proposed';
      readonly rosterVersion: number;
      readonly rosterHash: string;
      /** RFC 8785 bytes of the study. */
      readonly document: Uint8Array;
      readonly atMs: number;
    }
  | {
      readonly type: 'decided';
      readonly approval: Approval;
      readonly atMs: number;
      /** Null where declined. */
      readonly cohort: { readonly digest: string; readonly cases: readonly string[] } | null;
    }
  /** A named person of this site signed for or against it; `startsOver`: signatures before it count no more. Never sent. */
  | { readonly type: 'approverSigned'; readonly signed: ApproverSignature; readonly startsOver: boolean }
  /** The site's signed withdrawal after its approval; from then on nothing of the study leaves. */
  | { readonly type: 'withdrew'; readonly withdrawal: Approval; readonly atMs: number }
  | { readonly type: 'started'; readonly approvals: readonly Approval[] }
  | { readonly type: 'participant'; readonly record: ParticipantRecord }
  /** Site-visible values that left in one round, so that ratification finds them again in the result. */
  | {
      readonly type: 'ownValues';
      readonly computation: string;
      readonly iteration: number;
      readonly values: Readonly<Record<string, Float64Array>>;
    }
  | { readonly type: 'progress'; readonly computation: string; readonly round: number; readonly iteration: number }
  /** The transcript as the coordinator proved it; `context`: the attempt whose masked input of this site is in it. */
  | { readonly type: 'transcript'; readonly size: number; readonly root: string; readonly context: string | null }
  /** The coordinator's transcript failed this site's check: it takes no more part in the study. */
  | { readonly type: 'transcriptRefused'; readonly code: ErrorCode }
  | { readonly type: 'ratified'; readonly ratification: Ratification }
  | { readonly type: 'closed'; readonly phase: string; readonly reason: string };

/** A study as this site knows it. */
export interface KnownStudy {
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly rosterHash: string;
  readonly document: Uint8Array;
  readonly proposedAtMs: number;
  readonly approval: Approval | null;
  /** Signatures of named approvers that count, in the order they were given. */
  readonly approvers: readonly ApproverSignature[];
  /** Sequence of the decision in the log, or null. */
  readonly decidedAt: number | null;
  readonly withdrawal: Approval | null;
  readonly cohort: { readonly digest: string; readonly cases: readonly string[] } | null;
  readonly approvals: readonly Approval[] | null;
  readonly participant: readonly ParticipantRecord[];
  readonly ownValues: readonly Extract<SiteRecord, { type: 'ownValues' }>[];
  readonly progress: Extract<SiteRecord, { type: 'progress' }> | null;
  /** Newest transcript that was proven to go on from all before it. */
  readonly transcript: TranscriptTip | null;
  readonly transcriptRefusal: ErrorCode | null;
  /** Attempts whose masked input was acknowledged, and is not yet proven to be in the transcript. */
  readonly unproven: ReadonlyMap<string, { readonly blobHash: string; readonly byteLength: number }>;
  readonly ratification: Ratification | null;
  readonly closed: { readonly phase: string; readonly reason: string } | null;
}

export function encodeSiteRecord(study: string, record: SiteRecord): NewRecord {
  return { study, type: record.type, payload: encodeDocument(record) };
}

/**
 * The fold of a site's log, kept and carried on: each question reads only what was appended since the last, by this
 * process or by a command beside it.
 */
export class SiteLog {
  private readonly studies = new Map<string, KnownStudy>();
  private sequence = 0;

  constructor(private readonly store: Pick<EventStore, 'replay'>) {}

  /** Every study, in the order of their proposal. */
  all(): KnownStudy[] {
    for (const { sequence, study, payload } of this.store.replay({ after: this.sequence })) {
      this.sequence = sequence;
      if (study === '') continue;
      const next = withRecord(this.studies.get(study), study, sequence, decodeSiteRecord(payload));
      if (next !== undefined) this.studies.set(study, next);
    }
    return [...this.studies.values()];
  }

  /** One study, or undefined where it was never proposed here. */
  study(studyHash: string): KnownStudy | undefined {
    this.all();
    return this.studies.get(studyHash);
  }
}

/** Every study in the log, for a command that asks once. */
export function knownStudies(store: Pick<EventStore, 'replay'>): KnownStudy[] {
  return new SiteLog(store).all();
}

/** The study as the log has it at this instant: another command may have written since it was read. */
export function asItIsNow(store: Pick<EventStore, 'replay'>, known: KnownStudy): KnownStudy {
  return knownStudies(store).find(({ studyHash }) => studyHash === known.studyHash) ?? known;
}

function withRecord(
  known: KnownStudy | undefined,
  studyHash: string,
  sequence: number,
  record: SiteRecord,
): KnownStudy | undefined {
  if (record.type === 'proposed') {
    if (known !== undefined) return known;
    const { rosterVersion, rosterHash, document, atMs } = record;
    return {
      studyHash,
      rosterVersion,
      rosterHash,
      document,
      proposedAtMs: atMs,
      approval: null,
      approvers: [],
      decidedAt: null,
      withdrawal: null,
      cohort: null,
      approvals: null,
      participant: [],
      ownValues: [],
      progress: null,
      transcript: null,
      transcriptRefusal: null,
      unproven: new Map(),
      ratification: null,
      closed: null,
    };
  }
  if (known === undefined) return undefined;
  switch (record.type) {
    case 'decided':
      return { ...known, approval: record.approval, cohort: record.cohort, decidedAt: sequence };
    case 'approverSigned':
      return { ...known, approvers: [...stillStanding(known, record.startsOver), record.signed] };
    case 'withdrew':
      return { ...known, withdrawal: record.withdrawal };
    case 'started':
      return { ...known, approvals: record.approvals };
    case 'participant':
      // Thousands of these: appended in place to the fold's own list.
      (known.participant as ParticipantRecord[]).push(record.record);
      if (record.record.type === 'acknowledged') awaitProof(known, record.record.context);
      return known;
    case 'ownValues':
      (known.ownValues as unknown[]).push(record);
      return known;
    case 'progress':
      return { ...known, progress: record };
    case 'transcript': {
      const { size, root, context } = record;
      if (context !== null) (known.unproven as Map<string, unknown>).delete(context);
      return { ...known, transcript: { size, root } };
    }
    case 'transcriptRefused':
      return { ...known, transcriptRefusal: record.code };
    case 'ratified':
      return { ...known, ratification: record.ratification };
    case 'closed':
      // Of a study that has ended only its last round is ever asked for.
      return {
        ...known,
        closed: { phase: record.phase, reason: record.reason },
        participant: known.participant.filter((entry) => entry.type === 'joined').slice(-1),
        ownValues: [],
        unproven: new Map(),
      };
  }
}

/** Who starts over takes back approvals only: a decline that came in between stands. */
function stillStanding({ approvers }: KnownStudy, startsOver: boolean): KnownStudy['approvers'] {
  return startsOver ? approvers.filter(({ decision }) => decision === 'declined') : approvers;
}

function awaitProof(known: KnownStudy, context: string): void {
  const masked = known.participant.findLast((record) => record.type === 'masked');
  if (masked?.context !== context) return;
  const { blobHash, byteLength } = masked;
  (known.unproven as Map<string, { blobHash: string; byteLength: number }>).set(context, { blobHash, byteLength });
}
