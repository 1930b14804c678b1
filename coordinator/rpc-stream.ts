import type grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import type { CoordinatorHandlers } from '../shared/transport.js';
import { commonVersion, PROTOCOL, type VersionRange, versionConflict } from '../shared/versions.js';
import { decodeSiteFrame } from '../shared/wire/decode.js';
import { encodeCoordinatorFrame } from '../shared/wire/encode.js';
import type { Hello, SiteFrame, ToSite } from '../shared/wire/types.js';
import type { Access } from './rpc-access.js';
import { addressOf } from './rpc-door.js';
import { rpcError } from './rpc-services.js';

type Stream = grpc.ServerDuplexStream<unknown, unknown>;

interface Connection {
  readonly site: string;
  readonly stream: Stream;
  heardMs: number;
  answeredMs: number;
  heartbeat: number;
}

export interface StreamOptions {
  readonly programVersion: string;
  /** What this program speaks, unless a test says otherwise. */
  readonly protocol?: VersionRange;
  readonly heartbeatIntervalMs: number;
  readonly livenessTimeoutMs: number;
  readonly rosterVersion: () => number;
  /** Told why a stream was ended that did not keep to the protocol. */
  readonly refused: (address: string, error: unknown) => void;
  readonly nowMs: () => number;
}

/** The control streams: at most one for each site, the newest. Turns frames into calls of the handlers; decides nothing. */
export class ControlStreams {
  private readonly connections = new Map<string, Connection>();
  private readonly watch: NodeJS.Timeout;
  private checkedMs: number;

  constructor(
    private readonly access: Access,
    private readonly handlers: CoordinatorHandlers,
    private readonly options: StreamOptions,
  ) {
    this.checkedMs = options.nowMs();
    this.watch = setInterval(() => this.closeSilent(), options.livenessTimeoutMs / 4);
    this.watch.unref();
  }

  service(): grpc.UntypedServiceImplementation {
    return { connect: (stream: Stream) => this.accept(stream) };
  }

  send(site: string, message: ToSite): boolean {
    const connection = this.connections.get(site);
    if (connection === undefined) return false;
    connection.stream.write(encodeCoordinatorFrame(message));
    return true;
  }

  isConnected(site: string): boolean {
    return this.connections.has(site);
  }

  get sites(): string[] {
    return [...this.connections.keys()].sort();
  }

  end(site: string, reason: unknown): void {
    const connection = this.connections.get(site);
    if (connection === undefined) return;
    this.forget(connection);
    connection.stream.emit('error', rpcError(reason));
  }

  /** Ends every stream that would not be let in now, by the code that it would be refused with. */
  recheck(): void {
    for (const { site, stream } of [...this.connections.values()])
      try {
        this.access.site(stream);
      } catch (error) {
        this.end(site, error);
      }
  }

  stop(): void {
    clearInterval(this.watch);
    for (const site of this.sites)
      this.end(site, new ConcordatError('WIRE_DISCONNECTED', 'the coordinator is shutting down'));
  }

  private accept(stream: Stream): void {
    let connection: Connection | undefined;
    let failed = false;
    const fail = (error: unknown) => {
      if (failed) return;
      failed = true;
      if (connection !== undefined) this.forget(connection);
      stream.emit('error', rpcError(error));
    };
    let site: string;
    try {
      site = this.access.site(stream);
    } catch (error) {
      fail(error);
      return;
    }
    stream.on('data', (wire: unknown) => {
      if (failed) return;
      try {
        const frame = decodeSiteFrame(wire);
        if (connection === undefined) connection = this.open(site, stream, frame);
        else this.received(connection, frame);
      } catch (error) {
        this.options.refused(addressOf(stream), error);
        fail(error);
      }
    });
    const gone = () => {
      if (connection !== undefined) this.forget(connection);
    };
    stream.on('end', () => {
      gone();
      stream.end();
    });
    for (const event of ['error', 'close', 'cancelled']) stream.on(event, gone);
  }

  /** The first frame of a stream. */
  private open(site: string, stream: Stream, frame: SiteFrame): Connection {
    const protocolVersion = checkHello(site, frame, this.options.protocol ?? PROTOCOL);
    this.end(site, new ConcordatError('SITE_REPLACED', `site "${site}" connected again`));
    const nowMs = this.options.nowMs();
    const connection: Connection = { site, stream, heardMs: nowMs, answeredMs: nowMs, heartbeat: 0 };
    this.connections.set(site, connection);
    const { programVersion, heartbeatIntervalMs } = this.options;
    const rosterVersion = this.options.rosterVersion();
    stream.write(
      encodeCoordinatorFrame({
        type: 'welcome',
        protocolVersion,
        programVersion,
        heartbeatIntervalMs,
        rosterVersion,
      }),
    );
    this.handlers.onSiteConnected(site);
    return connection;
  }

  private received(connection: Connection, frame: SiteFrame): void {
    // A stream that was replaced or ended may still deliver; it no longer speaks for the site.
    if (this.connections.get(connection.site) !== connection) return;
    connection.heardMs = this.options.nowMs();
    if (frame.type === 'heartbeat') {
      if (frame.sequence <= connection.heartbeat)
        throw new ConcordatError('WIRE_FIELD_INVALID', 'the number of a heartbeat did not rise');
      connection.heartbeat = frame.sequence;
      this.answer(connection);
    } else if (frame.type === 'hello') throw new ConcordatError('WIRE_FIELD_INVALID', 'a stream said hello twice');
    else this.handlers.onSiteMessage(connection.site, frame);
  }

  private answer(connection: Connection): void {
    connection.answeredMs = this.options.nowMs();
    connection.stream.write(encodeCoordinatorFrame({ type: 'heartbeatAnswer', sequence: connection.heartbeat }));
  }

  /**
   * A part of a transfer came from the site. On a slow line its heartbeats stand in line behind megabytes, so what
   * arrives counts as a sign of life, and is answered as often as a heartbeat would be.
   */
  heard(site: string): void {
    const connection = this.connections.get(site);
    if (connection === undefined) return;
    connection.heardMs = this.options.nowMs();
    if (connection.heardMs - connection.answeredMs >= this.options.heartbeatIntervalMs) this.answer(connection);
  }

  private forget(connection: Connection): void {
    if (this.connections.get(connection.site) !== connection) return;
    this.connections.delete(connection.site);
    this.handlers.onSiteDisconnected(connection.site);
  }

  private closeSilent(): void {
    const now = this.options.nowMs();
    const { livenessTimeoutMs } = this.options;
    // If this process itself was held up, the sites' heartbeats still wait to be read: give them their time.
    const heldUp = now - this.checkedMs > livenessTimeoutMs / 2;
    this.checkedMs = now;
    for (const connection of [...this.connections.values()]) {
      if (heldUp) connection.heardMs = now;
      if (now - connection.heardMs <= livenessTimeoutMs) continue;
      this.end(connection.site, new ConcordatError('WIRE_SILENT', `site "${connection.site}" gave no sign of life`));
    }
  }
}

/** The version to speak. Throws WIRE_MESSAGE_UNKNOWN, WIRE_VERSION_MISMATCH or ENROLL_CERTIFICATE_UNKNOWN. */
function checkHello(site: string, frame: SiteFrame, mine: VersionRange): number {
  if (frame.type !== 'hello') throw new ConcordatError('WIRE_MESSAGE_UNKNOWN', 'a stream must begin with hello');
  const version = chosenVersion(frame, mine);
  if (frame.site !== site)
    throw new ConcordatError(
      'ENROLL_CERTIFICATE_UNKNOWN',
      `the certificate belongs to another site than "${frame.site}"`,
    );
  return version;
}

function chosenVersion({ oldestProtocolVersion, protocolVersion, programVersion }: Hello, mine: VersionRange): number {
  const theirs = { oldest: oldestProtocolVersion, newest: protocolVersion };
  const version = commonVersion(mine, theirs);
  if (version !== null) return version;
  throw new ConcordatError(
    'WIRE_VERSION_MISMATCH',
    versionConflict(
      { ...mine, name: 'the coordinator' },
      { ...theirs, name: `the site (Concordat ${programVersion})` },
    ),
  );
}
