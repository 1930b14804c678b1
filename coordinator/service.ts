import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { encodeDocument } from '../shared/document.js';
import type { SignedLedgerHead } from '../shared/egress-ledger.js';
import { ConcordatError } from '../shared/errors.js';
import { fromHex } from '../shared/hex.js';
import { findMember, type Roster, rosterHash } from '../shared/roster.js';
import type { EventStore, PartialBlobStore } from '../shared/stores.js';
import { endsAtMs, type Study, studySites } from '../shared/study.js';
import { disclosiveModels } from '../shared/study-check.js';
import type { Approval, Ratification } from '../shared/study-messages.js';
import { approvalIsSigned, ratificationIsSigned, readStudyDocument } from '../shared/study-signatures.js';
import type { FromSite, ToSite } from '../shared/wire/types.js';
import { blobsNamed } from './blob-names.js';
import { LedgerHeads } from './ledger-heads.js';
import { decodeLedgerEvent, decodeLoggedEvent } from './logged-events.js';
import { registerStudy } from './shell/registration.js';
import { StudyHost } from './shell/study-host.js';
import { isClosed, type StudyState } from './study.js';
import type { BundleFiles, HostProgress, LoggedEvent } from './study-host-types.js';
import type { StudyRun } from './study-run.js';
import { termsOf } from './terms.js';

/** The stores and links the service is composed of; cli/ puts the real ones together. */
export interface ServicePorts {
  readonly folder: string;
  readonly events: EventStore;
  readonly blobs: PartialBlobStore;
  /** Newest roster, or null before the consortium signed one; with the whole chain as the sites check it. */
  roster(): { readonly roster: Roster; readonly chain: Uint8Array } | null;
  /** Signs as the transport authority that every site pinned. */
  sign(bytes: Uint8Array): Uint8Array;
  /** Takes up a roster that was signed just now. */
  lookForRoster(): void;
  rosterOfVersion(version: number): Roster;
  send(site: string, message: ToSite): void;
  isConnected(site: string): boolean;
  nowMs(): number;
  assemble(run: StudyRun, study: Study, roster: Roster, transcriptHead: string): Promise<BundleFiles>;
  progress(message: HostProgress | ServiceProgress): void;
}

export type ServiceProgress =
  | { readonly kind: 'site'; readonly site: string; readonly connected: boolean }
  | { readonly kind: 'refused'; readonly what: string; readonly code: string; readonly message: string }
  | { readonly kind: 'published'; readonly studyHash: string; readonly folder: string }
  /** Blobs that nothing needs were deleted: uploads that ended before anything was recorded of them, mostly. */
  | { readonly kind: 'collected'; readonly blobs: number };

/** How long what nobody waits for may wait for company on its way to the disk. */
const SOON_MS = 20;

/** All studies of one coordinator. It routes messages to hosts and takes requests from the inbox folder; it decides nothing. */
export class CoordinatorService {
  private readonly hosts = new Map<string, StudyHost>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private poll: NodeJS.Timeout | undefined;
  private rosterVersionSent = 0;
  private readonly ledgers: LedgerHeads;
  /** Hashes of the blobs that events of the log name. */
  private readonly named = new Set<string>();
  /** Whether `named` is all of it: a study whose events cannot be read may name any blob. */
  private namesAll = true;
  private closedStudies = 0;
  /** Roster chains and registry files, for every site. */
  private readonly published = new Set<string>();

  constructor(private readonly ports: ServicePorts) {
    this.ledgers = new LedgerHeads({
      append: (event) => void ports.events.append([{ study: '', type: event.type, payload: encodeDocument(event) }]),
      sign: (bytes) => ports.sign(bytes),
      nowMs: () => ports.nowMs(),
    });
  }

  /** Takes up every study of the log. Call before the port opens. */
  async start(): Promise<void> {
    for (const folder of ['inbox', 'registry']) mkdirSync(path.join(this.ports.folder, folder), { recursive: true });
    this.sweep();
    const studies = new Set<string>();
    for (const { study, payload } of this.ports.events.replay())
      if (study === '') this.ledgers.replay(decodeLedgerEvent(payload));
      else studies.add(study);
    // One study's events at a time are held in memory, whatever the log has grown to.
    for (const studyHash of studies) {
      // A study that cannot be taken up is reported and left; the others go on.
      try {
        const events = this.loggedEvents(studyHash);
        for (const event of events) this.note(event);
        const [first, ...rest] = events;
        if (first?.type !== 'proposed') continue;
        await this.addHost(studyHash, first).resume(rest);
      } catch (error) {
        this.hosts.delete(studyHash);
        this.namesAll = false;
        this.report(`to take up study ${studyHash.slice(0, 12)}`, error);
      }
    }
    // Only an upload that is still awaited goes on from where it ended.
    this.ports.blobs.sweepPartials((site) => this.hostsOf(site).some((host) => host.blobs.owes(site)));
    await this.readInbox(true);
    this.guarded('to collect blobs that nothing needs', () => this.collectBlobs());
    this.poll = setInterval(() => {
      this.tick().catch((error: unknown) => this.report('the inbox or the roster', error));
    }, 200);
  }

  /** What an earlier process left half done: drafts of registry entries, and answers that nobody waits for any more. */
  private sweep(): void {
    const registry = path.join(this.ports.folder, 'registry');
    for (const name of readdirSync(registry))
      if (name.endsWith('.tmp')) rmSync(path.join(registry, name), { recursive: true, force: true });
    const inbox = path.join(this.ports.folder, 'inbox');
    for (const name of readdirSync(inbox).filter((entry) => !entry.endsWith('.json'))) {
      const age = this.ports.nowMs() - (statSync(path.join(inbox, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (age > 3_600_000) rmSync(path.join(inbox, name), { force: true });
    }
  }

  /**
   * Deletes the blobs that no event names, no site is served, and no upload has just brought for an open attempt: without
   * this an upload that ended before its masked input was recorded would stay for ever.
   */
  private collectBlobs(): void {
    const hosts = [...this.hosts.values()];
    this.closedStudies = hosts.filter((host) => isClosed(host.current)).length;
    if (!this.namesAll) return;
    const { blobs } = this.ports;
    const orphans = blobs.blobHashes().filter((hash) => !this.isNeeded(hash));
    for (const hash of orphans) blobs.deleteBlob(hash);
    if (orphans.length > 0) this.ports.progress({ kind: 'collected', blobs: orphans.length });
  }

  /** Pieces are the site's own; a whole blob may be anybody's. */
  private forgetUploads(site: string, hashes: readonly string[]): void {
    for (const hash of hashes) {
      this.ports.blobs.dropPartial(site, hash);
      if (this.namesAll && !this.isNeeded(hash)) this.ports.blobs.deleteBlob(hash);
    }
  }

  private isNeeded(hash: string): boolean {
    return (
      this.named.has(hash) ||
      this.published.has(hash) ||
      [...this.hosts.values()].some((host) => host.blobs.keeps(hash))
    );
  }

  /** An event that is durable. */
  private note(event: LoggedEvent): void {
    for (const hash of blobsNamed(event)) this.named.add(hash);
    if (event.type === 'round' && event.record.type === 'attemptOpened')
      for (const site of event.record.sites) this.ledgers.asked(site);
  }

  private append(studyHash: string, events: readonly LoggedEvent[]): void {
    this.ports.events.append(events.map((event) => record(studyHash, event)));
    for (const event of events) this.note(event);
  }

  /** Throws STORE_DAMAGED. */
  private loggedEvents(study: string): LoggedEvent[] {
    return Array.from(this.ports.events.replay({ study }), ({ payload }) => decodeLoggedEvent(payload));
  }

  stop(): void {
    clearInterval(this.poll);
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  get studies(): readonly StudyHost[] {
    return [...this.hosts.values()];
  }

  onSiteConnected(site: string): void {
    this.ports.progress({ kind: 'site', site, connected: true });
    this.guarded(`the roster for ${site}`, () => this.sendRoster(site));
    for (const host of this.hostsOf(site)) this.guarded(`a connection of ${site}`, () => host.onConnected(site));
  }

  onSiteDisconnected(site: string): void {
    this.ports.progress({ kind: 'site', site, connected: false });
    for (const host of this.hostsOf(site))
      this.guarded(`a lost connection of ${site}`, () => host.onDisconnected(site));
  }

  /** A message that is not acceptable is reported, and changes nothing. */
  onSiteMessage(site: string, message: FromSite): void {
    this.guarded(`${message.type} of ${site}`, () => this.route(site, message));
  }

  /** Sites upload masked inputs and nothing else: the one that is awaited, of the length that was declared. */
  mayUpload(site: string, hash: string, size: number): boolean {
    return this.hostsOf(site).some((host) => host.blobs.awaits(site, hash, size));
  }

  onUploadProgress(site: string, hash: string, bytes: number): void {
    for (const host of this.hostsOf(site))
      this.guarded(`an upload of ${site}`, () => host.onUploadProgress(site, hash, bytes));
  }

  /** What the coordinator named to this site on purpose. Others' masked inputs and the totals are not among it. */
  mayDownload(site: string, hash: string): boolean {
    return this.published.has(hash) || this.hostsOf(site).some((host) => host.blobs.serves(hash));
  }

  /** What it may download, and its own masked input of the open attempt: an upload whose receipt was lost is asked after. */
  mayAsk(site: string, hash: string): boolean {
    return this.mayDownload(site, hash) || this.hostsOf(site).some((host) => host.blobs.isOf(site, hash));
  }

  /** Files of a registry entry become fetchable for every site. */
  publishBlobs(hashes: readonly string[]): void {
    for (const hash of hashes) this.published.add(hash);
  }

  private hostsOf(site: string): StudyHost[] {
    return [...this.hosts.values()].filter((host) => studySites(host.study).includes(site));
  }

  /** One study's trouble, or one message's, is no reason to end the process or another site's connection. */
  private guarded(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.report(what, error);
    }
  }

  private report(what: string, error: unknown): void {
    const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
    const message = error instanceof Error ? error.message : String(error);
    this.ports.progress({ kind: 'refused', what, code, message });
  }

  private route(site: string, message: FromSite): void {
    switch (message.type) {
      case 'taskProgress': {
        const host = this.hosts.get(message.studyHash);
        if (host !== undefined && studySites(host.study).includes(site)) host.onTaskProgress(site, message);
        return;
      }
      case 'approval':
        return this.onApproval(site, message.approval);
      case 'ratification':
        return this.onRatification(site, message.ratification);
      case 'transcriptRequest': {
        const host = this.hostOf(message.studyHash);
        if (studySites(host.study).includes(site)) host.onTranscriptRequest(site, message);
        return;
      }
      case 'ledgerHead':
        return this.onLedgerHead(site, message);
      default: {
        const host = this.hosts.get(message.studyHash);
        if (host !== undefined && studySites(host.study).includes(site)) host.onRoundMessage(site, message);
      }
    }
  }

  private onApproval(site: string, approval: Approval): void {
    const host = this.hostOf(approval.studyHash);
    const roster = this.ports.rosterOfVersion(host.rosterVersion);
    const member = findMember(roster, site);
    const valid =
      approval.site === site &&
      studySites(host.study).includes(site) &&
      approval.rosterVersion === host.rosterVersion &&
      approval.rosterHash === rosterHash(roster) &&
      member !== undefined &&
      approvalIsSigned(approval, fromHex(member.signingPublicKey, 32)!);
    if (!valid)
      throw new ConcordatError(
        'SITE_SIGNATURE_INVALID',
        `the approval of site "${site}" does not fit the roster of the study`,
      );
    host.onApproval(approval);
  }

  private onRatification(site: string, ratification: Ratification): void {
    const host = this.hostOf(ratification.studyHash);
    const member = findMember(this.ports.rosterOfVersion(host.rosterVersion), site);
    const valid =
      ratification.site === site &&
      studySites(host.study).includes(site) &&
      ratification.bundleDigest === host.bundleDigest &&
      ratification.rosterVersion === host.rosterVersion &&
      ratification.transcriptHead === host.transcriptHead &&
      member !== undefined &&
      ratificationIsSigned(ratification, fromHex(member.signingPublicKey, 32)!);
    if (!valid)
      throw new ConcordatError(
        'SITE_SIGNATURE_INVALID',
        `the ratification of site "${site}" does not fit the bundle of the study`,
      );
    host.onRatification(ratification);
  }

  private onLedgerHead(site: string, { length, head, signature }: SignedLedgerHead): void {
    const key = fromHex(findMember(this.ports.roster()?.roster ?? null, site)?.signingPublicKey ?? '', 32);
    if (key === null) throw new ConcordatError('SITE_UNKNOWN', `site "${site}" is not in the signed roster`);
    this.ledgers.take(site, { length, head, signature }, key, (countersigned) =>
      this.ports.send(site, { type: 'ledgerCountersigned', ...countersigned }),
    );
  }

  private hostOf(studyHash: string): StudyHost {
    const host = this.hosts.get(studyHash);
    if (host === undefined) throw new ConcordatError('STUDY_UNKNOWN', `no study has the hash ${studyHash}`);
    return host;
  }

  // Proposals and aborts: files in inbox/, so that commands need no second way in --------------------------------------

  private async tick(): Promise<void> {
    const newest = this.ports.roster();
    if (newest !== null && newest.roster.version !== this.rosterVersionSent) {
      this.rosterVersionSent = newest.roster.version;
      for (const { site } of newest.roster.sites) if (this.ports.isConnected(site)) this.sendRoster(site);
    }
    for (const host of this.hosts.values())
      this.guarded('the end of a study', () => host.checkExpiry(this.ports.nowMs()));
    await this.readInbox();
    if ([...this.hosts.values()].filter((host) => isClosed(host.current)).length !== this.closedStudies)
      this.collectBlobs();
  }

  /** At a start, a proposal that is in the log already was answered by nobody: the process ended in between. */
  private async readInbox(starting = false): Promise<void> {
    const inbox = path.join(this.ports.folder, 'inbox');
    for (const name of readdirSync(inbox).sort()) {
      if (!name.endsWith('.json')) continue;
      const file = path.join(inbox, name);
      let outcome: Record<string, unknown> = { ok: true };
      try {
        const request = readRequest(readFileSync(file, 'utf8'));
        if (request.type === 'propose' && starting && this.hosts.has(request.studyHash)) outcome = { ok: true };
        else if (request.type === 'propose')
          await this.propose(request.studyHash, Buffer.from(request.document, 'utf8'));
        else this.hostOf(request.studyHash).abort(request.reason);
      } catch (error) {
        const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
        outcome = { ok: false, code, message: error instanceof Error ? error.message : String(error) };
      }
      // The answer stands beside the request under its name, for the command that waits for it.
      writeFileSync(`${file}.tmp`, JSON.stringify(outcome));
      renameSync(`${file}.tmp`, `${file}.done`);
      rmSync(file, { force: true });
    }
  }

  private async propose(studyHash: string, document: Uint8Array): Promise<void> {
    if (this.hosts.has(studyHash))
      throw new ConcordatError('STUDY_EXISTS', 'this study, with this hash, has already been proposed');
    const study = readStudyDocument(document, studyHash);
    const disclosive = disclosiveModels(study);
    if (disclosive.length > 0)
      throw new ConcordatError('STUDY_DISCLOSIVE', `model ${disclosive.join(', ')} needs risk sets over all sites`);
    const endMs = endsAtMs(study);
    if (endMs !== null && this.ports.nowMs() >= endMs)
      throw new ConcordatError('STUDY_EXPIRED', `the study's last day was ${study.until}`);
    // A proposal may come right after the signature under the roster it needs.
    this.ports.lookForRoster();
    const newest = this.ports.roster();
    const missing = studySites(study).filter((site) => findMember(newest?.roster ?? null, site)?.status !== 'active');
    if (newest === null || missing.length > 0)
      throw new ConcordatError('STUDY_SITES_UNKNOWN', `not in the signed roster: ${missing.join(', ')}`);
    const documentBlob = this.ports.blobs.putBlob(document);
    const proposed = {
      type: 'proposed' as const,
      documentBlob,
      rosterVersion: newest.roster.version,
      atMs: this.ports.nowMs(),
    };
    this.append(studyHash, [proposed]);
    const host = this.addHost(studyHash, proposed);
    await host.resume([]);
    for (const site of studySites(study)) if (this.ports.isConnected(site)) host.onConnected(site);
  }

  private addHost(studyHash: string, proposed: Extract<LoggedEvent, { type: 'proposed' }>): StudyHost {
    const { ports } = this;
    const study = readStudyDocument(ports.blobs.getBlob(proposed.documentBlob), studyHash);
    const roster = ports.rosterOfVersion(proposed.rosterVersion);
    const host = new StudyHost(study, studyHash, proposed.rosterVersion, proposed.documentBlob, {
      append: (events) => this.append(studyHash, events),
      putBlob: (bytes) => ports.blobs.putBlob(bytes),
      getBlob: (hash, into) => ports.blobs.getBlob(hash, into),
      deleteBlob: (hash) => ports.blobs.deleteBlob(hash),
      blobSize: (hash) => ports.blobs.blobSize(hash),
      forgetUploads: (site, hashes) => this.forgetUploads(site, hashes),
      send: (site, message) => ports.send(site, message),
      isConnected: (site) => ports.isConnected(site),
      setTimer: (atMs, fire) => this.setTimer(studyHash, atMs, fire),
      soon: (run) => void setTimeout(() => this.guarded('the log', run), SOON_MS).unref(),
      nowMs: () => ports.nowMs(),
      terms: (_study, _hash, approvals) => termsOf(study, studyHash, roster, approvals),
      assemble: (run, _state, transcriptHead) => ports.assemble(run, study, roster, transcriptHead),
      publish: (state, files, ratifications) => this.publish(state, files, ratifications),
      summary: (state, files, ratifications, reason) =>
        this.register(state, files, ratifications, { phase: state.phase, reason }),
      progress: (message) => ports.progress(message),
      trouble: (error) => this.report(`study ${studyHash.slice(0, 12)}`, error),
    });
    this.hosts.set(studyHash, host);
    return host;
  }

  private setTimer(studyHash: string, atMs: number, fire: () => void): void {
    clearTimeout(this.timers.get(studyHash));
    // Looked at again once a minute, whatever the clock says: it may be set back by hours, and a deadline must not wait for it.
    const delayMs = Math.min(Math.max(0, atMs - this.ports.nowMs()), 60_000);
    this.timers.set(studyHash, setTimeout(() => this.guarded('a timer', fire), delayMs).unref());
  }

  private sendRoster(site: string): void {
    const newest = this.ports.roster();
    if (newest === null) return;
    const rosterBlob = this.ports.blobs.putBlob(newest.chain);
    this.published.add(rosterBlob);
    this.ports.send(site, { type: 'rosterPublished', rosterVersion: newest.roster.version, rosterBlob });
  }

  // Registry ---------------------------------------------------------------------------------------------------------

  private publish(
    state: StudyState,
    files: ReadonlyMap<string, Uint8Array>,
    ratifications: readonly Ratification[],
  ): void {
    const folder = this.register(state, files, ratifications, { phase: 'published', reason: '' });
    this.ports.progress({ kind: 'published', studyHash: state.studyHash, folder });
  }

  private register(
    state: StudyState,
    files: ReadonlyMap<string, Uint8Array> | null,
    ratifications: readonly Ratification[],
    outcome: { readonly phase: string; readonly reason: string },
  ): string {
    const { folder, blobs, sign } = this.ports;
    return registerStudy(folder, {
      state,
      files,
      ratifications,
      outcome,
      events: this.loggedEvents(state.studyHash),
      blobs,
      sign,
      damaged: (hash) =>
        this.report(
          `study ${state.studyHash.slice(0, 12)}`,
          new ConcordatError(
            'STORE_INPUT_DAMAGED',
            `the retained masked input blobs/${hash.slice(0, 2)}/${hash} is damaged or gone, so the audit of this study will miss it`,
          ),
        ),
    });
  }
}

const requestShape = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('propose'), studyHash: z.string(), document: z.string() }),
  z.looseObject({ type: z.literal('abort'), studyHash: z.string(), reason: z.string().default('no reason given') }),
]);

/** Throws CLI_USAGE: somebody put a file there that is no request. */
function readRequest(text: string): z.output<typeof requestShape> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConcordatError('CLI_USAGE', 'the request is not JSON', { cause });
  }
  const parsed = requestShape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ConcordatError('CLI_USAGE', `the request is wrong at "${parsed.error.issues[0]?.path.join('.') ?? ''}"`);
}

function record(study: string, event: LoggedEvent) {
  return { study, type: event.type, payload: encodeDocument(event) };
}
