import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError, type ErrorCode } from '../shared/errors.js';
import { EMPTY_GUARD, type GuardState } from '../shared/guard-decision.js';
import { fromHex } from '../shared/hex.js';
import { LIMITS } from '../shared/limits.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../shared/messages.js';
import { planStudy } from '../shared/plan.js';
import {
  extendTrust,
  findMember,
  parseSignedRoster,
  type Roster,
  rosterHash,
  type SignedRoster,
} from '../shared/roster.js';
import { checkTerms } from '../shared/secagg/context.js';
import type { Secret } from '../shared/secret.js';
import type { SiteStore } from '../shared/stores.js';
import { type Study, studySites } from '../shared/study.js';
import type {
  Approval,
  RatificationRequest,
  StudyCoordinatorMessage,
  StudyProposed,
  StudySiteMessage,
} from '../shared/study-messages.js';
import { approvalIsSigned, readStudyDocument, signRatification } from '../shared/study-signatures.js';
import type { TensorSpec } from '../shared/tensors.js';
import type { SiteLink } from '../shared/transport.js';
import { checkRelease, type LedgerEntry, ledgerEntry } from './egress.js';
import type { Policy } from './policy.js';
import { checkBundleForRatification } from './ratify.js';
import { ROSTER_SETTING } from './roster-store.js';
import { boxKeyOwner, decide, decisionGrounds, frozenCohort, guardRulesOf } from './shell/decide.js';
import { SiteStudy, type SiteStudyPorts } from './shell/site-study.js';
import { encodeSiteRecord, type KnownStudy, SiteLog, type SiteRecord } from './site-records.js';

export interface AgentConfig {
  readonly site: string;
  /** Holds cohort.yaml and policy.yaml beside keys and store. */
  readonly folder: string;
  readonly signingKey: Secret;
  readonly consortiumPublicKey: Uint8Array;
  readonly policy: Policy;
  readonly store: SiteStore;
  readonly link: Pick<SiteLink, 'connected' | 'send' | 'upload' | 'download'>;
  /** Every tensor that a study can make a site send, for policy checks. */
  readonly leavesOfStudy: (study: Study) => Readonly<Record<string, readonly TensorSpec[]>>;
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

/**
 * One site's agent: takes what the coordinator says, checks it against what this site pinned, and runs the studies that
 * were approved here. Approvals come from the store, where `site approve` puts them.
 */
export class SiteAgent {
  private readonly running = new Map<string, SiteStudy>();
  private readonly starting = new Map<string, Promise<SiteStudy | null>>();
  private roster: Roster | null = null;
  private chain: SignedRoster[] = [];
  private lastLedger: LedgerEntry | null;
  private readonly guards = new Map<string, GuardState>();
  /** Studies that could not be taken up, or stopped on an error, and why; tried again after the next connection. */
  private readonly failed = new Map<string, ErrorCode>();
  private poll: NodeJS.Timeout | undefined;
  private readonly sentDecisions = new Set<string>();
  private readonly log: SiteLog;

  constructor(private readonly config: AgentConfig) {
    this.log = new SiteLog(config.store);
    const stored = config.store.getSetting(ROSTER_SETTING);
    if (stored !== null) this.trustRoster(JSON.parse(stored) as string[]);
    const ledger = config.store.ledger();
    this.lastLedger = ledger.length === 0 ? null : (JSON.parse(ledger.at(-1)!) as LedgerEntry);
  }

  /** Takes up running studies, then looks for decisions that were made while it runs. */
  async start(): Promise<void> {
    // One study that cannot be taken up (its table is gone or changed) keeps no other from running.
    for (const known of this.log.all())
      if (known.approvals !== null && known.closed === null) await this.studyOf(known.studyHash);
    this.poll = setInterval(() => {
      try {
        this.sendDecisions();
      } catch (error) {
        this.problem(error);
      }
    }, 300);
  }

  stop(): void {
    clearInterval(this.poll);
    for (const study of this.running.values()) study.stop();
  }

  onConnected(): void {
    this.config.progress({ kind: 'connected' });
    this.sentDecisions.clear();
    for (const study of this.running.values()) study.onConnected();
    for (const studyHash of [...this.failed.keys()]) {
      this.failed.delete(studyHash);
      void this.studyOf(studyHash);
    }
  }

  /** Also after an attempt to connect that failed; the next one follows by itself. */
  onDisconnected(reason: ConcordatError): void {
    this.config.progress({ kind: 'disconnected', code: reason.code, message: reason.message });
    for (const study of this.running.values()) study.onDisconnected();
  }

  async onMessage(message: CoordinatorMessage | StudyCoordinatorMessage): Promise<void> {
    try {
      await this.route(message);
    } catch (error) {
      this.problem(error);
    }
  }

  private problem(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.config.progress({ kind: 'problem', code: codeOf(error), message });
  }

  private async route(message: CoordinatorMessage | StudyCoordinatorMessage): Promise<void> {
    switch (message.type) {
      case 'rosterPublished':
        return this.onRoster(await this.fetch(message.rosterBlob));
      case 'studyProposed':
        return this.onProposed(message);
      case 'studyStarted':
        return this.onStarted(message.studyHash, message.approvals);
      case 'studyProgress':
        return;
      case 'ratificationRequest':
        return this.onRatificationRequest(message);
      case 'studyClosed': {
        const known = this.log.study(message.studyHash);
        if (known === undefined || known.closed !== null) return;
        // A site that was away when the others ratified still needs the file that its own patients are scored with.
        if (message.phase === 'published' && known.approvals !== null && known.ratification === null)
          await this.writeLocal(known).catch((error: unknown) => this.problem(error));
        this.append(message.studyHash, { type: 'closed', phase: message.phase, reason: message.reason });
        // First no more work, then no more keys.
        this.running.get(message.studyHash)?.stop();
        this.running.delete(message.studyHash);
        this.failed.delete(message.studyHash);
        this.config.store.eraseSecretsExcept(message.studyHash, []);
        this.config.store.eraseSecretsExcept(boxKeyOwner(message.studyHash), []);
        this.forgetBlobs(known);
        return this.tell(known, message.phase, message.reason);
      }
      default: {
        if (this.failed.has(message.studyHash)) return;
        const study = await this.studyOf(message.studyHash);
        await study?.onMessage(message);
      }
    }
  }

  /** The coordinator's log then says which site does not take part, and by which code; nothing else is said. */
  private tellFailed(studyHash: string): void {
    const code = this.failed.get(studyHash);
    if (code !== undefined)
      this.send({ type: 'siteRefusal', studyHash, context: null, exchange: 'preKeys', code, about: [] });
  }

  /** Masked inputs that were never acknowledged, left by an attempt that ended with the study. */
  private forgetBlobs(known: KnownStudy): void {
    const closed = new Set(known.participant.flatMap((record) => (record.type === 'closed' ? [record.context] : [])));
    for (const record of known.participant)
      if (record.type === 'masked' && !closed.has(record.context)) this.config.store.deleteBlob(record.blobHash);
  }

  // Roster -----------------------------------------------------------------------------------------------------------

  private onRoster(bytes: Uint8Array): void {
    const texts = JSON.parse(Buffer.from(bytes).toString('utf8')) as string[];
    // An older chain is no reason to forget what was revoked since.
    if (this.trustRoster(texts)) this.config.store.setSetting(ROSTER_SETTING, JSON.stringify(texts));
  }

  private trustRoster(texts: readonly string[]): boolean {
    const chain = texts.map((text) => parseSignedRoster(text));
    const key = this.config.consortiumPublicKey;
    // All of it from version 1: `extendTrust` alone skips what is older than the trusted version, and studies look there.
    extendTrust(null, chain, key);
    const newest = extendTrust(this.roster, chain, key);
    if (chain.length <= this.chain.length) return false;
    this.roster = newest;
    this.chain = chain;
    return true;
  }

  /** A study may be pinned to an older version, but not to a key that the consortium has revoked or replaced since. */
  private checkMembers(study: Study, roster: Roster): void {
    const gone = studySites(study).filter((site) => {
      const pinned = findMember(roster, site);
      const now = findMember(this.roster, site);
      return (
        pinned?.status !== 'active' || now?.status !== 'active' || now.signingPublicKey !== pinned.signingPublicKey
      );
    });
    if (gone.length > 0)
      throw new ConcordatError(
        'STUDY_SITES_UNKNOWN',
        `no longer in the signed roster with that key: ${gone.join(', ')}`,
      );
  }

  private rosterOfVersion(version: number): Roster {
    const found = this.chain.find(({ roster }) => roster.version === version)?.roster;
    if (found === undefined)
      throw new ConcordatError('SITE_ROSTER_CHAIN_BROKEN', `roster version ${version} is not known here`);
    return found;
  }

  // Life of a study --------------------------------------------------------------------------------------------------

  private async onProposed(message: StudyProposed): Promise<void> {
    let known = this.log.study(message.studyHash);
    if (known === undefined) {
      const document = await this.fetch(message.documentBlob);
      const study = readStudyDocument(document, message.studyHash);
      if (!studySites(study).includes(this.config.site)) return;
      const roster = this.rosterOfVersion(message.rosterVersion);
      this.checkMembers(study, roster);
      this.append(message.studyHash, {
        type: 'proposed',
        rosterVersion: message.rosterVersion,
        rosterHash: rosterHash(roster),
        document,
        atMs: this.config.nowMs(),
      });
      known = this.log.study(message.studyHash)!;
      this.tell(known, 'proposed', `decide with: concordat site approve ${message.studyHash.slice(0, 12)}`);
    }
    if (known.approval === null && this.config.policy.automaticApproval) this.approveByPolicy(known);
    this.sendDecisions();
  }

  private approveByPolicy(known: KnownStudy): void {
    const { site, folder, policy, signingKey, store } = this.config;
    const study = readStudyDocument(known.document, known.studyHash);
    const nowMs = this.config.nowMs();
    try {
      const grounds = decisionGrounds(store, known, { site, folder, policy }, this.config.leavesOfStudy(study));
      const allowed = grounds.reasons.length === 0;
      const reason = allowed ? '' : grounds.reasons.join('; ');
      const decision = allowed ? ('approved' as const) : ('declined' as const);
      decide(store, known, { site, signingKey, frozen: grounds.frozen, decision, reason, nowMs });
      this.tell(known, `${decision} by policy`, reason);
    } catch (error) {
      // Nobody is asked here, so nobody would mend the table: the consortium hears the code, the site the places.
      if (!(error instanceof ConcordatError) || !error.code.startsWith('COHORT_')) throw error;
      const reason = `${error.code}: this site's table cannot be used for the study`;
      decide(store, known, { site, signingKey, frozen: null, decision: 'declined', reason, nowMs });
      this.tell(known, 'declined by policy', reason);
      throw error;
    }
  }

  /** Decisions in the store that the coordinator may not have: each is sent once per connection. */
  private sendDecisions(): void {
    if (!this.config.link.connected) return;
    for (const { studyHash, approval, closed } of this.log.all()) {
      if (approval === null || closed !== null || this.sentDecisions.has(studyHash)) continue;
      this.sentDecisions.add(studyHash);
      this.send({ type: 'approval', approval });
    }
  }

  private async onStarted(studyHash: string, approvals: readonly Approval[]): Promise<void> {
    const known = this.log.study(studyHash);
    if (known === undefined || known.closed !== null || known.approval?.decision !== 'approved') return;
    if (known.approvals === null) {
      const study = readStudyDocument(known.document, known.studyHash);
      this.checkMembers(study, this.rosterOfVersion(known.rosterVersion));
      checkTerms(this.termsOf(known, approvals));
      this.append(studyHash, { type: 'started', approvals });
      this.tell(known, 'running', `${approvals.length} sites approved`);
    }
    await this.studyOf(studyHash);
    this.tellFailed(studyHash);
  }

  /** Checks every approval against the roster this site trusts, and takes the box keys from them. */
  private termsOf(known: KnownStudy, approvals: readonly Approval[]): RoundTerms {
    const study = readStudyDocument(known.document, known.studyHash);
    const roster = this.rosterOfVersion(known.rosterVersion);
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

  private async studyOf(studyHash: string): Promise<SiteStudy | null> {
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
      this.problem(error);
      return null;
    }
  }

  private async takeUp(studyHash: string): Promise<SiteStudy | null> {
    const { site, folder, policy, signingKey, store, restored } = this.config;
    const known = this.log.study(studyHash);
    if (known === undefined || known.approvals === null || known.closed !== null) return null;
    const study = readStudyDocument(known.document, studyHash);
    const load = frozenCohort(store, known, { site, folder });
    const terms = this.termsOf(known, known.approvals);
    const config = {
      site,
      study,
      terms,
      signingKey,
      boxKey: store.getSecret(boxKeyOwner(studyHash), 'box'),
      cohort: load.cohort,
      guardRules: guardRulesOf(study, policy, site, load),
      restored,
    };
    const started = new SiteStudy(config, this.portsOf(known, study, load.cohort.n));
    this.running.set(studyHash, started);
    if (this.config.link.connected) started.onConnected();
    await started.start();
    return started;
  }

  private portsOf(known: KnownStudy, study: Study, patients: number): SiteStudyPorts {
    const { store, config } = { store: this.config.store, config: this.config };
    const { studyHash } = known;
    const joined = known.participant.findLast((record) => record.type === 'joined');
    let attempt = joined?.attempt ?? 0;
    const guardKey = `guard ${createHash('sha256').update(known.cohort!.cases.join('\n')).digest('hex')}`;
    return {
      appendRecords: (records, guard) => {
        // First the guard: after a crash between the two it knows a set too many, never one too few.
        if (guard !== null) {
          store.setSetting(guardKey, JSON.stringify(guard));
          this.guards.set(guardKey, guard);
        }
        store.append(records.map((record) => encodeSiteRecord(studyHash, { type: 'participant', record })));
      },
      readRecords: () => ({ records: this.log.study(studyHash)!.participant }),
      readGuard: () => {
        const known = this.guards.get(guardKey);
        if (known !== undefined) return known;
        const stored = store.getSetting(guardKey);
        const guard = stored === null ? EMPTY_GUARD : (JSON.parse(stored) as GuardState);
        this.guards.set(guardKey, guard);
        return guard;
      },
      stopped: (error) => {
        this.running.get(studyHash)?.stop();
        this.running.delete(studyHash);
        this.failed.set(studyHash, codeOf(error));
        this.problem(error);
        this.tellFailed(studyHash);
      },
      putSecret: (name, secret) => store.putSecret(studyHash, name, secret),
      getSecret: (name) => store.getSecret(studyHash, name),
      secretNames: () => store.secretNames(studyHash),
      eraseSecretsExcept: (names) => store.eraseSecretsExcept(studyHash, names),
      putBlob: (bytes) => store.putBlob(bytes),
      getBlob: (hash) => store.getBlob(hash),
      hasBlob: (hash) => store.blobSize(hash) !== null,
      deleteBlob: (hash) => store.deleteBlob(hash),
      fetchBlob: (hash) => this.fetch(hash),
      uploadBlob: async (hash) => void (await config.link.upload(store.getBlob(hash))),
      send: (message) => this.send(message),
      checkRelease: (leaves, contribution) =>
        checkRelease(leaves, contribution, {
          site: config.site,
          policy: config.policy,
          showAggregate: study.privacy.showAggregate,
          patients,
          minimumCohort: study.privacy.minimumCohort,
        }),
      recordEgress: (released) => {
        const time = new Date(config.nowMs()).toISOString();
        const masked = study.privacy.secureAggregation;
        const entry = ledgerEntry(this.lastLedger, {
          time,
          study: studyHash,
          attempt,
          masked,
          ...released,
        });
        store.appendLedger(JSON.stringify(entry));
        this.lastLedger = entry;
      },
      keepOwnValues: (computation, iteration, values) =>
        this.append(studyHash, { type: 'ownValues', computation, iteration, values: Object.fromEntries(values) }),
      report: (report) => {
        if (report.kind === 'problem') config.progress(report);
        if (report.kind !== 'joined' && report.kind !== 'uploaded') return;
        attempt = report.attempt;
        config.progress({
          kind: 'round',
          studyHash,
          what: report.kind,
          round: report.round,
          computation: report.computation,
        });
      },
      nowMs: config.nowMs,
      random: () => new Uint8Array(randomBytes(32)),
    };
  }

  // Ratification -----------------------------------------------------------------------------------------------------

  private async onRatificationRequest(request: RatificationRequest): Promise<void> {
    const { site, signingKey } = this.config;
    const known = this.log.study(request.studyHash);
    if (known === undefined || known.approval?.decision !== 'approved') return;
    if (known.ratification !== null) return this.send({ type: 'ratification', ratification: known.ratification });
    // No verdict at all on these, not even a refusal: the one verdict is for the bundle of the finished study.
    if (request.rosterVersion !== known.rosterVersion)
      throw new ConcordatError(
        'SITE_ROSTER_CHAIN_BROKEN',
        `a signature under roster version ${request.rosterVersion} is asked for, the study was approved under ${known.rosterVersion}`,
      );
    this.checkReached(known);
    const files = new Map<string, Uint8Array>();
    for (const file of request.files) files.set(file.path, await this.config.link.download(file.blobHash));
    const problems = checkBundleForRatification(request, files, known, site);
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
    await this.writeLocal(known).catch((error: unknown) => this.problem(error));
    this.append(request.studyHash, { type: 'ratified', ratification });
    this.tell(known, ratification.verdict, problems.join('; '));
    this.send({ type: 'ratification', ratification });
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
  private async writeLocal(known: KnownStudy): Promise<void> {
    const local = await (await this.studyOf(known.studyHash))?.localHarmonization();
    if (local === undefined || local === null) return;
    const { name } = readStudyDocument(known.document, known.studyHash);
    const folder = path.join(this.config.folder, 'local', `${name}-${known.studyHash.slice(0, 12)}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'harmonization.json'), `${JSON.stringify(local, null, 2)}\n`, { mode: 0o600 });
  }

  // ------------------------------------------------------------------------------------------------------------------

  /** Checked against its hash by the link. Broadcasts and results are not kept: after a restart they are fetched again. */
  private fetch(hash: string): Promise<Uint8Array> {
    return this.config.link.download(hash);
  }

  private append(studyHash: string, record: SiteRecord): void {
    this.config.store.append([encodeSiteRecord(studyHash, record)]);
  }

  /** Dropped without a connection: everything that matters is sent again after the next one. */
  private send(message: SiteMessage | StudySiteMessage): void {
    this.config.link.send(message);
  }

  private tell(known: KnownStudy, state: string, detail: string): void {
    const { name } = readStudyDocument(known.document, known.studyHash);
    this.config.progress({ kind: 'study', studyHash: known.studyHash, name, state, detail });
  }
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
}
