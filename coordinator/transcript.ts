import { toHex } from '../shared/hex.js';
import { MerkleLog } from '../shared/merkle.js';
import type { TranscriptProof, TranscriptRequest } from '../shared/study-messages.js';
import { type TranscriptEntry, type TranscriptTip, transcriptHead, transcriptLeaf } from '../shared/transcript.js';
import type { RoundRecord } from './round-types.js';
import type { LoggedEvent } from './study-host-types.js';

/** The transcript of one study, as a fold over its logged events; gives the proofs that sites ask for. Pure. */
export class Transcript {
  private readonly log = new MerkleLog();
  private readonly inputs = new Map<string, number>();
  /** Masked inputs of the open attempt, and of every total. */
  private open: string[] = [];
  private readonly inTotals = new Set<string>();
  /** Entries before the bundle: what sites sign, and all that is shown from then on. */
  private finishedSize: number | null = null;

  constructor(private readonly studyHash: string) {}

  /** Call for every event once it is durable, in the order of the log. */
  record(event: LoggedEvent): void {
    const entry = entryOf(event);
    if (entry === null) return;
    const index = this.log.append(transcriptLeaf(entry));
    if (entry.type === 'maskedInput') {
      this.inputs.set(`${entry.context} ${entry.site}`, index);
      this.open.push(entry.blobHash);
    }
    if (entry.type === 'attemptOpened') this.open = [];
    if (entry.type === 'total') for (const hash of this.open) this.inTotals.add(hash);
    if (entry.type === 'finished') this.finishedSize ??= index;
  }

  /** Hashes of the masked inputs that are in totals: what `transcript.retain` keeps. */
  get addedInputs(): ReadonlySet<string> {
    return this.inTotals;
  }

  get tip(): TranscriptTip {
    const size = this.finishedSize ?? this.log.size;
    return { size, root: this.log.root(size) };
  }

  get head(): string {
    return transcriptHead(this.studyHash, this.tip);
  }

  /** Of the site's own masked input in that attempt, and of everything since the length it saw last. */
  proof(site: string, request: TranscriptRequest): TranscriptProof {
    const { studyHash } = this;
    const { size, root } = this.tip;
    const { context, size: since } = request;
    const index = context === null ? null : (this.inputs.get(`${context} ${site}`) ?? null);
    const known = index !== null && index < size;
    return {
      type: 'transcriptProof',
      studyHash,
      size,
      root,
      context,
      index: known ? index : null,
      inclusion: known ? this.log.inclusion(index, size) : [],
      consistency: since <= size ? this.log.consistency(since, size) : [],
    };
  }
}

/** The entry that an event makes; null for what decides nothing. */
export function entryOf(event: LoggedEvent): TranscriptEntry | null {
  if (event.type === 'round') return entryOfRecord(event.record);
  if (event.type !== 'study') return null;
  if (event.approval !== undefined) {
    const { site, decision, reason, rosterVersion, rosterHash, boxPublicKey, signature } = event.approval;
    const keys = { boxPublicKey: toHex(boxPublicKey), signature: toHex(signature) };
    return { type: 'approval', site, decision, reason, rosterVersion, rosterHash, ...keys };
  }
  if (event.ratification !== undefined) {
    const { site, verdict, bundleDigest, transcriptHead: head, signature } = event.ratification;
    return {
      type: 'ratification',
      site,
      verdict,
      bundleDigest,
      transcriptHead: head,
      signature: toHex(signature),
    };
  }
  if (event.event.type === 'finished') return { type: 'finished', bundleDigest: event.event.bundleDigest };
  if (event.event.type === 'failure' || event.event.type === 'abort') return { type: 'ended', how: event.event.type };
  return null;
}

function entryOfRecord(record: RoundRecord): TranscriptEntry | null {
  switch (record.type) {
    case 'roundOpened': {
      const { type, computation, round, broadcastHash, declarationHash, contributionBytes } = record;
      return { type, computation, round, broadcastHash, declarationHash, contributionBytes };
    }
    case 'attemptOpened': {
      const { type, context, attempt, sites, preKeyDigest } = record;
      return { type, context, attempt, sites, preKeyDigest };
    }
    case 'maskedInput': {
      const { type, context, site, blobHash } = record;
      return { type, context, site, blobHash, signature: toHex(record.signature) };
    }
    case 'signature':
      return { type: 'signature', context: record.context, site: record.site, signature: toHex(record.signature) };
    case 'survivors':
    case 'attemptAborted':
    case 'total':
    case 'roundFailed':
      return record;
    default:
      return null;
  }
}
