import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import { fromHex } from '../../shared/hex.js';
import type { CoordinatorMessage, RoundTerms } from '../../shared/messages.js';
import { findMember, type Roster } from '../../shared/roster.js';
import { checkTerms } from '../../shared/secagg/context.js';
import { studySites } from '../../shared/study.js';
import type { Approval } from '../../shared/study-messages.js';
import { approvalIsSigned, readStudyDocument } from '../../shared/study-signatures.js';
import type { KnownStudy } from '../site-records.js';
import { type AgentContext, codeOf } from './agent-context.js';
import { boxKeyOwner, frozenCohort, guardRulesOf } from './decide.js';
import type { LedgerKeeper } from './ledger-keeper.js';
import { historyOf, markRestored } from './restored.js';
import { SiteStudy } from './site-study.js';
import { sentAndUnsigned } from './study-guard.js';
import { StudyPorts } from './study-ports.js';
import type { TrustedChain } from './trusted-chain.js';

/** The studies that run at this site, from the coordinator's start to the end of each. */
export class RunningStudies {
  private readonly running = new Map<string, SiteStudy>();
  private readonly starting = new Map<string, Promise<SiteStudy | null>>();
  /** Studies that could not be taken up, or stopped on an error, and why; tried again after the next connection. */
  private readonly failed = new Map<string, ErrorCode>();
  /** Studies that this process has left after a withdrawal. */
  private readonly left = new Set<string>();
  private readonly ports: StudyPorts;

  constructor(
    private readonly context: AgentContext,
    private readonly chain: TrustedChain,
    ledger: LedgerKeeper,
  ) {
    this.ports = new StudyPorts(context, ledger);
  }

  /** Takes up every study that was running. One that cannot be (its table is gone or changed) keeps no other from it. */
  async takeUpAll(): Promise<void> {
    const { restored, store, nowMs } = this.context.config;
    if (restored) markRestored(store, nowMs());
    for (const known of this.context.log.all())
      if (known.approvals !== null && known.closed === null) await this.of(known.studyHash);
    await this.leaveWithdrawn();
  }

  /** Ends at this site what a person has withdrawn from, by a command beside this process. */
  async leaveWithdrawn(): Promise<void> {
    for (const known of this.context.log.all()) {
      if (known.withdrawal === null || known.closed !== null || this.left.has(known.studyHash)) continue;
      this.left.add(known.studyHash);
      this.running.get(known.studyHash)?.stop();
      await this.settle(known);
      this.end(known);
      this.context.tell(known, 'withdrawn here', known.withdrawal.reason);
    }
  }

  /** What may have been released without this site's signature counts for the guard before the study is forgotten. */
  async settle(known: KnownStudy): Promise<void> {
    if (known.approvals === null || sentAndUnsigned(known.participant) === null) return;
    try {
      await (this.running.get(known.studyHash) ?? this.build(known, known.approvals)).settle();
    } catch (error) {
      this.context.problem(error);
    }
  }

  stop(): void {
    for (const study of this.running.values()) study.stop();
  }

  onConnected(): void {
    for (const study of this.running.values()) study.onConnected();
    for (const studyHash of [...this.failed.keys()]) {
      this.failed.delete(studyHash);
      void this.of(studyHash);
    }
  }

  onDisconnected(): void {
    for (const study of this.running.values()) study.onDisconnected();
  }

  /** A message of a round. */
  async onMessage(message: CoordinatorMessage): Promise<void> {
    if (this.failed.has(message.studyHash)) return;
    const study = await this.of(message.studyHash);
    await study?.onMessage(message);
  }

  async onStarted(studyHash: string, approvals: readonly Approval[]): Promise<void> {
    const known = this.context.log.study(studyHash);
    if (known === undefined || known.closed !== null || known.approval?.decision !== 'approved') return;
    if (known.withdrawal !== null) return;
    if (known.approvals === null) {
      const study = readStudyDocument(known.document, known.studyHash);
      this.chain.checkMembers(study, this.chain.version(known.rosterVersion));
      checkTerms(termsOf(known, this.chain.version(known.rosterVersion), approvals));
      this.context.append(studyHash, { type: 'started', approvals });
      this.context.tell(known, 'running', `${approvals.length} sites approved`);
    }
    await this.of(studyHash);
    this.tellFailed(studyHash);
  }

  /** The study has ended: first no more work, then no more keys. */
  end(known: KnownStudy): void {
    const { studyHash } = known;
    const { store } = this.context.config;
    this.running.get(studyHash)?.stop();
    this.running.delete(studyHash);
    this.failed.delete(studyHash);
    store.eraseSecretsExcept(studyHash, []);
    store.eraseSecretsExcept(boxKeyOwner(studyHash), []);
    this.forgetBlobs(known);
  }

  async of(studyHash: string): Promise<SiteStudy | null> {
    const running = this.running.get(studyHash);
    if (running !== undefined) return running;
    const pending = this.starting.get(studyHash) ?? this.startStudy(studyHash);
    this.starting.set(studyHash, pending);
    try {
      return await pending;
    } finally {
      this.starting.delete(studyHash);
    }
  }

  private async startStudy(studyHash: string): Promise<SiteStudy | null> {
    try {
      return await this.takeUp(studyHash);
    } catch (error) {
      this.running.delete(studyHash);
      this.failed.set(studyHash, codeOf(error));
      this.context.problem(error);
      return null;
    }
  }

  private async takeUp(studyHash: string): Promise<SiteStudy | null> {
    const known = this.context.log.study(studyHash);
    if (known === undefined || known.approvals === null || known.closed !== null || known.withdrawal !== null)
      return null;
    if (known.transcriptRefusal !== null)
      throw new ConcordatError(known.transcriptRefusal, 'the transcript of the study failed this site’s check');
    const started = this.build(known, known.approvals);
    this.running.set(studyHash, started);
    if (this.context.config.link.connected) started.onConnected();
    await started.start();
    return started;
  }

  private build(known: KnownStudy, approvals: readonly Approval[]): SiteStudy {
    const { site, folder, policy, signingKey, store, restored } = this.context.config;
    const { studyHash } = known;
    const study = readStudyDocument(known.document, studyHash);
    const load = frozenCohort(store, known, { site, folder });
    const terms = termsOf(known, this.chain.version(known.rosterVersion), approvals);
    const config = {
      site,
      study,
      terms,
      signingKey,
      boxKey: store.getSecret(boxKeyOwner(studyHash), 'box'),
      cohort: load.cohort,
      guardRules: guardRulesOf(study, policy, site, load),
      restored,
      history: historyOf(store, studyHash),
    };
    return new SiteStudy(
      config,
      this.ports.of(known, study, load.cohort.n, (error) => this.onStopped(studyHash, error)),
    );
  }

  /** This site takes no more part in the study, and says by which code. */
  onStopped(studyHash: string, error: unknown): void {
    this.running.get(studyHash)?.stop();
    this.running.delete(studyHash);
    this.failed.set(studyHash, codeOf(error));
    this.context.problem(error);
    this.tellFailed(studyHash);
  }

  /** The coordinator's log then says which site does not take part, and by which code; nothing else is said. */
  private tellFailed(studyHash: string): void {
    const code = this.failed.get(studyHash);
    if (code !== undefined)
      this.context.send({ type: 'siteRefusal', studyHash, context: null, exchange: 'preKeys', code, about: [] });
  }

  /** Masked inputs that were never acknowledged, left by an attempt that ended with the study. */
  private forgetBlobs(known: KnownStudy): void {
    const closed = new Set(known.participant.flatMap((record) => (record.type === 'closed' ? [record.context] : [])));
    for (const record of known.participant)
      if (record.type === 'masked' && !closed.has(record.context))
        this.context.config.store.deleteBlob(record.blobHash);
  }
}

/** Checks every approval against the roster this site trusts, and takes the box keys from them. */
export function termsOf(known: KnownStudy, roster: Roster, approvals: readonly Approval[]): RoundTerms {
  const study = readStudyDocument(known.document, known.studyHash);
  const sites = studySites(study).map((site) => {
    const member = findMember(roster, site);
    const approval = approvals.find((entry) => entry.site === site);
    const key = member === undefined ? null : fromHex(member.signingPublicKey, 32);
    const valid =
      approval !== undefined &&
      key !== null &&
      approval.decision === 'approved' &&
      approval.studyHash === known.studyHash &&
      approval.rosterHash === known.rosterHash &&
      approvalIsSigned(approval, key);
    if (!valid)
      throw new ConcordatError(
        'SITE_SIGNATURE_INVALID',
        `the approval shown for site "${site}" is not one that it signed`,
      );
    return { site, signingPublicKey: key, boxPublicKey: approval.boxPublicKey };
  });
  return {
    roster: { studyHash: known.studyHash, rosterVersion: known.rosterVersion, sites },
    mode: study.privacy.secureAggregation ? 'secure' : 'plain',
    coordinator: study.privacy.coordinator,
    minSites: study.privacy.minSites,
    onMissingSite: study.onMissingSite,
  };
}
