import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import type { Secret } from '../../shared/secret.js';
import type { SiteStore } from '../../shared/stores.js';
import type { Study } from '../../shared/study.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import type { TensorSpec } from '../../shared/tensors.js';
import type { SiteLink } from '../../shared/transport.js';
import type { FromSite } from '../../shared/wire/types.js';
import type { Policy } from '../policy.js';
import { encodeSiteRecord, type KnownStudy, SiteLog, type SiteRecord } from '../site-records.js';
import type { SiteWorkSetup } from '../site-work.site.js';
import type { SiteComputer } from './computer.js';

export interface AgentConfig {
  readonly site: string;
  /** Holds cohort.yaml and policy.yaml beside keys and store. */
  readonly folder: string;
  readonly signingKey: Secret;
  readonly consortiumPublicKey: Uint8Array;
  /** Certificate (PEM) of the transport authority, pinned at enrollment: countersigns the egress ledger. */
  readonly authority: string;
  readonly policy: Policy;
  readonly store: SiteStore;
  readonly link: Pick<SiteLink, 'connected' | 'send' | 'upload' | 'download'>;
  /** Bundles of earlier studies; without it a study that takes anything over from one is declined. */
  readonly registry?: Pick<SiteLink, 'listBundles' | 'getBundle'>;
  /** Every tensor that a study can make a site send, for policy checks. */
  readonly leavesOfStudy: (study: Study) => Readonly<Record<string, readonly TensorSpec[]>>;
  /** Where computations run; without it in the agent's own thread, which then hears nothing while one runs. */
  readonly computer?: (setup: SiteWorkSetup, worked: (workMs: number) => void) => SiteComputer;
  readonly restored: boolean;
  readonly progress: (event: AgentProgress) => void;
  readonly nowMs: () => number;
}

export type AgentProgress =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'study';
      readonly studyHash: string;
      readonly name: string;
      readonly state: string;
      readonly detail: string;
    }
  | {
      readonly kind: 'round';
      readonly studyHash: string;
      readonly what: string;
      readonly round: number;
      readonly computation: string;
    }
  | { readonly kind: 'problem'; readonly code: ErrorCode; readonly message: string };

/** What every part of the agent works with: its configuration, its log, and its ways to speak. */
export class AgentContext {
  readonly log: SiteLog;

  constructor(readonly config: AgentConfig) {
    this.log = new SiteLog(config.store);
  }

  /** Checked against its hash by the link. Broadcasts and results are not kept: after a restart they are fetched again. */
  fetch(hash: string): Promise<Uint8Array> {
    return this.config.link.download(hash);
  }

  append(studyHash: string, record: SiteRecord): void {
    this.config.store.append([encodeSiteRecord(studyHash, record)]);
  }

  /** Dropped without a connection: everything that matters is sent again after the next one. */
  send(message: FromSite): void {
    this.config.link.send(message);
  }

  tell(known: KnownStudy, state: string, detail: string): void {
    const { name } = readStudyDocument(known.document, known.studyHash);
    this.config.progress({ kind: 'study', studyHash: known.studyHash, name, state, detail });
  }

  problem(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.config.progress({ kind: 'problem', code: codeOf(error), message });
  }
}

export function codeOf(error: unknown): ErrorCode {
  return error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
}
