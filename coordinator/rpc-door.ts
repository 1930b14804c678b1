import type { Http2SecureServer, Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ErrorCode } from '../shared/errors.js';
import { LIMITS, type Limits } from '../shared/limits.js';
import type { Roster } from '../shared/roster.js';
import { certificateFingerprint } from './tls.js';

/** Something that was not let in: a log line. Repetitions of one address and code come at the 1st, 10th, 100th, ... time. */
export interface Refusal {
  readonly code: ErrorCode;
  /** IP address of the other side, without its port. */
  readonly address: string;
  readonly message: string;
  /** How often this address met this code so far. */
  readonly times: number;
}

/** What the door holds at this moment; everything in it is bounded by LIMITS. */
export interface DoorLoad {
  /** Connections that no certificate of the roster stands behind, those still shaking hands included. */
  readonly strangers: number;
  /** Connections of each enrolled site. */
  readonly enrolled: Readonly<Record<string, number>>;
  readonly streams: number;
  /** Addresses and codes that the log of refusals remembers. */
  readonly remembered: number;
}

interface Visitor {
  readonly socket: Socket;
  readonly address: string;
  readonly network: string;
  fingerprint: string | null;
  site: string | null;
  session: (Http2Session & { setLocalWindowSize(size: number): void }) | null;
  timer: NodeJS.Timeout;
  bytes: number;
  streams: number;
}

/**
 * The door of the coordinator's port. Who has not shown a certificate of the roster is a stranger: few at a time, few of
 * one network, for a short while and with few bytes. When strangers are too many the oldest of the network with most of
 * them goes, never the one who just came, and never a site that got in: so no flood of one network keeps a site of
 * another out. Messages that were compressed are refused before they are unpacked.
 */
export class Door {
  private readonly visitors = new Map<string, Visitor>();
  private readonly counts = new Map<string, number>();
  private readonly sweep: NodeJS.Timeout;

  constructor(
    private readonly roster: () => Roster | null,
    private readonly report: (refusal: Refusal) => void,
    private readonly limits: Limits = LIMITS,
  ) {
    this.sweep = setInterval(() => this.measure(), limits.strangerSweepMs);
    this.sweep.unref();
  }

  watch(server: Http2SecureServer): void {
    server.prependListener('connection', (socket: Socket) => this.enter(socket));
    server.on('secureConnection', (socket: TLSSocket) => this.identify(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const address = socket.remoteAddress ?? this.addressOfBroken(socket);
      if (address !== null) this.refuse(address, ...handshakeTrouble(error));
    });
    server.on('unknownProtocol', (socket: TLSSocket) => {
      this.refuse(socket.remoteAddress ?? '', 'WIRE_TLS_MISSING', 'the other side does not speak HTTP/2');
      socket.destroy();
    });
    server.on('session', (session: Http2Session) => this.open(session));
    this.guardStreams(server);
  }

  /** One line in the log of what was not let in, with its number; see Refusal. */
  refuse(address: string, code: ErrorCode, message: string): void {
    const key = `${code} ${networkOf(address)}`;
    const times = (this.counts.get(key) ?? 0) + 1;
    this.counts.delete(key);
    this.counts.set(key, times);
    // The one that was not met for longest is forgotten: then it is logged again as if it were new.
    if (this.counts.size > this.limits.refusalsRemembered) this.counts.delete(this.counts.keys().next().value!);
    if (/^10*$/.test(String(times))) this.report({ code, address, message, times });
  }

  /** Call after the roster changed: who is enrolled by now gets a site's room, who is revoked a stranger's. */
  rosterChanged(): void {
    for (const visitor of this.visitors.values()) this.classify(visitor);
  }

  get load(): DoorLoad {
    const enrolled: Record<string, number> = {};
    let strangers = 0;
    let streams = 0;
    for (const visitor of this.visitors.values()) {
      streams += visitor.streams;
      if (visitor.site === null) strangers++;
      else enrolled[visitor.site] = (enrolled[visitor.site] ?? 0) + 1;
    }
    return { strangers, enrolled, streams, remembered: this.counts.size };
  }

  close(): void {
    clearInterval(this.sweep);
    for (const visitor of this.visitors.values()) clearTimeout(visitor.timer);
  }

  /** Ends whatever is still connected. */
  cut(): void {
    for (const visitor of this.visitors.values()) visitor.socket.destroy();
  }

  // Connections ------------------------------------------------------------------------------------------------------

  private enter(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const key = `${address}:${socket.remotePort}`;
    const visitor: Visitor = {
      socket,
      address,
      network: networkOf(address),
      fingerprint: null,
      site: null,
      session: null,
      timer: this.endAfter(key, this.limits.handshakeTimeoutMs, 'no handshake in time'),
      bytes: 0,
      streams: 0,
    };
    this.visitors.set(key, visitor);
    socket.once('close', () => {
      clearTimeout(visitor.timer);
      if (this.visitors.get(key) === visitor) this.visitors.delete(key);
    });
    this.makeRoom(visitor);
  }

  /** The newcomer stays: somebody else of the fullest network goes, the oldest first. */
  private makeRoom(newcomer: Visitor): void {
    const strangers = [...this.visitors.values()].filter(({ site }) => site === null);
    const byNetwork = new Map<string, Visitor[]>();
    for (const stranger of strangers)
      byNetwork.set(stranger.network, [...(byNetwork.get(stranger.network) ?? []), stranger]);
    const own = byNetwork.get(newcomer.network)!;
    let leaves: Visitor | undefined;
    if (own.length > this.limits.strangersPerNetworkMax) leaves = own[0];
    else if (strangers.length > this.limits.strangersMax)
      leaves = [...byNetwork.values()].reduce((fullest, list) => (list.length > fullest.length ? list : fullest))[0];
    if (leaves !== undefined) this.end(leaves, 'WIRE_CONNECTIONS_EXCEEDED', 'too many connections without a site');
  }

  private identify(socket: TLSSocket): void {
    const visitor = this.visitors.get(`${socket.remoteAddress}:${socket.remotePort}`);
    if (visitor === undefined) return;
    const certificate = socket.authorized ? socket.getPeerCertificate() : null;
    visitor.fingerprint = certificate?.raw === undefined ? null : certificateFingerprint(certificate.raw);
    clearTimeout(visitor.timer);
    visitor.timer = this.endAfter(
      `${socket.remoteAddress}:${socket.remotePort}`,
      this.limits.strangerLifetimeMs,
      'a connection without a site stays for a short while only',
    );
    this.classify(visitor);
  }

  /** Whose connection it is by the newest roster, and the room that goes with it. */
  private classify(visitor: Visitor): void {
    const { fingerprint } = visitor;
    const member =
      fingerprint === null
        ? undefined
        : this.roster()?.sites.find((entry) => entry.tlsFingerprint === fingerprint && entry.status === 'active');
    visitor.site = member?.site ?? null;
    if (member === undefined) return;
    widen(visitor);
    const own = [...this.visitors.values()].filter(({ site }) => site === member.site);
    if (own.length > this.limits.connectionsPerSiteMax)
      this.end(own[0]!, 'WIRE_CONNECTIONS_EXCEEDED', `site "${member.site}" opened too many connections`);
  }

  private open(session: Http2Session): void {
    const { remoteAddress, remotePort } = session.socket;
    const visitor = this.visitors.get(`${remoteAddress}:${remotePort}`);
    const address = remoteAddress ?? '';
    session.on('error', (error: Error) =>
      this.refuse(address, 'WIRE_PROTOCOL_BROKEN', `the connection broke the rules of HTTP/2: ${error.message}`),
    );
    if (visitor === undefined) return;
    visitor.session = session as NonNullable<Visitor['session']>;
    if (visitor.site !== null) widen(visitor);
  }

  private endAfter(key: string, delayMs: number, why: string): NodeJS.Timeout {
    const timer = setTimeout(() => {
      const visitor = this.visitors.get(key);
      if (visitor === undefined) return;
      // Who is enrolled stays; should the roster drop it later, its calls are refused one by one and it is cut there.
      if (visitor.site !== null) visitor.timer = this.endAfter(key, delayMs, why);
      else this.end(visitor, 'WIRE_TIME_EXCEEDED', why);
    }, delayMs);
    return timer.unref();
  }

  /** What no stream shows, such as frames that are only sent to be answered, counts in the bytes of the socket. */
  private measure(): void {
    for (const visitor of this.visitors.values())
      if (visitor.site === null && visitor.socket.bytesRead > this.limits.strangerBytesMax) this.tooMuch(visitor);
  }

  private tooMuch(visitor: Visitor): void {
    this.end(visitor, 'WIRE_SIZE_EXCEEDED', 'more bytes than anybody without a site may send');
  }

  private end(visitor: Visitor, code: ErrorCode, message: string): void {
    if (visitor.socket.destroyed) return;
    this.refuse(visitor.address, code, message);
    visitor.session?.destroy();
    visitor.socket.destroy();
  }

  /** A TLS socket that failed has lost its address; the visitor whose socket is gone is the one. */
  private addressOfBroken(socket: TLSSocket): string | null {
    const raw = (socket as unknown as { _parent?: Socket })._parent;
    for (const visitor of this.visitors.values()) if (visitor.socket === raw) return visitor.address;
    return null;
  }

  // Streams ----------------------------------------------------------------------------------------------------------

  /** grpc-js unpacks compressed messages and collects long ones before anybody is asked, so this comes before it. */
  private guardStreams(server: Http2SecureServer): void {
    const inside = server.listeners('stream') as ((...given: unknown[]) => void)[];
    server.removeAllListeners('stream');
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
      if (this.admits(stream, headers)) for (const listener of inside) listener.call(server, stream, headers, ...rest);
    });
  }

  private admits(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const socket = stream.session?.socket;
    const visitor = this.visitors.get(`${socket?.remoteAddress}:${socket?.remotePort}`);
    if (visitor === undefined) {
      stream.destroy();
      return false;
    }
    visitor.streams++;
    stream.once('close', () => {
      visitor.streams--;
    });
    stream.on('error', () => undefined);
    // Beside grpc-js, which pauses the stream in the same turn: this listener sees what that one sees.
    if (visitor.site === null)
      stream.on('data', (chunk: Buffer) => {
        visitor.bytes += chunk.length;
        if (visitor.site === null && visitor.bytes > this.limits.strangerBytesMax) this.tooMuch(visitor);
      });
    const encoding = headers['grpc-encoding'];
    if (encoding === undefined || encoding === 'identity') return true;
    const message = 'compressed messages are not accepted';
    this.refuse(visitor.address, 'WIRE_COMPRESSED', message);
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc+proto',
        'grpc-status': '12',
        'grpc-message': message,
        'concordat-code': 'WIRE_COMPRESSED',
      },
      { endStream: true },
    );
    stream.resume();
    return false;
  }
}

/** Large windows for who is enrolled: what a stranger may leave unread stays at HTTP/2's 64 KiB. */
function widen(visitor: Visitor): void {
  if (visitor.session === null || visitor.session.destroyed) return;
  visitor.session.setLocalWindowSize(LIMITS.flowControlWindowBytes);
}

function handshakeTrouble(error: NodeJS.ErrnoException): [ErrorCode, string] {
  if (/^ERR_SSL_(UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW)$/.test(error.code ?? ''))
    return ['WIRE_TLS_VERSION', 'the other side offers no TLS 1.3'];
  if (error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return ['WIRE_TIME_EXCEEDED', 'no handshake in time'];
  return ['WIRE_TLS_MISSING', `no TLS handshake came about (${error.code ?? 'unknown'})`];
}

/** Who counts as one: an IPv4 address, or the /64 network of an IPv6 address, of which one customer has all. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)).fill('0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

/** IP address of a call's other side, without its port. */
export function addressOf(call: { getPeer(): string }): string {
  return call
    .getPeer()
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '');
}
