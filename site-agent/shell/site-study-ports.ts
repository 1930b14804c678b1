import type { Cohort } from '../../shared/cohort.site.js';
import type { ErrorCode } from '../../shared/errors.js';
import type { GuardRules, GuardState } from '../../shared/guard-decision.js';
import type { RoundTerms, SiteMessage } from '../../shared/messages.js';
import type { Secret } from '../../shared/secret.js';
import type { Study } from '../../shared/study.js';
import type { TaskProgress } from '../../shared/study-messages.js';
import type { Contribution, TensorSpec } from '../../shared/tensors.js';
import type { ReleaseContext } from '../egress.js';
import type { ParticipantRecord, ParticipantReport } from '../participant-types.js';
import type { SiteWorkSetup } from '../site-work.site.js';
import type { SiteComputer } from './computer.js';
import type { FirstResults } from './study-broadcasts.js';

/** What one study at a site needs of the agent around it. Synchronous calls are durable when they return. */
export interface SiteStudyPorts extends FirstResults {
  appendRecords(records: readonly ParticipantRecord[], guard: GuardState | null): void;
  readRecords(): { readonly records: readonly ParticipantRecord[] };
  /** What was released of this cohort so far, by any study: another one may have signed a set a moment ago. */
  readGuard(): GuardState;
  /** The driver stopped on an error; the study must be taken up from its records. */
  stopped(error: unknown): void;
  /** As `SiteStore.together`. */
  together(write: () => void): void;
  /** Runs a few milliseconds later, unless the process ends before. */
  soon(run: () => void): void;
  putSecret(name: string, secret: Secret): void;
  getSecret(name: string): Secret;
  secretNames(): readonly string[];
  eraseSecretsExcept(names: readonly string[]): void;
  putBlob(bytes: Uint8Array): string;
  getBlob(hash: string): Uint8Array;
  hasBlob(hash: string): boolean;
  deleteBlob(hash: string): void;
  /** From the coordinator, checked against its hash and kept. */
  fetchBlob(hash: string): Promise<Uint8Array>;
  uploadBlob(hash: string, fresh: boolean): Promise<void>;
  send(message: SiteMessage | TaskProgress): void;
  /** Throws where the site has withdrawn from the study: nothing more of it may leave. */
  requireStaying(): void;
  /** What the release gate judges by. */
  readonly release: ReleaseContext;
  /** Where this study's computations run. `worked` is told now and then how long they have worked in all, if they get on. */
  computer(setup: SiteWorkSetup, worked: (workMs: number) => void): SiteComputer;
  /** Writes the egress ledger; durable before the first byte leaves. */
  recordEgress(entry: {
    readonly computation: string;
    readonly round: number;
    readonly leaves: readonly TensorSpec[];
    readonly patients: number;
    readonly bytes: number;
    readonly sha256: string;
  }): void;
  /** Site-visible values of this round, kept so that ratification can find them in the result. */
  keepOwnValues(computation: string, iteration: number, values: Contribution): void;
  report(
    report: ParticipantReport | { readonly kind: 'problem'; readonly code: ErrorCode; readonly message: string },
  ): void;
  nowMs(): number;
  random(): Uint8Array;
}

export interface SiteStudyConfig {
  readonly site: string;
  readonly study: Study;
  readonly terms: RoundTerms;
  readonly signingKey: Secret;
  readonly boxKey: Secret;
  readonly cohort: Cohort;
  readonly guardRules: GuardRules;
  readonly restored: boolean;
  /** Whether sets may have been signed that the records do not tell of: the site was started from a backup since. */
  readonly history: 'known' | 'unknown' | 'accepted';
}
