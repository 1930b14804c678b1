import type { LocalHarmonization } from '../../harmonization/harmonized.site.js';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import type { CoordinatorMessage } from '../../shared/messages.js';
import { type Plan, planStudy } from '../../shared/plan.js';
import { declarationHash } from '../../shared/secagg/context.js';
import type { Secret } from '../../shared/secret.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { isTransient } from '../../shared/wire/status.js';
import type { MaskJob, ParticipantReport } from '../participant-types.js';
import type { SiteComputer } from './computer.js';
import { expiry } from './decide.js';
import { type ContributeTask, ParticipantDriver } from './participant-driver.js';
import type { SiteStudyConfig, SiteStudyPorts } from './site-study-ports.js';
import { StudyBroadcasts } from './study-broadcasts.js';
import { StudyGuard } from './study-guard.js';

/** One running study at a site: joins the participant reducer, the computations and the release gate. */
export class SiteStudy {
  private readonly plan: Plan;
  private readonly broadcasts: StudyBroadcasts;
  private readonly guard: StudyGuard;
  private driver: ParticipantDriver | null = null;
  private readonly computer: SiteComputer;
  private stopped = false;
  /** What the computing thread was given last. */
  private task: Pick<ContributeTask, 'computation' | 'round'> | null = null;
  private connected = false;
  /** Code of a problem that was reported and will be told to the coordinator as a refusal next. */
  private explained: ErrorCode | null = null;
  private readonly early: CoordinatorMessage[] = [];

  constructor(
    private readonly config: SiteStudyConfig,
    private readonly ports: SiteStudyPorts,
  ) {
    this.plan = planStudy(config.study);
    this.broadcasts = new StudyBroadcasts(this.plan, (hash) => ports.fetchBlob(hash), ports);
    this.guard = new StudyGuard(config, ports, this.plan, this.broadcasts, (code, message) =>
      this.problem(code, message),
    );
    const { site, study, cohort, terms } = config;
    const { release } = ports;
    this.computer = ports.computer({ site, study, cohort, release, siteCount: terms.roster.sites.length }, (workMs) =>
      this.worked(workMs),
    );
  }

  /** Takes up what the records say. The broadcast of an open attempt is read first: its declaration is needed at once. */
  async start(): Promise<void> {
    const { records } = this.ports.readRecords();
    for (const record of records) this.guard.follow(record);
    this.guard.requireHistory();
    // A broadcast that cannot be had now is fetched again when a message needs it.
    const open = this.guard.joinedBroadcast;
    if (open !== undefined) await this.broadcasts.load(open).catch(() => undefined);
    const { site, terms, signingKey, boxKey, restored } = this.config;
    this.driver = new ParticipantDriver(
      { site, terms, signingKey, boxKey, guard: (set) => this.guard.decide(set) },
      {
        ...this.ports,
        append: (appended) => this.guard.append(appended),
        upload: (hash, fresh) => this.ports.uploadBlob(hash, fresh),
        leaves: async (hash) => (await this.broadcasts.load(hash)).leaves,
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
    this.driver?.end();
    this.computer.close();
  }

  /** The study ends here: what an open attempt may have released counts as released. */
  settle(): Promise<void> {
    return this.guard.settle();
  }

  onDisconnected(): void {
    this.connected = false;
    this.driver?.feed({ type: 'disconnected' });
  }

  async onMessage(message: CoordinatorMessage): Promise<void> {
    // The guard judges offers and sets by their declaration, so the broadcast is read before the reducer sees them.
    const needed = message.type === 'attemptOffer' ? message.broadcastHash : this.guard.joinedBroadcast;
    const judged =
      message.type === 'attemptOffer' ||
      message.type === 'survivorsProposal' ||
      message.type === 'unmaskRequest' ||
      (message.type === 'attemptClosed' && message.outcome === 'total' && this.guard.isUnsigned(message.context));
    if (judged && needed !== undefined && !(await this.readable(needed))) return;
    if (this.driver === null) this.early.push(message);
    else this.driver.feed({ type: 'message', message });
  }

  /** False where the broadcast could not be had: the coordinator offers again after the next connection. */
  private async readable(broadcastHash: string): Promise<boolean> {
    try {
      await this.broadcasts.load(broadcastHash);
      return true;
    } catch (error) {
      const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
      if (code.startsWith('WIRE_') && code !== 'WIRE_DOCUMENT_INVALID') return false;
      // What can be read and is wrong goes to the reducer, which refuses it with the code found here.
      this.broadcasts.reject(broadcastHash, code);
      this.problem(code, error instanceof Error ? error.message : String(error));
      return true;
    }
  }

  /** What this site needs to score its own patients with the bundle; made of the last round's public results. It never leaves. */
  async localHarmonization(): Promise<LocalHarmonization | null> {
    const joined = this.ports.readRecords().records.findLast((record) => record.type === 'joined');
    if (joined === undefined) return null;
    const { document } = await this.broadcasts.load(joined.broadcastHash);
    return this.computer.localHarmonization(await this.broadcasts.upstream(document));
  }

  // Rounds -----------------------------------------------------------------------------------------------------------

  private async contribute(
    task: ContributeTask,
  ): Promise<{ readonly words: Uint8Array } | { readonly refused: ErrorCode } | 'later'> {
    this.task = task;
    try {
      const expired = expiry(this.config.study, this.ports.nowMs());
      if (expired !== null) throw new ConcordatError('STUDY_EXPIRED', `nothing was released: ${expired}`);
      const { document, leaves } = await this.broadcasts.load(task.broadcastHash);
      if (document.instance !== task.computation || declarationHash(leaves) !== task.declarationHash)
        throw new ConcordatError(
          'POLICY_DECLARATION_MISMATCH',
          `round ${task.round} was announced with another declaration than this agent's own computation "${document.instance}" makes`,
        );
      this.ports.requireStaying();
      const { words, own } = await this.computer.contribute(document, await this.broadcasts.upstream(document));
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

  /** So that the coordinator can tell a site that computes for long from one that stands still. */
  private worked(workMs: number): void {
    if (this.stopped || !this.connected || this.task === null) return;
    const { computation, round } = this.task;
    const { studyHash } = this.config.terms.roster;
    this.ports.send({ type: 'taskProgress', studyHash, computation, round, message: '', workMs });
  }

  private async mask(
    job: MaskJob,
    leaves: readonly TensorSpec[],
    words: Uint8Array,
    secret: Secret | null,
  ): Promise<Uint8Array> {
    this.task = job;
    try {
      return await this.computer.mask(job, leaves, words, secret);
    } catch (error) {
      if (error instanceof ConcordatError && error.code === 'SITE_COMPUTATION_LOST' && !this.stopped)
        this.ports.report({ kind: 'problem', code: error.code, message: error.message });
      throw error;
    }
  }

  private recordEgress(task: ContributeTask, sha256: string, bytes: number): void {
    const leaves = this.broadcasts.loaded(task.broadcastHash)?.leaves ?? [];
    const { computation, round } = task;
    this.ports.recordEgress({ computation, round, leaves, patients: this.config.cohort.n, bytes, sha256 });
  }
}
