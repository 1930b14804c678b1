import { webcrypto } from 'node:crypto';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';
import * as x509 from '@peculiar/x509';
import '../../shared/reflect-metadata.js';
import type { Refusal } from '../../coordinator/rpc-door.js';
import { SERVER_NAME } from '../../shared/enrollment.js';
import { LIMITS, type Limits } from '../../shared/limits.js';
import type { SiteLink } from '../../shared/transport.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { openRegistry } from '../../site-agent/rpc.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';

/** Strangers come from here, so that an enrolled site on 127.0.0.1 has another address. */
export const STRANGER_ADDRESS = '127.0.0.2';

/** A coordinator with one enrolled site that stays connected, and the log of what was refused. */
export class Besieged {
  readonly siteEvents = new RecordingEvents();
  site!: Enrolled;
  link!: SiteLink;

  private constructor(
    readonly loopback: Loopback,
    readonly refusals: Refusal[],
    private readonly clock: { nowMs: number },
  ) {}

  static async start(limits: Partial<Limits> = {}): Promise<Besieged> {
    const refusals: Refusal[] = [];
    const clock = { nowMs: 0 };
    const loopback = await Loopback.start({
      refused: (refusal) => refusals.push(refusal),
      limits: { ...LIMITS, strangerSweepMs: 20, ...limits },
      nowMs: () => Date.now() + clock.nowMs,
    });
    const made = new Besieged(loopback, refusals, clock);
    made.site = await loopback.join('alder');
    await loopback.sign();
    made.link = loopback.connect(made.site, made.siteEvents);
    await until(() => made.link.connected, 'alder got in');
    refusals.length = 0;
    return made;
  }

  get port(): number {
    return this.loopback.server.port;
  }

  get load() {
    return this.loopback.server.load;
  }

  /** What the coordinator's clock shows from now on, relative to the machine's. */
  shiftClock(byMs: number): void {
    this.clock.nowMs = byMs;
  }

  codes(): string[] {
    return [...new Set(this.refusals.map(({ code }) => code))].sort();
  }

  /** The connected site was never cut, its transfers go on, and a further connection of it gets in at once. */
  async stillServes(): Promise<void> {
    await this.link.upload(Buffer.from(`proof of life ${performance.now()}`));
    const further = openRegistry({
      address: `127.0.0.1:${this.port}`,
      authorityPem: this.site.invitation.authority,
      certificate: { certificatePem: this.site.tlsCertificatePem, privateKeyPem: this.site.tlsKeyPem },
    });
    try {
      await further.listBundles();
    } finally {
      await further.close();
    }
    if (this.siteEvents.log.join() !== 'connected')
      throw new Error(`the connected site met ${this.siteEvents.log.join(', ')}`);
  }

  stop(): Promise<void> {
    return this.loopback.stop();
  }

  // Ways to knock ------------------------------------------------------------------------------------------------------

  tcp(from = STRANGER_ADDRESS): net.Socket {
    const socket = net.connect({ host: '127.0.0.1', port: this.port, localAddress: from });
    socket.on('error', () => undefined);
    return socket;
  }

  tls(options: TlsOptions = {}): tls.TLSSocket {
    const { from = STRANGER_ADDRESS, ...rest } = options;
    const socket = tls.connect({
      socket: this.tcp(from),
      servername: SERVER_NAME,
      ca: this.site.invitation.authority,
      ALPNProtocols: ['h2'],
      ...rest,
    });
    socket.on('error', () => undefined);
    return socket;
  }

  http2(options: TlsOptions = {}): http2.ClientHttp2Session {
    const session = http2.connect(`https://127.0.0.1:${this.port}`, {
      createConnection: () => this.tls(options),
    });
    session.on('error', () => undefined);
    return session;
  }

  /** A connection of the enrolled site itself, for what a stranger would not get as far as. */
  asSite(): TlsOptions {
    return { cert: this.site.tlsCertificatePem, key: this.site.tlsKeyPem, from: '127.0.0.1' };
  }
}

type TlsOptions = tls.ConnectionOptions & { readonly from?: string };

export const closed = (of: net.Socket | http2.ClientHttp2Session | http2.ClientHttp2Stream) =>
  of.destroyed ? Promise.resolve() : new Promise<void>((resolve) => void of.once('close', () => resolve()));

/** A call by hand: what it is answered with. */
export function call(
  session: http2.ClientHttp2Session,
  path: string,
  body: Uint8Array | null,
  headers: http2.OutgoingHttpHeaders = {},
): { readonly stream: http2.ClientHttp2Stream; readonly answer: Promise<http2.IncomingHttpHeaders> } {
  const stream = session.request({ ':method': 'POST', ':path': path, ...GRPC, ...headers });
  const answer = new Promise<http2.IncomingHttpHeaders>((resolve) => {
    // The other half may stay open, so the status counts and not the end of the stream.
    const heard = (headers_: http2.IncomingHttpHeaders) => {
      if (headers_['grpc-status'] !== undefined) resolve(headers_);
    };
    stream.on('response', heard);
    stream.on('trailers', heard);
    stream.on('close', () => resolve({}));
  });
  stream.on('error', () => undefined);
  stream.resume();
  if (body !== null) stream.end(body);
  return { stream, answer };
}

const GRPC = { 'content-type': 'application/grpc+proto', te: 'trailers' };
export const HEALTH = '/grpc.health.v1.Health/Check';
export const ENROLL = '/concordat.v1.Enrollment/Enroll';
export const CONNECT = '/concordat.v1.Federation/Connect';
export const UPLOAD = '/concordat.v1.Transfer/Upload';
export const LIST = '/concordat.v1.Registry/ListBundles';

/** A gRPC message: flag, length, content; the announced length may be a lie. */
export function framed(content: Uint8Array, announced = content.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(announced >>> 0, 1);
  return Buffer.concat([head, content]);
}

/** An HTTP/2 frame by hand. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** `bytes` zeros, a thousandth of that on the wire. */
export const bomb = (bytes: number): Buffer => gzipSync(Buffer.alloc(bytes));

/** A certificate for a fresh key, signed by that key itself or as of any dates. */
export async function selfSigned(name: string): Promise<{ readonly cert: string; readonly key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '42',
      name: [{ CN: [name] }],
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 3_600_000),
      keys,
      signingAlgorithm: algorithm,
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}
