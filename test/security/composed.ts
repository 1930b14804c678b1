import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bundleOf } from '../../coordinator/bundle.js';
import { CoordinatorService, type ServicePorts } from '../../coordinator/service.js';
import { authorityPem, createAuthority, signAsAuthority } from '../../coordinator/tls.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { toHex } from '../../shared/hex.js';
import { memoryBlobStore, memoryEventStore, memorySiteStore } from '../../shared/memory-stores.js';
import { type MemoryTransport, memoryTransport } from '../../shared/memory-transport.js';
import { planStudy } from '../../shared/plan.js';
import { nextRoster, type Roster, type RosterMember, type SignedRoster, signRosterWith } from '../../shared/roster.js';
import { Secret } from '../../shared/secret.js';
import type { PartialBlobStore, SiteStore } from '../../shared/stores.js';
import { type Study, studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import type { SiteLink } from '../../shared/transport.js';
import type { FromSite, ToSite } from '../../shared/wire/types.js';
import { type AgentProgress, SiteAgent } from '../../site-agent/agent.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { leavesByComputation } from '../../site-agent/preview.js';
import { OPEN_POLICY, simulatedTable, smallStudy } from '../e2e/support.js';

/**
 * The composed system in one process: the real service and the real agents over the memory transport, with stores that
 * outlive a restart. What a network would do by itself is done by the test: connect, cut, forge, withhold.
 */
export const CONSORTIUM = new Secret(new Uint8Array(32).fill(7));
export const CONSORTIUM_KEY = ed25519PublicKey(CONSORTIUM);

export function keyOf(label: string): Secret {
  return new Secret(Uint8Array.from({ length: 32 }, (_, i) => (label.charCodeAt(i % label.length) * 31 + i * 7) % 256));
}

export function memberOf(site: string, label = site, status: 'active' | 'revoked' = 'active'): RosterMember {
  const key = toHex(ed25519PublicKey(keyOf(label)));
  return { site, signingPublicKey: key, tlsFingerprint: key, status };
}

export function rosterChain(...versions: readonly (readonly RosterMember[])[]): SignedRoster[] {
  const chain: SignedRoster[] = [];
  for (const changes of versions) {
    const previous: Roster | null = chain.at(-1)?.roster ?? null;
    chain.push(signRosterWith(CONSORTIUM, nextRoster(previous, changes, '2026-01-01T00:00:00Z')));
  }
  return chain;
}

export function chainBytes(chain: readonly SignedRoster[]): Uint8Array {
  return Buffer.from(JSON.stringify(chain.map((signed) => JSON.stringify(signed))));
}

export class ComposedSite {
  store: SiteStore = memorySiteStore();
  readonly progress: AgentProgress[] = [];
  readonly folder: string;
  agent!: SiteAgent;
  link: SiteLink | null = null;
  /** Throws to make a download fail as a broken line would. */
  beforeDownload: (hash: string) => void = () => undefined;
  beforeSend: (message: FromSite) => FromSite | null = (message) => message;
  /** What the coordinator's messages become on the way to this site; null = lost. */
  beforeReceive: (message: ToSite) => ToSite | null = (message) => message;
  withholdUploads = false;
  restored = false;
  policy = OPEN_POLICY;
  clockMs: () => number = () => Date.now();
  private queue: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly root: string,
  ) {
    this.folder = path.join(root, name);
    mkdirSync(this.folder, { recursive: true });
    this.table(simulatedTable(name));
    writeFileSync(
      path.join(this.folder, 'cohort.yaml'),
      'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n',
    );
  }

  table(csv: string): void {
    writeFileSync(path.join(this.folder, 'cases.csv'), csv);
  }

  async start(): Promise<void> {
    const site = this;
    this.agent = new SiteAgent({
      site: this.name,
      folder: this.folder,
      signingKey: keyOf(this.name),
      consortiumPublicKey: CONSORTIUM_KEY,
      policy: parsePolicy(this.policy, 'policy.yaml'),
      authority: authorityPem(this.root),
      store: this.store,
      link: {
        get connected() {
          return site.link?.connected ?? false;
        },
        send: (message) => {
          const passed = this.beforeSend(message);
          return passed === null ? true : (this.link?.send(passed) ?? false);
        },
        upload: async (bytes) => (this.withholdUploads ? '' : this.link!.upload(bytes)),
        download: async (hash) => {
          this.beforeDownload(hash);
          return this.link!.download(hash);
        },
      },
      leavesOfStudy: (study) => leavesByComputation(planStudy(study)),
      restored: this.restored,
      progress: (event) => this.progress.push(event),
      nowMs: () => this.clockMs(),
    });
    await this.agent.start();
  }

  connect(transport: MemoryTransport): void {
    this.link = transport.connect(this.name, {
      onConnected: () => this.agent.onConnected(),
      onDisconnected: (reason) => this.agent.onDisconnected(reason),
      onMessage: (message) => {
        const passed = this.beforeReceive(message);
        if (passed !== null) this.receive(passed);
      },
    });
  }

  /** As if the coordinator had sent it. */
  receive(message: ToSite): void {
    this.queue = this.queue.then(() => this.agent.onMessage(message));
  }

  get settled(): Promise<void> {
    return this.queue;
  }

  problems(): string[] {
    return this.progress.flatMap((event) => (event.kind === 'problem' ? [event.code] : []));
  }
}

export class Composed {
  readonly root = mkdtempSync(path.join(os.tmpdir(), 'concordat-composed-'));
  readonly events = memoryEventStore();
  readonly progress: Parameters<ServicePorts['progress']>[0][] = [];
  readonly sites = new Map<string, ComposedSite>();
  chain: SignedRoster[];
  clockMs: () => number = () => Date.now();
  service!: CoordinatorService;
  transport!: MemoryTransport;
  assemble: ServicePorts['assemble'] = async (run, study) =>
    bundleOf({ run, study, roster: this.chain[0]!, simulated: true });

  constructor(
    readonly names: readonly string[],
    readonly blobs: PartialBlobStore = memoryBlobStore(),
  ) {
    this.chain = rosterChain(names.map((site) => memberOf(site)));
    for (const site of names) this.sites.set(site, new ComposedSite(site, this.root));
  }

  site(name: string): ComposedSite {
    return this.sites.get(name)!;
  }

  async start(): Promise<void> {
    await createAuthority(this.root, Date.now());
    await this.startCoordinator();
    for (const site of this.sites.values()) await site.start();
    this.connectAll();
  }

  connectAll(): void {
    for (const site of this.sites.values()) site.connect(this.transport);
  }

  async startCoordinator(): Promise<void> {
    const service = new CoordinatorService({
      folder: this.root,
      events: this.events,
      blobs: this.blobs,
      roster: () => ({ roster: this.chain.at(-1)!.roster, chain: chainBytes(this.chain) }),
      sign: (bytes) => signAsAuthority(this.root, bytes),
      lookForRoster: () => undefined,
      rosterOfVersion: (version) => this.chain[version - 1]!.roster,
      send: (site, message) => void this.transport?.send(site, message),
      isConnected: (site) => this.transport?.isConnected(site) ?? false,
      nowMs: () => this.clockMs(),
      assemble: (...given) => this.assemble(...given),
      progress: (message) => this.progress.push(message),
    });
    this.service = service;
    await service.start();
    this.transport = memoryTransport({
      onSiteConnected: (site) => service.onSiteConnected(site),
      onSiteMessage: (site, message) => service.onSiteMessage(site, message),
      onSiteDisconnected: (site) => service.onSiteDisconnected(site),
      enroll: () => Promise.reject(new Error('nobody enrolls here')),
      blobs: this.blobs,
      onUploadProgress: (site, hash, bytes) => service.onUploadProgress(site, hash, bytes),
      mayUpload: (site, hash, size) => service.mayUpload(site, hash, size),
      mayDownload: (site, hash) => service.mayDownload(site, hash),
      mayAsk: (site, hash) => service.mayAsk(site, hash),
      onBlobStored: () => undefined,
      listBundles: () => [],
      getBundle: () => null,
    });
  }

  async stopCoordinator(): Promise<void> {
    this.service.stop();
    await this.transport.close();
  }

  propose(study: Study): string {
    const hash = studyHash(study);
    this.request({
      type: 'propose',
      studyHash: hash,
      document: Buffer.from(studyDocument(study)).toString('utf8'),
    });
    return hash;
  }

  abort(hash: string, reason: string): void {
    this.request({ type: 'abort', studyHash: hash, reason });
  }

  /** What the coordinator answered to the proposal of that study, or null so far. */
  answer(hash: string): unknown {
    const done = `${this.requests.get(hash)}.done`;
    return existsSync(done) ? JSON.parse(readFileSync(done, 'utf8')) : null;
  }

  private readonly requests = new Map<string, string>();

  private request(content: { readonly studyHash: string; readonly [field: string]: string }): void {
    const file = path.join(this.root, 'inbox', `${Date.now()}-${Math.round(performance.now() * 1000)}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    this.requests.set(content.studyHash, file);
    writeFileSync(file, JSON.stringify(content));
  }

  phase(hash: string): string {
    return this.service.studies.find((host) => host.studyHash === hash)?.current.phase ?? 'unknown';
  }

  reason(hash: string): string {
    return this.service.studies.find((host) => host.studyHash === hash)?.current.reason ?? '';
  }

  registry(): string[] {
    return readdirSync(path.join(this.root, 'registry'));
  }

  registered(entry: string, file: string): string {
    return readFileSync(path.join(this.root, 'registry', entry, file), 'utf8');
  }

  authority(): string {
    return authorityPem(this.root);
  }

  async close(): Promise<void> {
    for (const site of this.sites.values()) site.agent?.stop();
    await this.stopCoordinator();
    rmSync(this.root, { recursive: true, force: true });
  }
}

let open: Composed | undefined;

/** The federation of four that most tests begin with; `prepare` sees it before anything starts. One at a time. */
export async function federation(
  prepare: (of: Composed) => void = () => undefined,
  names: readonly string[] = ['alder', 'birch', 'cedar', 'dogwood'],
): Promise<Composed> {
  open = new Composed(names);
  prepare(open);
  await open.start();
  return open;
}

/** For `afterEach`: closes what `federation` opened last. */
export async function closeFederation(): Promise<void> {
  await open?.close();
  open = undefined;
}

/** What to say where a test waits in vain. */
export const story = (of: Composed, hash: string) => () =>
  `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify(of.progress.slice(-5))} ${JSON.stringify(
    [...of.sites.values()].map((site) => site.progress.slice(-3)),
  )}`;

export async function until(condition: () => boolean, what: () => string, timeoutMs = 40_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition(); ) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const FIVE = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];

/** Five training sites of which some may go missing; those in `showAggregate` agreed that totals may show them. */
export const continuingStudy = (name: string, showAggregate: readonly string[], changes: object = {}): Study =>
  smallStudy(name, {
    sites: { training: FIVE, external: [] },
    harmonization: { method: 'none' },
    onMissingSite: 'continue',
    privacy: { showAggregate },
    ...changes,
  });

/** A masked input that is kept back: to the rounds it looks as if the site could not take part. */
export const keptBack = ({ studyHash, context }: Extract<FromSite, { type: 'maskedInput' }>): FromSite => ({
  ...{ type: 'siteRefusal', studyHash, context, exchange: 'maskedInput', code: 'STUDY_EXPIRED', about: [] },
});
