import { canonicalBytes } from './canonical-json.js';
import { ConcordatError } from './errors.js';
import { toHex } from './hex.js';
import { isConsistent, isIncluded, leafHash } from './merkle.js';
import { sha256Hex, statement } from './secagg/statements.js';
import type { TranscriptProof } from './study-messages.js';

/**
 * The transcript of a study: a Merkle log (shared/merkle.ts) at the coordinator over everything that was decided, in order.
 * Its leaves are RFC 8785 bytes of these entries; hashes, keys and signatures are lower-case hexadecimal. Nothing in it is
 * a contribution, a total or a key: those are named by their hashes. Sites sign its head with the bundle.
 */
export type TranscriptEntry =
  | {
      readonly type: 'approval';
      readonly site: string;
      readonly decision: 'approved' | 'declined' | 'withdrawn';
      readonly reason: string;
      readonly rosterVersion: number;
      readonly rosterHash: string;
      readonly boxPublicKey: string;
      readonly signature: string;
    }
  | {
      readonly type: 'roundOpened';
      readonly computation: string;
      readonly round: number;
      readonly broadcastHash: string;
      readonly declarationHash: string;
      readonly contributionBytes: number;
    }
  | {
      readonly type: 'attemptOpened';
      readonly context: string;
      readonly attempt: number;
      readonly sites: readonly string[];
      readonly preKeyDigest: string;
    }
  /** `signature`: of the site, over (context, blob hash, length). */
  | {
      readonly type: 'maskedInput';
      readonly context: string;
      readonly site: string;
      readonly blobHash: string;
      readonly signature: string;
    }
  | {
      readonly type: 'survivors';
      readonly context: string;
      readonly survivors: readonly string[];
      readonly dropped: readonly string[];
    }
  /** A site's signature under the survivor set of the attempt. */
  | { readonly type: 'signature'; readonly context: string; readonly site: string; readonly signature: string }
  | {
      readonly type: 'attemptAborted';
      readonly context: string;
      readonly reason: string;
      readonly sites: readonly string[];
    }
  | {
      readonly type: 'total';
      readonly context: string;
      readonly totalHash: string;
      readonly sites: readonly string[];
    }
  | { readonly type: 'roundFailed'; readonly code: string; readonly sites: readonly string[] }
  /** The bundle was made: what comes before is what the sites sign. */
  | { readonly type: 'finished'; readonly bundleDigest: string }
  | {
      readonly type: 'ratification';
      readonly site: string;
      readonly verdict: 'ratified' | 'refused';
      readonly bundleDigest: string;
      readonly transcriptHead: string;
      readonly signature: string;
    }
  | { readonly type: 'ended'; readonly how: 'failure' | 'abort' };

/** Length and root of a transcript so far. */
export interface TranscriptTip {
  readonly size: number;
  readonly root: string;
}

export function transcriptLeaf(entry: TranscriptEntry): string {
  return leafHash(canonicalBytes(entry));
}

/** Leaf of a site's own masked input, as the site makes it from what it sent. */
export function maskedInputLeaf(context: string, site: string, blobHash: string, signature: Uint8Array): string {
  return transcriptLeaf({ type: 'maskedInput', context, site, blobHash, signature: toHex(signature) });
}

/** What ratifications sign: study, length and root in one hash. */
export function transcriptHead(studyHash: string, { size, root }: TranscriptTip): string {
  return sha256Hex(statement('transcript head', studyHash, size, root));
}

/**
 * Checks a coordinator's answer: the transcript this site saw before (null = none) is the beginning of the one shown now,
 * and the leaf of its own masked input (null = none was asked for) is in it.
 *
 * @throws ConcordatError STUDY_TRANSCRIPT_FORKED or STUDY_TRANSCRIPT_INPUT_MISSING.
 */
export function checkTranscriptProof(seen: TranscriptTip | null, leaf: string | null, proof: TranscriptProof): void {
  const { size, root, index, inclusion, consistency } = proof;
  if (seen !== null && !isConsistent(seen.size, seen.root, size, root, consistency))
    throw new ConcordatError(
      'STUDY_TRANSCRIPT_FORKED',
      `the transcript of ${size} entries does not begin with the ${seen.size} entries that were shown before`,
    );
  if (leaf !== null && (index === null || !isIncluded(leaf, index, size, inclusion, root)))
    throw new ConcordatError(
      'STUDY_TRANSCRIPT_INPUT_MISSING',
      'a masked input of this site that the coordinator acknowledged is not in the transcript, or another one is',
    );
}
