import type { LocalHarmonization } from '../../harmonization/harmonized.site.js';
import type { Cohort } from '../../shared/cohort.site.js';
import { contributingSites } from '../../shared/computations/describe/declaration.js';
import { invalid } from '../../shared/computations/received.js';
import { decodeDocument } from '../../shared/document.js';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import {
  type GuardDecision,
  type GuardRules,
  type GuardState,
  guardDecision,
  guardRequest,
  withRequest,
} from '../../shared/guard-decision.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { type Plan, planStudy } from '../../shared/plan.js';
import { decodeRoundDocument, type RoundDocument } from '../../shared/round-document.js';
import { declarationHash } from '../../shared/secagg/context.js';
import type { Secret } from '../../shared/secret.js';
import { type Study, studySites } from '../../shared/study.js';
import type { Contribution, TensorSpec } from '../../shared/tensors.js';
import { isTransient } from '../../shared/wire/status.js';
import { SITE_COMPUTATIONS } from '../computations.js';
import type { ReleaseContext } from '../egress.js';
import type { MaskJob, ParticipantRecord, ParticipantReport, SurvivorSet } from '../participant-types.js';
import { previewLeaves } from '../preview.js';
import { isInOrder, type JoinedRounds } from '../round-order.js';
import { checkResultOf, leavesOf } from '../site-run.site.js';
import type { SiteWorkSetup } from '../site-work.site.js';
import type { HashedResults, SiteComputer } from './computer.js';
import { expiry, guardScheme } from './decide.js';
import { type ContributeTask, ParticipantDriver } from './participant-driver.js';

/** What one study at a site needs of the agent around it. Synchronous calls are durable when they return. */
export interface SiteStudyPorts {
  appendRecords(records: readonly ParticipantRecord[], guard: GuardState | null): void;
  readRecords(): { readonly records: readonly ParticipantRecord[] };
  /** What was released of this cohort so far, by any study: another one may have signed a set a moment ago. */
  readGuard(): GuardState;
  /** The driver stopped on an error; the study must be taken up from its records. */
  stopped(error: unknown): void;
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
  uploadBlob(hash: string): Promise<void>;
  send(message: SiteMessage): void;
  /** Throws where the site has withdrawn from the study: nothing more of it may leave. */
  requireStaying(): void;
  /** What the release gate judges by. */
  readonly release: ReleaseContext;
  /** Where this study's computations run. */
  computer(setup: SiteWorkSetup): SiteComputer;
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

const REJECTED_MAX = 100;

/** A round's broadcast as it arrived, with this agent's own declaration and the public results it builds on. */
interface LoadedRound {
  readonly document: RoundDocument;
  readonly leaves: readonly TensorSpec[];
  readonly results: ReadonlyMap<string, unknown>;
}

/** One running study at a site: joins the participant reducer, the computations and the release gate. */
export class SiteStudy {
  private readonly plan: Plan;
  private readonly documents = new Map<string, LoadedRound>();
  private readonly results = new Map<string, { readonly hash: string; readonly value: unknown }>();
  /** Broadcasts that this site will not answer, and why. */
  private readonly rejected = new Map<string, ErrorCode>();
  private readonly rounds = new Map<string, JoinedRounds>();
  /** Kinds of tensor that were shown as sums over enough sites before this site approved. */
  private readonly shownAsTotals: ReadonlySet<string>;
  private pendingGuard: GuardState | null = null;
  private driver: ParticipantDriver | null = null;
  private readonly computer: SiteComputer;
  private stopped = false;
  private connected = false;
  /** Code of a problem that was reported and will be told to the coordinator as a refusal next. */
  private explained: ErrorCode | null = null;
  /** The attempt this site joined last, and whether it signed a set of it. */
  private joined: {
    readonly context: string;
    readonly broadcastHash: string;
    readonly sites: readonly string[];
    signed: boolean;
  } | null = null;
  private readonly early: CoordinatorMessage[] = [];

  constructor(
    private readonly config: SiteStudyConfig,
    private readonly ports: SiteStudyPorts,
  ) {
    this.plan = planStudy(config.study);
    const shown = previewLeaves(this.plan).flatMap(({ rounds }) => rounds.flat());
    const bySite = new Set(shown.flatMap((leaf) => (leaf.visibility === 'site' ? [leaf.kind] : [])));
    this.shownAsTotals = new Set(shown.flatMap((leaf) => (bySite.has(leaf.kind) ? [] : [leaf.kind])));
    const { site, study, cohort, terms } = config;
    const { release } = ports;
    this.computer = ports.computer({ site, study, cohort, release, siteCount: terms.roster.sites.length });
  }

  /** Takes up what the records say. The broadcast of an open attempt is read first: its declaration is needed at once. */
  async start(): Promise<void> {
    const { records } = this.ports.readRecords();
    for (const record of records) this.follow(record);
    this.requireHistory();
    // A broadcast that cannot be had now is fetched again when a message needs it.
    if (this.joined !== null) await this.load(this.joined.broadcastHash).catch(() => undefined);
    const { site, terms, signingKey, boxKey, restored } = this.config;
    this.driver = new ParticipantDriver(
      { site, terms, signingKey, boxKey, guard: (set) => this.decide(set) },
      {
        ...this.ports,
        append: (appended) => this.append(appended),
        upload: (hash) => this.ports.uploadBlob(hash),
        leaves: async (hash) => (await this.load(hash)).leaves,
        contribute: (task) => this.contribute(task),
        mask: (job, leaves, words, secret) => this.mask(job, leaves, words, secret),
        recordEgress: (task, sha256, bytes) => this.recordEgress(task, sha256, bytes),
        report: (report) => this.report(report),
      },
      records,
      restored,
    );
    if (this.connected) this.driver.feed({ type: 'connected' });
    for (const message of this.early.splice(0)) this.driver.feed({ type: 'message', message });
  }

  /** Every refusal stands in this site's log, once: some were explained before the reducer told the coordinator. */
  private report(report: ParticipantReport): void {
    if (report.kind === 'refused' && report.code !== this.explained) {
      const about = report.about.length > 0 ? ` (about ${report.about.join(', ')})` : '';
      this.ports.report({ kind: 'problem', code: report.code, message: `the coordinator was refused${about}` });
    }
    if (report.kind === 'refused') this.explained = null;
    this.ports.report(report);
  }

  private problem(code: ErrorCode, message: string): void {
    this.explained = code;
    this.ports.report({ kind: 'problem', code, message });
  }

  onConnected(): void {
    this.connected = true;
    this.driver?.feed({ type: 'connected' });
  }

  /** The study has ended: nothing more is computed or sent. */
  stop(): void {
    this.stopped = true;
    this.driver?.stop();
    this.computer.close();
  }

  /**
   * The study ends here with an attempt open: where the masked input has left, others may have agreed on a set with it
   * that this site never saw, so the offered set counts as released.
   */
  async settle(): Promise<void> {
    const open = sentAndUnsigned(this.ports.readRecords().records);
    if (open === null) return;
    await this.load(open.broadcastHash);
    const before = this.ports.readGuard();
    const guard = this.withOffered(before, open);
    if (guard !== before) this.ports.appendRecords([], guard);
  }

  onDisconnected(): void {
    this.connected = false;
    this.driver?.feed({ type: 'disconnected' });
  }

  async onMessage(message: CoordinatorMessage): Promise<void> {
    // The guard judges offers and sets by their declaration, so the broadcast is read before the reducer sees them.
    const needed = message.type === 'attemptOffer' ? message.broadcastHash : this.joined?.broadcastHash;
    const judged =
      message.type === 'attemptOffer' ||
      message.type === 'survivorsProposal' ||
      message.type === 'unmaskRequest' ||
      (message.type === 'attemptClosed' && message.outcome === 'total' && this.isUnsigned(message.context));
    if (judged && needed !== undefined && !(await this.readable(needed))) return;
    if (this.driver === null) this.early.push(message);
    else this.driver.feed({ type: 'message', message });
  }

  /** False where the broadcast could not be had: the coordinator offers again after the next connection. */
  private async readable(broadcastHash: string): Promise<boolean> {
    try {
      await this.load(broadcastHash);
      return true;
    } catch (error) {
      const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
      if (code.startsWith('WIRE_') && code !== 'WIRE_DOCUMENT_INVALID') return false;
      // What can be read and is wrong goes to the reducer, which refuses it with the code found here.
      if (this.rejected.size >= REJECTED_MAX) this.rejected.clear();
      this.rejected.set(broadcastHash, code);
      this.problem(code, error instanceof Error ? error.message : String(error));
      return true;
    }
  }

  /** What this site needs to score its own patients with the bundle; made of the last round's public results. It never leaves. */
  async localHarmonization(): Promise<LocalHarmonization | null> {
    const joined = this.ports.readRecords().records.findLast((record) => record.type === 'joined');
    if (joined === undefined) return null;
    const { document } = await this.load(joined.broadcastHash);
    return this.computer.localHarmonization(await this.upstream(document));
  }

  // Rounds -----------------------------------------------------------------------------------------------------------

  private async load(broadcastHash: string): Promise<LoadedRound> {
    const known = this.documents.get(broadcastHash);
    if (known !== undefined) return known;
    const document = decodeRoundDocument(await this.ports.fetchBlob(broadcastHash));
    const leaves = leavesOf(this.plan, SITE_COMPUTATIONS, document);
    for (const { kind, visibility, contributors } of leaves)
      if (visibility === 'site' && this.shownAsTotals.has(kind))
        throw new ConcordatError(
          'POLICY_VISIBILITY_REFUSED',
          `"${kind}" was approved as a sum over sites and is now asked over ${contributors.length}`,
        );
    const results = new Map([...(await this.upstream(document))].map(([name, { value }]) => [name, value]));
    const loaded = { document, leaves, results };
    // Only the newest two are ever asked for again.
    for (const old of [...this.documents.keys()].slice(0, -1)) this.documents.delete(old);
    this.documents.set(broadcastHash, loaded);
    return loaded;
  }

  private async contribute(
    task: ContributeTask,
  ): Promise<{ readonly words: Uint8Array } | { readonly refused: ErrorCode } | 'later'> {
    try {
      const expired = expiry(this.config.study, this.ports.nowMs());
      if (expired !== null) throw new ConcordatError('STUDY_EXPIRED', `nothing was released: ${expired}`);
      const { document, leaves } = await this.load(task.broadcastHash);
      if (document.instance !== task.computation || declarationHash(leaves) !== task.declarationHash)
        throw new ConcordatError(
          'POLICY_DECLARATION_MISMATCH',
          `round ${task.round} was announced with another declaration than this agent's own computation "${document.instance}" makes`,
        );
      this.ports.requireStaying();
      const { words, own } = await this.computer.contribute(document, await this.upstream(document));
      if (this.stopped) return 'later';
      // The withdrawal may have come while it was computed.
      this.ports.requireStaying();
      if (own.size > 0) this.ports.keepOwnValues(document.instance, document.iteration, own);
      return { words };
    } catch (error) {
      if (this.stopped) return 'later';
      // A line that broke is no refusal: that would end the study for everybody.
      if (error instanceof ConcordatError && isTransient(error)) return 'later';
      const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
      this.problem(code, error instanceof Error ? error.message : String(error));
      // Nor is a thread that ran out of memory: the next message tries again.
      return code === 'SITE_COMPUTATION_LOST' ? 'later' : { refused: code };
    }
  }

  private async mask(
    job: MaskJob,
    leaves: readonly TensorSpec[],
    words: Uint8Array,
    secret: Secret | null,
  ): Promise<Uint8Array> {
    try {
      return await this.computer.mask(job, leaves, words, secret);
    } catch (error) {
      if (error instanceof ConcordatError && error.code === 'SITE_COMPUTATION_LOST' && !this.stopped)
        this.ports.report({ kind: 'problem', code: error.code, message: error.message });
      throw error;
    }
  }

  private async upstream(document: RoundDocument): Promise<HashedResults> {
    const instances = this.plan.computations.map((planned) => planned.instance);
    const before = instances.slice(0, instances.indexOf(document.instance));
    if (Object.keys(document.upstream).sort().join('\n') !== [...before].sort().join('\n'))
      throw invalid('upstream', 'does not name the results of exactly the computations before');
    for (const [instance, hash] of Object.entries(document.upstream)) {
      const known = this.results.get(instance);
      if (known?.hash === hash) continue;
      // A result is made once: another one would be a second question to the same patients.
      if (known !== undefined) throw invalid('upstream', `names another result of ${instance} than before`);
      const value = decodeDocument(await this.ports.fetchBlob(hash));
      checkResultOf(this.plan, SITE_COMPUTATIONS, instance, value);
      this.results.set(instance, { hash, value });
    }
    return new Map(Object.keys(document.upstream).map((instance) => [instance, this.results.get(instance)!]));
  }

  private recordEgress(task: ContributeTask, sha256: string, bytes: number): void {
    const leaves = this.documents.get(task.broadcastHash)?.leaves ?? [];
    const { computation, round } = task;
    this.ports.recordEgress({ computation, round, leaves, patients: this.config.cohort.n, bytes, sha256 });
  }

  // The disclosure guard ---------------------------------------------------------------------------------------------

  /**
   * The guard after a restore: everything that the study could have released is taken as released, all kinds of totals over
   * all its sites. Under `wait` no other set is ever signed, so the guard is then at least as strict as before the loss. The
   * plan is judged as a whole, for nothing of it would be news to the guard afterwards.
   */
  private assumePlan(results: ReadonlyMap<string, unknown>): GuardDecision {
    const leaves = previewLeaves(this.plan).flatMap(({ rounds }) => rounds.flat());
    const before = this.ports.readGuard();
    const request = this.requestOf({ leaves, results }, studySites(this.config.study));
    const decision = guardDecision(before, request, this.config.guardRules);
    if (decision.ok && decision.state !== before) this.ports.appendRecords([], decision.state);
    return decision;
  }

  /** Throws SITE_RESTORED where this site cannot know what it would add to. */
  private requireHistory(): void {
    const { history, terms } = this.config;
    if (history === 'known') return;
    if (history === 'unknown' && (terms.onMissingSite === 'continue' || terms.mode === 'plain'))
      throw new ConcordatError(
        'SITE_RESTORED',
        'since the backup this site may have been in totals with other sites missing, and cannot know which',
      );
    const decision = this.assumePlan(new Map());
    if (!decision.ok)
      throw new ConcordatError('SITE_RESTORED', `the plan as a whole would not pass the guard: ${decision.message}`);
  }

  private decide(set: SurvivorSet): 'ok' | ErrorCode {
    const loaded = this.documents.get(set.broadcastHash);
    if (loaded === undefined) return this.rejected.get(set.broadcastHash) ?? 'POLICY_DECLARATION_MISMATCH';
    const { instance, iteration } = loaded.document;
    if (instance !== set.computation) return 'POLICY_DECLARATION_MISMATCH';
    const order = this.plan.computations.map((planned) => planned.instance);
    if (!isInOrder(order, this.rounds, { instance, iteration, round: set.round })) return 'POLICY_ROUND_OUT_OF_ORDER';
    // Who sits out is known by now: the same once more, without those who hide nobody.
    const assumed = this.config.history === 'known' ? null : this.assumePlan(loaded.results);
    if (assumed !== null && !assumed.ok) {
      this.problem(assumed.code, assumed.message);
      return assumed.code;
    }
    const request = this.requestOf(loaded, set.survivors);
    const decision = guardDecision(this.ports.readGuard(), request, this.config.guardRules);
    if (!decision.ok) {
      this.problem(decision.code, decision.message);
      return decision.code;
    }
    this.pendingGuard = decision.state;
    return 'ok';
  }

  private append(records: readonly ParticipantRecord[]): void {
    const before = this.ports.readGuard();
    let guard: GuardState | null = records.some((record) => record.type === 'signedSet') ? this.pendingGuard : null;
    for (const record of records) {
      // This site's input was in, and others agreed on a set without it (it was away): the offered set counts as released.
      // Under `wait` every attempt offers the same set, so there it counts however the attempt is said to have ended.
      const mayBeOut =
        record.type === 'closed' && (record.outcome === 'total' || this.config.terms.onMissingSite === 'wait');
      if (mayBeOut && this.isUnsigned(record.context)) guard = this.withOffered(guard ?? before, this.joined!);
      this.follow(record);
    }
    // A set that shows nothing new leaves the guard as it is, and its state need not be written again.
    this.ports.appendRecords(records, guard === before ? null : guard);
    if (guard !== null) this.pendingGuard = null;
  }

  private isUnsigned(context: string): boolean {
    return this.joined?.context === context && !this.joined.signed;
  }

  private follow(record: ParticipantRecord): void {
    if (record.type === 'joined') {
      const { context, computation, round, broadcastHash, sites } = record;
      this.joined = { context, broadcastHash, sites, signed: false };
      const known = this.rounds.get(computation);
      this.rounds.set(computation, {
        first: Math.min(known?.first ?? round, round),
        last: Math.max(known?.last ?? round, round),
      });
    }
    if (record.type === 'signedSet' && this.joined?.context === record.context) this.joined.signed = true;
  }

  private withOffered(
    guard: GuardState,
    offered: { readonly broadcastHash: string; readonly sites: readonly string[] },
  ): GuardState {
    const loaded = this.documents.get(offered.broadcastHash);
    if (loaded === undefined) return guard;
    return withRequest(guard, this.requestOf(loaded, offered.sites)).state;
  }

  private requestOf({ leaves, results }: Pick<LoadedRound, 'leaves' | 'results'>, sites: readonly string[]) {
    const counted = contributingSites(sites, results, this.config.site);
    return guardRequest(leaves, counted, guardScheme(this.config.study), this.plan.frame.cells);
  }
}

/** The open attempt whose masked input may have left while this site has signed no set of it, or null. */
export function sentAndUnsigned(
  records: readonly ParticipantRecord[],
): Extract<ParticipantRecord, { type: 'joined' }> | null {
  const open = records.findLast((record) => record.type === 'joined');
  if (open === undefined) return null;
  const has = (type: 'masked' | 'signedSet' | 'closed') =>
    records.some((record) => record.type === type && record.context === open.context);
  return has('masked') && !has('signedSet') && !has('closed') ? open : null;
}
