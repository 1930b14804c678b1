import { encodeDocument } from '../../shared/document.js';
import { contributionBytes } from '../../shared/fixed-point.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { planStudy } from '../../shared/plan.js';
import { encodeRoundDocument } from '../../shared/round-document.js';
import { declarationHash } from '../../shared/secagg/context.js';
import { type Study, studySites } from '../../shared/study.js';
import type { Approval, Ratification, StudyCoordinatorMessage } from '../../shared/study-messages.js';
import { COORDINATOR_COMPUTATIONS } from '../computations.js';
import type { RoundConfig, RoundRecord, RoundReport } from '../round-types.js';
import { isClosed, proposedStudy, type StudyEffect, type StudyEvent, type StudyState, studyStep } from '../study.js';
import { advanceRun, type StudyRun, startRun } from '../study-run.js';
import { TranscriptHead } from '../transcript.js';
import { RoundDriver } from './round-driver.js';

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
  getBlob(hash: string): Uint8Array;
  deleteBlob(hash: string): void;
  send(site: string, message: CoordinatorMessage | StudyCoordinatorMessage): void;
  isConnected(site: string): boolean;
  setTimer(atMs: number, fire: () => void): void;
  nowMs(): number;
  /** Terms of the rounds once every box key is known. */
  terms(study: Study, studyHash: string, approvals: readonly Approval[]): RoundTerms;
  /** Assembles result, model, card and roster into a bundle. Same input, same bytes. */
  assemble(run: StudyRun, state: StudyState, transcriptHead: string): Promise<BundleFiles>;
  publish(state: StudyState, files: ReadonlyMap<string, Uint8Array>, ratifications: readonly Ratification[]): void;
  summary(state: StudyState, files: ReadonlyMap<string, Uint8Array> | null, reason: string): void;
  progress(message: HostProgress): void;
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

/** One study at the coordinator: joins the life reducer, the run and the round driver to log, blobs and messages. */
export class StudyHost {
  private state: StudyState;
  private run: StudyRun | null = null;
  private driver: RoundDriver | null = null;
  private roundRecords: RoundRecord[] = [];
  private readonly approvals: Approval[] = [];
  private readonly ratifications: Ratification[] = [];
  private readonly transcript = new TranscriptHead();
  private readonly resultBlobs = new Map<string, string>();
  private bundle: BundleFiles | null = null;

  constructor(
    readonly study: Study,
    readonly studyHash: string,
    readonly rosterVersion: number,
    private readonly documentBlob: string,
    private readonly ports: StudyHostPorts,
  ) {
    this.state = proposedStudy(study, studyHash, rosterVersion);
  }

  get current(): StudyState {
    return this.state;
  }

  get currentRun(): StudyRun | null {
    return this.run;
  }

  /** Rebuilds everything from the log, then goes on where it ends. Call once, before any message. */
  async resume(events: readonly LoggedEvent[]): Promise<void> {
    for (const entry of events) {
      if (entry.type === 'study') {
        if (entry.approval !== undefined) this.approvals.push(entry.approval);
        if (entry.ratification !== undefined) this.ratifications.push(entry.ratification);
        const [state] = studyStep(this.state, entry.event);
        this.state = state;
      } else if (entry.type === 'round') this.replayRecord(entry.record);
    }
    if (isClosed(this.state)) return;
    if (this.state.phase === 'approved' || this.state.phase === 'running') this.continueRun();
    else if (this.state.phase === 'validated' || this.state.phase === 'ratified') await this.restoreBundle();
  }

  // Messages ---------------------------------------------------------------------------------------------------------

  onConnected(site: string): void {
    if (isClosed(this.state)) {
      this.ports.send(site, this.closedMessage());
      return;
    }
    this.ports.send(site, {
      type: 'studyProposed',
      studyHash: this.studyHash,
      rosterVersion: this.rosterVersion,
      documentBlob: this.documentBlob,
    });
    if (this.driver !== null) {
      this.ports.send(site, { type: 'studyStarted', studyHash: this.studyHash, approvals: this.approvals });
      this.driver.feed({ type: 'connected', site, nowMs: this.ports.nowMs() });
    }
    if (this.state.phase === 'validated') this.requestRatification(site);
  }

  onDisconnected(site: string): void {
    this.driver?.feed({ type: 'disconnected', site, nowMs: this.ports.nowMs() });
  }

  onRoundMessage(site: string, message: SiteMessage): void {
    this.driver?.feed({ type: 'message', site, message, nowMs: this.ports.nowMs() });
  }

  /** The approval's signature has been checked against the roster. A repeated one changes nothing. */
  onApproval(approval: Approval): void {
    if (this.approvals.some((known) => known.site === approval.site) || this.state.phase !== 'proposed') return;
    this.approvals.push(approval);
    const event: StudyEvent =
      approval.decision === 'approved'
        ? { type: 'approval', site: approval.site, boxPublicKey: Buffer.from(approval.boxPublicKey).toString('hex') }
        : { type: 'decline', site: approval.site, reason: approval.reason };
    this.step(event, { approval });
  }

  /** The ratification's signature has been checked against the roster and this study's bundle. */
  onRatification(ratification: Ratification): void {
    if (this.ratifications.some((known) => known.site === ratification.site)) return;
    this.ratifications.push(ratification);
    const { site, verdict, reason } = ratification;
    this.step({ type: 'ratification', site, verdict, reason }, { ratification });
  }

  abort(reason: string): void {
    if (!isClosed(this.state)) this.step({ type: 'abort', reason });
  }

  get bundleDigest(): string | null {
    return this.state.bundleDigest;
  }

  get transcriptHead(): string {
    return this.transcript.head;
  }

  // Life -------------------------------------------------------------------------------------------------------------

  private step(event: StudyEvent, signed: { approval?: Approval; ratification?: Ratification } = {}): void {
    const [next, effects] = studyStep(this.state, event);
    this.ports.append([{ type: 'study', event, ...signed }]);
    const moved = next.phase !== this.state.phase;
    this.state = next;
    if (moved)
      this.ports.progress({ kind: 'phase', studyHash: this.studyHash, phase: next.phase, reason: next.reason ?? '' });
    for (const effect of effects) this.carryOut(effect);
  }

  private carryOut(effect: StudyEffect): void {
    switch (effect.type) {
      case 'run':
        return this.continueRun();
      case 'requestRatification':
        return this.eachConnected((site) => this.requestRatification(site));
      case 'publish':
        this.ports.publish(this.state, this.bundle!.files, this.ratifications);
        return this.step({ type: 'publication' });
      case 'registerSummary':
        return this.ports.summary(this.state, this.bundle?.files ?? null, effect.reason);
      case 'tellClosed':
        this.driver?.feed({ type: 'abandon', nowMs: this.ports.nowMs() });
        return this.eachConnected((site) => this.ports.send(site, this.closedMessage()));
    }
  }

  private closedMessage(): StudyCoordinatorMessage {
    const phase = this.state.phase as 'published' | 'declined' | 'failed' | 'withdrawn';
    return {
      type: 'studyClosed',
      studyHash: this.studyHash,
      phase,
      reason: this.state.reason ?? 'published at quorum',
    };
  }

  private eachConnected(act: (site: string) => void): void {
    for (const site of studySites(this.study)) if (this.ports.isConnected(site)) act(site);
  }

  // Rounds -----------------------------------------------------------------------------------------------------------

  /** Starts the run or takes it up: the driver gets the records so far and either resumes a round or opens the next. */
  private continueRun(): void {
    this.run ??= startRun(planStudy(this.study), COORDINATOR_COMPUTATIONS);
    const config: RoundConfig = {
      terms: this.ports.terms(this.study, this.studyHash, this.approvals),
      // Under `wait` silence alone never drops a site that is still connected: only a very long one asks again.
      exchangeTimeoutMs: this.study.onMissingSite === 'wait' ? 600_000 : 30_000,
    };
    const request = this.run.request;
    const opened = this.roundRecords.some((record) => record.type === 'roundOpened' && record.round === request?.round);
    this.driver = new RoundDriver(config, this.driverPorts(), this.roundRecords);
    this.roundRecords = [];
    this.eachConnected((site) => {
      this.ports.send(site, { type: 'studyStarted', studyHash: this.studyHash, approvals: this.approvals });
      this.driver!.feed({ type: 'connected', site, nowMs: this.ports.nowMs() });
    });
    if (request === null) void this.finish();
    else if (opened) this.driver.resume(request.leaves);
    else this.openRound();
  }

  private openRound(): void {
    const request = this.run!.request!;
    const upstream: Record<string, string> = {};
    for (const [instance, result] of this.run!.results) upstream[instance] = this.resultBlob(instance, result);
    const broadcast = encodeRoundDocument({
      instance: request.instance,
      iteration: request.iteration,
      broadcast: request.broadcast,
      upstream,
    });
    this.ports.progress({
      kind: 'round',
      studyHash: this.studyHash,
      computation: request.instance,
      round: request.round,
      iteration: request.iteration,
    });
    const opening = {
      computation: request.instance,
      round: request.round,
      broadcastHash: this.ports.putBlob(broadcast),
      declarationHash: declarationHash(request.leaves),
      contributionBytes: contributionBytes(request.leaves),
    };
    this.driver!.open(opening, request.leaves);
  }

  private resultBlob(instance: string, result: unknown): string {
    let hash = this.resultBlobs.get(instance);
    if (hash === undefined) {
      hash = this.ports.putBlob(encodeDocument(result));
      this.resultBlobs.set(instance, hash);
    }
    return hash;
  }

  private driverPorts() {
    const { ports } = this;
    return {
      append: (records: readonly RoundRecord[]) => {
        ports.append(records.map((record) => ({ type: 'round', record })));
        for (const record of records) this.transcript.record(record);
      },
      putBlob: (bytes: Uint8Array) => ports.putBlob(bytes),
      getBlob: (hash: string) => ports.getBlob(hash),
      deleteBlob: (hash: string) => ports.deleteBlob(hash),
      send: (site: string, message: CoordinatorMessage) => ports.send(site, message),
      setTimer: (atMs: number) => ports.setTimer(atMs, () => this.driver?.feed({ type: 'tick', nowMs: ports.nowMs() })),
      nowMs: () => ports.nowMs(),
      done: (round: number, _attempt: number, total: Parameters<typeof advanceRun>[2]) => {
        this.countRound(round);
        this.advance(total);
      },
      failed: (code: string, message: string) => this.step({ type: 'failure', reason: `${code}: ${message}` }),
      report: (report: RoundReport) => ports.progress({ kind: 'round-report', studyHash: this.studyHash, report }),
    };
  }

  /** The round's own `total` record is its log entry, so a crash cannot fall between the two. */
  private countRound(round: number): void {
    const before = this.state.phase;
    const [state] = studyStep(this.state, { type: 'roundTotal', round });
    this.state = state;
    if (before !== state.phase)
      this.ports.progress({ kind: 'phase', studyHash: this.studyHash, phase: state.phase, reason: '' });
  }

  private advance(total: Parameters<typeof advanceRun>[2]): void {
    try {
      this.run = advanceRun(this.run!, COORDINATOR_COMPUTATIONS, total);
    } catch (error) {
      this.step({ type: 'failure', reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    if (this.run.request === null) void this.finish();
    else this.openRound();
  }

  private replayRecord(record: RoundRecord): void {
    this.roundRecords.push(record);
    this.transcript.record(record);
    if (record.type !== 'total') return;
    this.run ??= startRun(planStudy(this.study), COORDINATOR_COMPUTATIONS);
    const [state] = studyStep(this.state, { type: 'roundTotal', round: this.run.request!.round });
    this.state = state;
    this.run = advanceRun(
      this.run,
      COORDINATOR_COMPUTATIONS,
      RoundDriver.readTotal(this.run.request!.leaves, record, this.ports),
    );
  }

  private async finish(): Promise<void> {
    this.bundle = await this.ports.assemble(this.run!, this.state, this.transcript.head);
    const { bundleDigest, unmet } = this.bundle;
    this.step({ type: 'finished', bundleDigest, unmet });
  }

  private async restoreBundle(): Promise<void> {
    this.bundle = await this.ports.assemble(this.run!, this.state, this.transcript.head);
    if (this.state.phase === 'ratified') {
      this.ports.publish(this.state, this.bundle.files, this.ratifications);
      this.step({ type: 'publication' });
    } else this.eachConnected((site) => this.requestRatification(site));
  }

  private requestRatification(site: string): void {
    if (this.bundle === null || this.ratifications.some((known) => known.site === site)) return;
    const files = [...this.bundle.files].map(([path, bytes]) => ({ path, blobHash: this.ports.putBlob(bytes) }));
    this.ports.send(site, {
      type: 'ratificationRequest',
      studyHash: this.studyHash,
      rosterVersion: this.rosterVersion,
      bundleDigest: this.bundle.bundleDigest,
      transcriptHead: this.transcript.head,
      files,
    });
  }
}
