import { ConcordatError } from '../../shared/errors.js';
import { contributionBytes } from '../../shared/fixed-point.js';
import { LIMITS } from '../../shared/limits.js';
import type { CoordinatorMessage, SiteMessage } from '../../shared/messages.js';
import { planStudy } from '../../shared/plan.js';
import { decodeRoundDocument, encodeRoundDocument } from '../../shared/round-document.js';
import { declarationHash } from '../../shared/secagg/context.js';
import { endsAtMs, type Study, studySites } from '../../shared/study.js';
import type {
  Approval,
  Ratification,
  StudyCoordinatorMessage,
  TaskProgress,
  TranscriptRequest,
} from '../../shared/study-messages.js';
import { COORDINATOR_COMPUTATIONS } from '../computations.js';
import { isDamage, mendTotal } from '../mended-total.js';
import { recover } from '../round-state.js';
import type { RoundConfig, RoundRecord, RoundReport } from '../round-types.js';
import { isClosed, proposedStudy, type StudyEffect, type StudyEvent, type StudyState, studyStep } from '../study.js';
import { StudyBlobs } from '../study-blobs.js';
import type { BundleFiles, LoggedEvent, StudyHostPorts } from '../study-host-types.js';
import { advanceRun, type StudyRun, startRun } from '../study-run.js';
import { Transcript } from '../transcript.js';
import { RoundDriver } from './round-driver.js';

/** One study at the coordinator: joins the life reducer, the run and the round driver to log, blobs and messages. */
export class StudyHost {
  private state: StudyState;
  private run: StudyRun | null = null;
  private driver: RoundDriver | null = null;
  private roundRecords: RoundRecord[] = [];
  private readonly approvals: Approval[] = [];
  private readonly ratifications: Ratification[] = [];
  private readonly transcript: Transcript;
  readonly blobs: StudyBlobs;
  private bundle: BundleFiles | null = null;
  private bundleBlobs: readonly { readonly path: string; readonly blobHash: string }[] | null = null;

  constructor(
    readonly study: Study,
    readonly studyHash: string,
    readonly rosterVersion: number,
    private readonly documentBlob: string,
    private readonly ports: StudyHostPorts,
  ) {
    this.state = proposedStudy(study, studyHash, rosterVersion);
    this.transcript = new Transcript(studyHash);
    this.blobs = new StudyBlobs(documentBlob, ports, () => this.driver);
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
      this.transcript.record(entry);
      if (entry.type === 'study') {
        if (entry.approval !== undefined && entry.approval.decision !== 'withdrawn')
          this.approvals.push(entry.approval);
        if (entry.ratification !== undefined) this.ratifications.push(entry.ratification);
        const [state] = studyStep(this.state, entry.event);
        this.state = state;
      } else if (entry.type === 'round') {
        if (entry.record.type === 'total')
          this.state = studyStep(this.state, { type: 'roundTotal', round: this.state.rounds + 1 })[0];
      }
    }
    // Of a study that has ended nothing is computed again: what made it fail must not stop the next start.
    if (isClosed(this.state)) {
      if (this.state.phase === 'published') this.serveLastRound(events);
      return;
    }
    let failure: string | null = null;
    for (const entry of events) {
      if (entry.type !== 'round') continue;
      this.roundRecords.push(entry.record);
      if (entry.record.type === 'roundOpened') this.blobs.publish(entry.record.broadcastHash);
      if (entry.record.type !== 'total') continue;
      try {
        this.replayTotal(entry.record);
      } catch (error) {
        // Ending the study would be for good; the file may be put back, and the next start goes on.
        if (isDamage(error)) return this.ports.trouble(this.damagedTotal(entry.record, error));
        failure = reasonOf(error);
        break;
      }
    }
    if (failure !== null) this.step({ type: 'failure', reason: failure });
    else if (this.state.phase === 'approved' || this.state.phase === 'running') this.continueRun();
    else if (this.state.phase === 'validated' || this.state.phase === 'ratified') await this.restoreBundle();
  }

  /** A site that was away at the end makes its own scoring file of the last round's public results when it is back. */
  private serveLastRound(events: readonly LoggedEvent[]): void {
    for (const entry of events.toReversed()) {
      if (entry.type !== 'round' || entry.record.type !== 'roundOpened') continue;
      const { broadcastHash } = entry.record;
      const { upstream } = decodeRoundDocument(this.ports.getBlob(broadcastHash));
      for (const hash of [broadcastHash, ...Object.values(upstream)]) this.blobs.publish(hash);
      return;
    }
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

  /** A masked input counts only with its blob here, whole: a record of one that is not would stop every later replay. */
  onRoundMessage(site: string, message: SiteMessage): void {
    if (message.type === 'maskedInput' && this.ports.blobSize(message.blobHash) !== message.byteLength)
      throw new ConcordatError(
        'SECAGG_LENGTH_MISMATCH',
        `the masked input that site ${site} announces has not arrived, or with another length`,
      );
    this.driver?.feed({ type: 'message', site, message, nowMs: this.ports.nowMs() });
  }

  onTaskProgress(site: string, { workMs }: TaskProgress): void {
    this.driver?.feed({ type: 'progress', site, of: 'work', amount: workMs, nowMs: this.ports.nowMs() });
  }

  /** Of the masked input that is awaited from this site; any other blob is none of the round's. */
  onUploadProgress(site: string, hash: string, bytes: number): void {
    if (this.blobs.isAnnounced(site, hash))
      this.driver?.feed({ type: 'progress', site, of: 'upload', amount: bytes, nowMs: this.ports.nowMs() });
  }

  /** The decision's signature has been checked against the roster. A repeated one changes nothing. */
  onApproval(approval: Approval): void {
    if (approval.decision === 'withdrawn') {
      const { site, reason } = approval;
      if (!isClosed(this.state)) this.step({ type: 'withdrawal', site, reason }, { approval });
      return;
    }
    if (this.approvals.some((known) => known.site === approval.site) || this.state.phase !== 'proposed') return;
    const event: StudyEvent =
      approval.decision === 'approved'
        ? { type: 'approval', site: approval.site, boxPublicKey: Buffer.from(approval.boxPublicKey).toString('hex') }
        : { type: 'decline', site: approval.site, reason: approval.reason };
    this.step(event, { approval });
  }

  /** The ratification's signature has been checked against the roster and this study's bundle. */
  onRatification(ratification: Ratification): void {
    if (this.ratifications.some((known) => known.site === ratification.site)) return;
    const { site, verdict, reason } = ratification;
    this.step({ type: 'ratification', site, verdict, reason }, { ratification });
  }

  onTranscriptRequest(site: string, request: TranscriptRequest): void {
    this.ports.send(site, this.transcript.proof(site, request));
  }

  abort(reason: string): void {
    if (!isClosed(this.state)) this.step({ type: 'abort', reason });
  }

  /** Ends a study that is not validated when its last day is over. */
  checkExpiry(nowMs: number): void {
    const endMs = endsAtMs(this.study);
    if (endMs === null || nowMs < endMs || !['proposed', 'approved', 'running'].includes(this.state.phase)) return;
    this.step({ type: 'failure', reason: `STUDY_EXPIRED: the study's last day was ${this.study.until}` });
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
    const logged = { type: 'study' as const, event, ...signed };
    this.ports.append([logged]);
    this.transcript.record(logged);
    if (signed.approval !== undefined && signed.approval.decision !== 'withdrawn') this.approvals.push(signed.approval);
    if (signed.ratification !== undefined) this.ratifications.push(signed.ratification);
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
        return this.ports.summary(this.state, this.bundle?.files ?? null, this.ratifications, effect.reason);
      case 'tellClosed':
        try {
          this.driver?.feed({ type: 'abandon', nowMs: this.ports.nowMs() });
        } finally {
          this.eachConnected((site) => this.ports.send(site, this.closedMessage()));
          // What is kept of a published study is in the registry by now.
          if (this.study.transcript?.retain === true)
            for (const hash of this.transcript.addedInputs) this.ports.deleteBlob(hash);
        }
        return;
    }
  }

  private closedMessage(): StudyCoordinatorMessage {
    const phase = this.state.phase as 'published' | 'declined' | 'failed' | 'withdrawn';
    return {
      type: 'studyClosed',
      studyHash: this.studyHash,
      phase,
      // The wire refuses longer ones, and a refused message would end every new connection of the site.
      reason: (this.state.reason ?? 'published at quorum').slice(0, LIMITS.reasonCharactersMax),
    };
  }

  private eachConnected(act: (site: string) => void): void {
    for (const site of studySites(this.study)) if (this.ports.isConnected(site)) act(site);
  }

  // Rounds -----------------------------------------------------------------------------------------------------------

  /** Starts the run or takes it up: the driver gets the records so far and either resumes a round or opens the next. */
  private continueRun(): void {
    try {
      this.run ??= startRun(planStudy(this.study), COORDINATOR_COMPUTATIONS);
    } catch (error) {
      this.step({ type: 'failure', reason: reasonOf(error) });
      return;
    }
    const config: RoundConfig = {
      terms: this.ports.terms(this.study, this.studyHash, this.approvals),
      // Under `wait` silence alone never drops a site that is still connected: only a very long one asks again.
      exchangeTimeoutMs: this.study.onMissingSite === 'wait' ? 600_000 : 30_000,
    };
    // Sites may still be fetching results that were named before a restart.
    for (const [instance, result] of this.run.results) this.blobs.result(instance, result);
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
    for (const [instance, result] of this.run!.results) upstream[instance] = this.blobs.result(instance, result);
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
      broadcastHash: this.blobs.putPublic(broadcast),
      declarationHash: declarationHash(request.leaves),
      contributionBytes: contributionBytes(request.leaves),
    };
    this.driver!.open(opening, request.leaves);
  }

  private driverPorts() {
    const { ports } = this;
    return {
      append: (records: readonly RoundRecord[]) => {
        ports.append(records.map((record) => ({ type: 'round', record })));
        for (const record of records) this.transcript.record({ type: 'round', record });
      },
      putBlob: (bytes: Uint8Array) => ports.putBlob(bytes),
      getBlob: (hash: string, into?: Uint8Array) => ports.getBlob(hash, into),
      deleteBlob: (hash: string) => {
        // A site may name what all are served as its masked input, where the length fits.
        if (this.blobs.serves(hash)) return;
        if (this.study.transcript?.retain !== true || !this.transcript.addedInputs.has(hash)) ports.deleteBlob(hash);
      },
      send: (site: string, message: CoordinatorMessage) => ports.send(site, message),
      setTimer: (atMs: number) => ports.setTimer(atMs, () => this.driver?.feed({ type: 'tick', nowMs: ports.nowMs() })),
      soon: (run: () => void) => ports.soon(run),
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
      this.step({ type: 'failure', reason: reasonOf(error) });
      return;
    }
    if (this.run.request === null) void this.finish();
    else this.openRound();
  }

  private replayTotal(record: Extract<RoundRecord, { type: 'total' }>): void {
    this.run ??= startRun(planStudy(this.study), COORDINATOR_COMPUTATIONS);
    const { leaves } = this.run.request!;
    let total: Parameters<typeof advanceRun>[2];
    try {
      total = RoundDriver.readTotal(leaves, record, this.ports);
    } catch (error) {
      if (!isDamage(error)) throw error;
      const { attempt } = recover(this.roundRecords.slice(0, -1));
      const terms = this.ports.terms(this.study, this.studyHash, this.approvals);
      if (attempt === null || !mendTotal(terms, leaves, attempt, record, this.ports)) throw error;
      total = RoundDriver.readTotal(leaves, record, this.ports);
    }
    this.run = advanceRun(this.run, COORDINATOR_COMPUTATIONS, total);
  }

  private damagedTotal({ totalHash }: Extract<RoundRecord, { type: 'total' }>, cause: unknown): ConcordatError {
    const file = `blobs/${totalHash.slice(0, 2)}/${totalHash}`;
    return new ConcordatError('STORE_DAMAGED', `the study waits: its total ${file} is damaged or gone`, {
      hint: 'Put that one file back from a backup and start the coordinator again; where there is none, abort the study and propose it anew.',
      cause,
    });
  }

  /** A bundle that cannot be made ends the study with the reason; it must not end the process, now or at every start. */
  private async finish(): Promise<void> {
    try {
      const made = await this.ports.assemble(this.run!, this.state, this.transcript.head);
      // Aborted meanwhile.
      if (isClosed(this.state)) return;
      this.bundle = made;
      this.step({ type: 'finished', bundleDigest: made.bundleDigest, unmet: made.unmet });
    } catch (error) {
      try {
        if (this.state.phase === 'running') this.step({ type: 'failure', reason: reasonOf(error) });
        else throw error;
      } catch (worse) {
        this.ports.trouble(worse);
      }
    }
  }

  private async restoreBundle(): Promise<void> {
    this.bundle = await this.ports.assemble(this.run!, this.state, this.transcript.head);
    if (this.bundle.bundleDigest !== this.state.bundleDigest)
      throw new ConcordatError(
        'BUNDLE_CHANGED',
        'this program makes another bundle of the logged totals than the one whose digest was logged',
      );
    if (this.state.phase === 'ratified') {
      this.ports.publish(this.state, this.bundle.files, this.ratifications);
      this.step({ type: 'publication' });
    } else this.eachConnected((site) => this.requestRatification(site));
  }

  private requestRatification(site: string): void {
    if (this.bundle === null || this.ratifications.some((known) => known.site === site)) return;
    this.bundleBlobs ??= [...this.bundle.files].map(([path, bytes]) => ({
      path,
      blobHash: this.blobs.putPublic(bytes),
    }));
    this.ports.send(site, {
      type: 'ratificationRequest',
      studyHash: this.studyHash,
      rosterVersion: this.rosterVersion,
      bundleDigest: this.bundle.bundleDigest,
      transcriptHead: this.transcript.head,
      files: this.bundleBlobs,
    });
  }
}

/** What sites and `study status` are told: the code first, so that it can be looked up. */
function reasonOf(error: unknown): string {
  if (error instanceof ConcordatError) return `${error.code}: ${error.message}`;
  return `INTERNAL_BUG: ${error instanceof Error ? error.message : String(error)}`;
}
