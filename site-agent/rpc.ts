import type grpc from '@grpc/grpc-js';
import type { EnrollmentGrant, EnrollmentRequest, Invitation } from '../shared/enrollment.js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type { SiteEvents, SiteLink } from '../shared/transport.js';
import { commonVersion, PROTOCOL, type VersionRange, versionConflict } from '../shared/versions.js';
import { bundleDetail, bundleList, bundleQuery, enrollRequest, enrollResponse } from '../shared/wire/codecs.js';
import { decodeCoordinatorFrame } from '../shared/wire/decode.js';
import { encodeSiteFrame } from '../shared/wire/encode.js';
import { isTransient } from '../shared/wire/status.js';
import type { BundleDetail, BundleEntry, BundleQuery, FromSite, Welcome } from '../shared/wire/types.js';
import { type ChannelOptions, callUnary, errorOf, explained, openStubs, type Stubs } from './rpc-channel.js';
import { downloadBlob, type Line, uploadBlob } from './rpc-transfer.js';

export interface ConnectionOptions extends ChannelOptions {
  readonly site: string;
  readonly certificate: TlsCredentials;
  /**
   * Asked when the coordinator does not take the certificate, given the one that was refused: what to try next. A site
   * whose key is being changed has two, and the roster decides which of them counts.
   */
  readonly nextCertificate?: (refused: TlsCredentials) => TlsCredentials;
  readonly programVersion: string;
  /** What this program speaks, unless a test says otherwise. */
  readonly protocol?: VersionRange;
  readonly events: SiteEvents;
  /** Uniform on [0, 1): spreads the reconnects of many sites. */
  readonly random: () => number;
  readonly livenessTimeoutMs?: number;
  readonly reconnectFirstMs?: number;
  readonly reconnectMaxMs?: number;
}

export interface TlsCredentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Refusals that another certificate of the same site may not meet. */
const OTHER_CERTIFICATE = new Set<string>([
  'ENROLL_CERTIFICATE_UNKNOWN',
  'ENROLL_CERTIFICATE_EXPIRED',
  'SITE_NOT_IN_ROSTER',
]);

/** Sends an enrollment request without a client certificate; the server is checked against the invitation's authority. */
export async function requestEnrollment(invitation: Invitation, request: EnrollmentRequest): Promise<EnrollmentGrant> {
  const { stubs, close } = openStubs({ address: invitation.coordinator, authorityPem: invitation.authority });
  try {
    const answer = await callUnary(stubs.enrollment.enroll, stubs.enrollment, enrollRequest.encode(request) as object);
    return enrollResponse.decode(answer, 'EnrollResponse');
  } catch (error) {
    throw await explained(invitation.coordinator, error);
  } finally {
    close();
  }
}

/** What an enrolled site may ask besides its control stream. */
export type RegistryLink = Pick<SiteLink, 'download' | 'listBundles' | 'getBundle' | 'close'>;

/**
 * The registry alone, without a control stream, so that a command beside a running agent does not take its place. Errors
 * of the network reach the caller at once.
 */
export function openRegistry(options: ChannelOptions): RegistryLink {
  const { stubs, close } = openStubs(options);
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, LIMITS.reconnectFirstMs));
  const line: Line = { stubs, pause, track: (call) => call, heard: () => undefined };
  const asked = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch(async (error: unknown) => {
      throw await explained(options.address, error);
    });
  return {
    download: (hash, bytesMax) => asked(downloadBlob(line, hash, bytesMax)),
    listBundles: () => asked(listBundles(stubs)),
    getBundle: (query) => asked(getBundle(stubs, query)),
    close: async () => close(),
  };
}

async function listBundles({ registry }: Stubs): Promise<readonly BundleEntry[]> {
  return bundleList.decode(await callUnary(registry.listBundles, registry, {}), 'ListBundlesResponse').bundles;
}

async function getBundle({ registry }: Stubs, query: BundleQuery): Promise<BundleDetail> {
  const answer = await callUnary(registry.getBundle, registry, bundleQuery.encode(query) as object);
  return bundleDetail.decode(answer, 'GetBundleResponse');
}

/** Opens the control stream and keeps opening it until `close`; the site only ever dials out. */
export function connectToCoordinator(options: ConnectionOptions): SiteLink {
  return new Connection(options);
}

/** With 250 ms at first this reaches the longest pause. */
const REPLACED_FAILURES = 6;

class Connection implements SiteLink, Line {
  stubs: Stubs;
  private closeChannel: () => void;
  private readonly livenessTimeoutMs: number;
  private stream: grpc.ClientDuplexStream<unknown, unknown> | null = null;
  private welcome: Welcome | null = null;
  private failures = 0;
  private heardMs = 0;
  private sequence = 0;
  private closed = false;
  private heartbeat: NodeJS.Timeout | undefined;
  private reconnect: NodeJS.Timeout | undefined;
  /** Pauses between tries that are under way, to end them on `close`. */
  private readonly pauses = new Set<() => void>();
  private readonly transfers = new Set<grpc.Call>();

  private certificate: TlsCredentials;

  constructor(private readonly options: ConnectionOptions) {
    this.certificate = options.certificate;
    const { stubs, close } = openStubs(options);
    this.stubs = stubs;
    this.closeChannel = close;
    this.livenessTimeoutMs = options.livenessTimeoutMs ?? LIMITS.silenceTimeoutMs;
    this.open();
  }

  get connected(): boolean {
    return this.welcome !== null;
  }

  send(message: FromSite): boolean {
    if (this.stream === null || this.welcome === null) return false;
    this.stream.write(encodeSiteFrame(message));
    return true;
  }

  upload(bytes: Uint8Array, fresh = false): Promise<string> {
    return uploadBlob(this, bytes, fresh);
  }

  download(hash: string, bytesMax?: number): Promise<Uint8Array> {
    return downloadBlob(this, hash, bytesMax);
  }

  listBundles(): Promise<readonly BundleEntry[]> {
    return listBundles(this.stubs);
  }

  getBundle(query: BundleQuery): Promise<BundleDetail> {
    return getBundle(this.stubs, query);
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.reconnect);
    clearInterval(this.heartbeat);
    for (const end of this.pauses) end();
    const stream = this.stream;
    this.stream = null;
    this.welcome = null;
    if (stream !== null) {
      // A clean end lets the coordinator know at once; it answers with the end of its half.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        stream.once('status', () => {
          clearTimeout(timer);
          resolve();
        });
        stream.on('data', () => undefined);
        stream.end();
      });
      stream.cancel();
    }
    this.closeChannel();
  }

  private open(): void {
    const stream = this.stubs.federation.connect();
    this.stream = stream;
    this.heardMs = performance.now();
    stream.on('data', (wire: unknown) => {
      if (this.stream !== stream) return;
      try {
        this.received(wire);
      } catch (error) {
        this.lost(stream, error instanceof ConcordatError ? error : unforeseen(error));
      }
    });
    stream.on('error', (error: grpc.ServiceError) => this.lost(stream, errorOf(error)));
    stream.on('end', () =>
      this.lost(stream, new ConcordatError('WIRE_DISCONNECTED', 'the coordinator ended the connection')),
    );
    clearInterval(this.heartbeat);
    this.heartbeat = setTimeout(() => this.giveUp(stream), this.livenessTimeoutMs);
    const { site, programVersion } = this.options;
    const { oldest, newest } = this.options.protocol ?? PROTOCOL;
    stream.write(
      encodeSiteFrame({
        type: 'hello',
        site,
        protocolVersion: newest,
        oldestProtocolVersion: oldest,
        programVersion,
      }),
    );
  }

  private received(wire: unknown): void {
    const frame = decodeCoordinatorFrame(wire);
    this.heardMs = performance.now();
    if (frame.type === 'heartbeatAnswer') return;
    if (frame.type === 'welcome') {
      if (this.welcome !== null) throw new ConcordatError('WIRE_MESSAGE_UNKNOWN', 'a second welcome came');
      const chosen = { oldest: frame.protocolVersion, newest: frame.protocolVersion };
      const mine = this.options.protocol ?? PROTOCOL;
      if (commonVersion(mine, chosen) === null)
        throw new ConcordatError(
          'WIRE_VERSION_MISMATCH',
          versionConflict(
            { ...mine, name: 'the site' },
            { ...chosen, name: `the coordinator (Concordat ${frame.programVersion})` },
          ),
        );
      this.welcome = frame;
      this.failures = 0;
      this.sequence = 0;
      this.startHeartbeat(frame.heartbeatIntervalMs);
      this.options.events.onConnected();
    } else if (this.welcome === null)
      throw new ConcordatError('WIRE_MESSAGE_UNKNOWN', 'a message came before the welcome');
    else this.options.events.onMessage(frame);
  }

  private startHeartbeat(intervalMs: number): void {
    clearInterval(this.heartbeat);
    let beatMs = performance.now();
    this.heartbeat = setInterval(() => {
      const stream = this.stream;
      if (stream === null) return;
      const now = performance.now();
      // Held up by a long computation: the answers still wait to be read.
      if (now - beatMs > this.livenessTimeoutMs / 2) this.heardMs = now;
      beatMs = now;
      if (now - this.heardMs > this.livenessTimeoutMs) this.giveUp(stream);
      else stream.write(encodeSiteFrame({ type: 'heartbeat', sequence: ++this.sequence }));
    }, intervalMs);
  }

  private lost(stream: grpc.ClientDuplexStream<unknown, unknown>, reason: ConcordatError): void {
    if (this.closed || this.stream !== stream) return;
    const welcomed = this.welcome !== null;
    this.stream = null;
    this.welcome = null;
    clearInterval(this.heartbeat);
    stream.cancel();
    const { nextCertificate } = this.options;
    const other = nextCertificate !== undefined && OTHER_CERTIFICATE.has(reason.code);
    if (other) this.certificate = nextCertificate(this.certificate);
    if (other || isTransient(reason)) this.replaceChannel();
    if (welcomed) this.retreat(reason);
    else void explained(this.options.address, reason).then((error) => this.retreat(error as ConcordatError));
  }

  /** Says that there is no connection, and why, and dials again after a pause. */
  private retreat(reason: ConcordatError): void {
    if (this.closed) return;
    // Another process holds this site's place: two that take it from each other by turns would never rest.
    if (reason.code === 'SITE_REPLACED') this.failures = Math.max(this.failures, REPLACED_FAILURES);
    this.reconnect = setTimeout(() => this.open(), this.delayMs(++this.failures));
    this.options.events.onDisconnected(reason);
  }

  heard(): void {
    this.heardMs = performance.now();
  }

  track<T extends grpc.Call>(call: T): T {
    this.transfers.add(call);
    call.once('status', () => this.transfers.delete(call));
    return call;
  }

  private giveUp(stream: grpc.ClientDuplexStream<unknown, unknown>): void {
    if (this.closed || this.stream !== stream) return;
    this.lost(stream, new ConcordatError('WIRE_SILENT', 'the coordinator gave no sign of life'));
  }

  /**
   * A line that broke or fell silent is given up whole: the next one asks for the address anew, and only one backoff
   * counts, ours, which begins small after every connection that worked (grpc-js has its own, up to as long as the
   * coordinator was away). Waiting for HTTP/2 to notice a silent line may take minutes: since Node 22 a session whose
   * socket was cut in the middle of a write can stay open without one.
   */
  private replaceChannel(): void {
    this.closeChannel();
    for (const call of this.transfers) call.cancel();
    const { stubs, close } = openStubs({ ...this.options, certificate: this.certificate });
    this.stubs = stubs;
    this.closeChannel = close;
  }

  /** Doubles with every failure up to the limit; between half of it and all, at random. */
  private delayMs(failures: number): number {
    const first = this.options.reconnectFirstMs ?? LIMITS.reconnectFirstMs;
    let delay = first;
    const most = this.options.reconnectMaxMs ?? LIMITS.reconnectMaxMs;
    for (let i = 1; i < failures && delay < most; i++) delay *= 2;
    return Math.min(delay, most) * (0.5 + 0.5 * this.options.random());
  }

  pause(tryNumber: number): Promise<void> {
    const stopped = new ConcordatError('WIRE_DISCONNECTED', 'the connection was closed');
    if (this.closed) return Promise.reject(stopped);
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.pauses.delete(end);
        if (this.closed) reject(stopped);
        else resolve();
      };
      const timer = setTimeout(end, this.delayMs(tryNumber));
      this.pauses.add(end);
    });
  }
}

function unforeseen(error: unknown): ConcordatError {
  return new ConcordatError('INTERNAL_BUG', error instanceof Error ? error.message : String(error), { cause: error });
}
