import type { CoordinatorMessage, RoundTerms } from '../shared/messages.js';
import type { Study } from '../shared/study.js';
import type { Approval, Ratification, StudyCoordinatorMessage } from '../shared/study-messages.js';
import type { RoundRecord, RoundReport } from './round-types.js';
import type { StudyEvent, StudyState } from './study.js';
import type { StudyRun } from './study-run.js';

/** One logged event of a study: what the fold after a restart needs, in order. */
export type LoggedEvent =
  | { readonly type: 'proposed'; readonly documentBlob: string; readonly rosterVersion: number; readonly atMs: number }
  | {
      readonly type: 'study';
      readonly event: StudyEvent;
      readonly approval?: Approval;
      readonly ratification?: Ratification;
    }
  | { readonly type: 'round'; readonly record: RoundRecord };

export interface BundleFiles {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly bundleDigest: string;
  readonly unmet: readonly string[];
}

export interface StudyHostPorts {
  append(events: readonly LoggedEvent[]): void;
  putBlob(bytes: Uint8Array): string;
  getBlob(hash: string, into?: Uint8Array): Uint8Array;
  deleteBlob(hash: string): void;
  blobSize(hash: string): number | null;
  /** What this site sent for an attempt that is over: deleted, whole or in pieces, unless something else needs it. */
  forgetUploads(site: string, hashes: readonly string[]): void;
  send(site: string, message: CoordinatorMessage | StudyCoordinatorMessage): void;
  isConnected(site: string): boolean;
  setTimer(atMs: number, fire: () => void): void;
  /** Runs a few milliseconds later, unless the process ends before. */
  soon(run: () => void): void;
  nowMs(): number;
  /** Terms of the rounds once every box key is known. */
  terms(study: Study, studyHash: string, approvals: readonly Approval[]): RoundTerms;
  /** Assembles result, model, card and roster into a bundle. Same input, same bytes. */
  assemble(run: StudyRun, state: StudyState, transcriptHead: string): Promise<BundleFiles>;
  publish(state: StudyState, files: ReadonlyMap<string, Uint8Array>, ratifications: readonly Ratification[]): void;
  summary(
    state: StudyState,
    files: ReadonlyMap<string, Uint8Array> | null,
    ratifications: readonly Ratification[],
    reason: string,
  ): void;
  progress(message: HostProgress): void;
  /** Something went wrong outside any call that could throw it. */
  trouble(error: unknown): void;
}

export type HostProgress =
  | { readonly kind: 'phase'; readonly studyHash: string; readonly phase: string; readonly reason: string }
  | {
      readonly kind: 'round';
      readonly studyHash: string;
      readonly computation: string;
      readonly round: number;
      readonly iteration: number;
    }
  | { readonly kind: 'round-report'; readonly studyHash: string; readonly report: RoundReport };
