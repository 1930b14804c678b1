import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initConsortium, signRoster } from '../../cli/consortium-keys.js';
import { openBlobStore } from '../../coordinator/blob-store.js';
import { createInvitation, currentRoster, enroll, initCoordinator } from '../../coordinator/enrollment.js';
import { type RunningServer, type ServerOptions, startServer } from '../../coordinator/rpc.js';
import { serverIdentity } from '../../coordinator/tls.js';
import type { Invitation } from '../../shared/enrollment.js';
import type { CoordinatorHandlers, SiteEvents, SiteLink } from '../../shared/transport.js';
import type { BundleDetail, FromSite, ToSite } from '../../shared/wire/types.js';
import { type Enrolled, enrollSite, initSite } from '../../site-agent/keys.js';
import { type ConnectionOptions, connectToCoordinator, requestEnrollment } from '../../site-agent/rpc.js';

/** Handlers that write down what happens, for tests of the transport. */
export class RecordingHandlers implements CoordinatorHandlers {
  readonly log: string[] = [];
  readonly messages: { readonly site: string; readonly message: FromSite }[] = [];
  readonly bundles: BundleDetail[] = [];
  refuse = new Set<string>();
  onMessage: (site: string, message: FromSite) => void = () => undefined;

  constructor(
    readonly blobs: CoordinatorHandlers['blobs'],
    readonly enroll: CoordinatorHandlers['enroll'],
  ) {}

  onSiteConnected(site: string): void {
    this.log.push(`+${site}`);
  }
  onSiteDisconnected(site: string): void {
    this.log.push(`-${site}`);
  }
  onSiteMessage(site: string, message: FromSite): void {
    this.messages.push({ site, message });
    this.onMessage(site, message);
  }
  mayUpload(_site: string, hash: string): boolean {
    return !this.refuse.has(hash);
  }
  mayDownload(_site: string, hash: string): boolean {
    return !this.refuse.has(hash);
  }
  readonly uploaded = new Map<string, number[]>();
  onUploadProgress(_site: string, hash: string, bytes: number): void {
    this.uploaded.set(hash, [...(this.uploaded.get(hash) ?? []), bytes]);
  }

  mayAsk(_site: string, hash: string): boolean {
    return !this.refuse.has(hash);
  }
  onBlobStored(site: string, hash: string, size: number): void {
    this.log.push(`blob ${site} ${hash.slice(0, 8)} ${size}`);
  }
  listBundles() {
    return this.bundles.map(({ bundle }) => bundle);
  }
  getBundle({ name }: { readonly name: string }) {
    return this.bundles.find(({ bundle }) => bundle.name === name) ?? null;
  }
}

/** What a site saw, with waiting for it. */
export class RecordingEvents implements SiteEvents {
  readonly log: string[] = [];
  readonly messages: ToSite[] = [];
  onConnected(): void {
    this.log.push('connected');
  }
  onMessage(message: ToSite): void {
    this.messages.push(message);
  }
  onDisconnected(reason: { readonly code: string }): void {
    this.log.push(reason.code);
  }
}

export async function until(condition: () => boolean, what: string, timeoutMs = 15_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition(); ) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A consortium, a coordinator and sites in one temporary folder, over real TLS on loopback. */
export class Loopback {
  readonly root = mkdtempSync(path.join(tmpdir(), 'concordat-loopback-'));
  readonly coordinatorDir = path.join(this.root, 'coordinator');
  readonly consortiumDir = path.join(this.root, 'consortium');
  readonly handlers = new RecordingHandlers(openBlobStore(path.join(this.root, 'blobs')), (request) =>
    enroll(this.coordinatorDir, request),
  );
  server!: RunningServer;
  private readonly links: SiteLink[] = [];

  static async start(options: Partial<ServerOptions> = {}): Promise<Loopback> {
    const made = new Loopback();
    await initCoordinator(made.coordinatorDir, initConsortium(made.consortiumDir));
    await made.listen(options);
    return made;
  }

  async listen(options: Partial<ServerOptions> = {}): Promise<void> {
    this.server = await startServer({
      host: '127.0.0.1',
      port: 0,
      identity: await serverIdentity(this.coordinatorDir, Date.now()),
      roster: () => currentRoster(this.coordinatorDir),
      handlers: this.handlers,
      programVersion: 'test',
      ...options,
    });
  }

  siteDir(site: string): string {
    return path.join(this.root, 'sites', site);
  }

  invite(site: string): Invitation {
    return createInvitation(this.coordinatorDir, site, `127.0.0.1:${this.server.port}`);
  }

  async join(site: string): Promise<Enrolled> {
    await initSite(this.siteDir(site), site);
    return enrollSite(this.siteDir(site), this.invite(site), requestEnrollment);
  }

  async sign(changes: { readonly revoke?: string[] } = {}): Promise<void> {
    await signRoster(this.consortiumDir, this.coordinatorDir, changes);
    this.server.rosterChanged();
  }

  connect(enrolled: Enrolled, events: SiteEvents, options: Partial<ConnectionOptions> = {}): SiteLink {
    const link = connectToCoordinator({
      address: `127.0.0.1:${this.server.port}`,
      authorityPem: enrolled.invitation.authority,
      site: enrolled.site,
      certificate: { certificatePem: enrolled.tlsCertificatePem, privateKeyPem: enrolled.tlsKeyPem },
      programVersion: 'test',
      events,
      random: () => 0.5,
      reconnectFirstMs: 20,
      reconnectMaxMs: 200,
      ...options,
    });
    this.links.push(link);
    return link;
  }

  async stop(): Promise<void> {
    await Promise.all(this.links.map((link) => link.close()));
    await this.server.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
