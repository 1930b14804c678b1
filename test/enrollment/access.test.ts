import http from 'node:http2';
import net from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInvitation, initCoordinator, watchRosters } from '../../coordinator/enrollment.js';
import { startServer } from '../../coordinator/rpc.js';
import { createAuthority, issueSiteCertificate, serverIdentity } from '../../coordinator/tls.js';
import { SERVER_NAME } from '../../shared/enrollment.js';
import { LIMITS } from '../../shared/limits.js';
import { memoryBlobStore, sha256 } from '../../shared/memory-stores.js';
import { type Enrolled, enrollSite, initSite } from '../../site-agent/keys.js';
import { requestEnrollment } from '../../site-agent/rpc.js';
import { callUnary, openStubs } from '../../site-agent/rpc-channel.js';
import { Loopback, RecordingEvents, RecordingHandlers, until } from '../support/federation.js';

/** Who gets in and who does not, over real TLS on loopback. */
let loopback: Loopback;
let alder: Enrolled;

beforeAll(async () => {
  loopback = await Loopback.start();
  alder = await loopback.join('alder');
});
afterAll(() => loopback.stop());

/** The code with which the first try to connect ends, or `connected`. */
async function outcome(enrolled: Enrolled, options: Parameters<Loopback['connect']>[2] = {}): Promise<string> {
  const events = new RecordingEvents();
  const link = loopback.connect(enrolled, events, options);
  await until(() => events.log.length > 0, 'something happened');
  await link.close();
  return events.log[0]!;
}

describe('a site', () => {
  it('waits until the consortium has signed it in, and then needs nobody to get in', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('SITE_NOT_IN_ROSTER'), 'the first refusal');
    await loopback.sign();
    await until(() => events.log.includes('connected'), 'it got in');
    await link.close();
  });

  it('is cut off when it is revoked, while others stay', async () => {
    const birch = await loopback.join('birch');
    await loopback.sign();
    const [toAlder, toBirch] = [new RecordingEvents(), new RecordingEvents()];
    const links = [loopback.connect(alder, toAlder), loopback.connect(birch, toBirch)];
    await until(() => toAlder.log.includes('connected') && toBirch.log.includes('connected'), 'both are in');
    await loopback.sign({ revoke: ['birch'] });
    await until(() => toBirch.log.filter((entry) => entry === 'SITE_REVOKED').length >= 2, 'refused, again and again');
    await expect(links[1]!.listBundles()).rejects.toMatchObject({ code: 'SITE_REVOKED' });
    expect(toAlder.log).toEqual(['connected']);
    expect(links[0]!.connected).toBe(true);
    await Promise.all(links.map((link) => link.close()));
  });

  it('is refused without a certificate, with one of another authority, an old one, another site name', async () => {
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
    });
    await expect(callUnary(stubs.registry.listBundles, stubs.registry, {})).rejects.toMatchObject({
      code: 'ENROLL_CERTIFICATE_MISSING',
    });
    close();

    const foreign = `${loopback.root}/foreign`;
    await createAuthority(foreign, Date.now());
    const csr = await csrOf('alder');
    const pem = (der: Uint8Array) =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const stranger = await issueSiteCertificate(foreign, 'alder', csr, Date.now());
    expect(await outcome({ ...alder, tlsCertificatePem: pem(stranger.certificate) })).toBe(
      'ENROLL_CERTIFICATE_UNKNOWN',
    );

    const old = await issueSiteCertificate(loopback.coordinatorDir, 'alder', csr, Date.now() - 800 * 86_400_000);
    expect(await outcome({ ...alder, tlsCertificatePem: pem(old.certificate) })).toBe('ENROLL_CERTIFICATE_EXPIRED');

    const second = await issueSiteCertificate(loopback.coordinatorDir, 'alder', csr, Date.now());
    expect(await outcome({ ...alder, tlsCertificatePem: pem(second.certificate) })).toBe('ENROLL_CERTIFICATE_UNKNOWN');

    expect(await outcome({ ...alder, site: 'cedar' })).toBe('ENROLL_CERTIFICATE_UNKNOWN');
    expect(await outcome(alder)).toBe('connected');
  });

  it('does not talk to a server of another authority, nor to nobody', async () => {
    const foreign = `${loopback.root}/impostor`;
    await initCoordinator(foreign, alder.consortiumPublicKey);
    const impostor = await startServer({
      host: '127.0.0.1',
      port: 0,
      identity: await serverIdentity(foreign, Date.now()),
      roster: () => null,
      handlers: new RecordingHandlers(memoryBlobStore(), () => Promise.reject(new Error('never'))),
      programVersion: 'test',
    });
    expect(await outcome(alder, { address: `127.0.0.1:${impostor.port}` })).toBe('WIRE_UNTRUSTED_SERVER');
    await impostor.close();
    expect(await outcome(alder, { address: `127.0.0.1:${impostor.port}` })).toBe('WIRE_UNREACHABLE');
  });

  it('cannot pose as the server with its own certificate', async () => {
    const posing = await startServer({
      host: '127.0.0.1',
      port: 0,
      identity: {
        certificatePem: alder.tlsCertificatePem,
        privateKeyPem: alder.tlsKeyPem,
        authorityPem: alder.invitation.authority,
      },
      roster: () => null,
      handlers: new RecordingHandlers(memoryBlobStore(), () => Promise.reject(new Error('never'))),
      programVersion: 'test',
    });
    expect(await outcome(alder, { address: `127.0.0.1:${posing.port}` })).toBe('WIRE_UNTRUSTED_SERVER');
    await posing.close();
  });
});

describe('enrollment over the wire', () => {
  it("refuses expired, used, unknown and other sites' tokens with their codes", async () => {
    const at = (site: string) => loopback.siteDir(site);
    await initSite(at('dogwood'), 'dogwood');
    const address = `127.0.0.1:${loopback.server.port}`;
    const expired = createInvitation(loopback.coordinatorDir, 'dogwood', address, Date.now() - 1000, 500);
    await expect(enrollSite(at('dogwood'), expired, requestEnrollment)).rejects.toMatchObject({
      code: 'ENROLL_TOKEN_EXPIRED',
    });
    const made = { ...loopback.invite('dogwood'), token: '00'.repeat(32) };
    await expect(enrollSite(at('dogwood'), made, requestEnrollment)).rejects.toMatchObject({
      code: 'ENROLL_TOKEN_UNKNOWN',
    });
    const others = { ...loopback.invite('elm'), site: 'dogwood' };
    await expect(enrollSite(at('dogwood'), others, requestEnrollment)).rejects.toMatchObject({
      code: 'ENROLL_TOKEN_OTHER_SITE',
    });
    const good = loopback.invite('dogwood');
    await enrollSite(at('dogwood'), good, requestEnrollment);
    await initSite(at('thief'), 'dogwood');
    await expect(enrollSite(at('thief'), good, requestEnrollment)).rejects.toMatchObject({ code: 'ENROLL_TOKEN_USED' });
  });
});

describe('the port', () => {
  it('speaks TLS 1.3 only', async () => {
    const attempt = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
      new Promise<string>((resolve) => {
        const socket = tlsConnect({
          host: '127.0.0.1',
          port: loopback.server.port,
          ca: alder.invitation.authority,
          servername: SERVER_NAME,
          ALPNProtocols: ['h2'],
          maxVersion,
        });
        socket.on('secureConnect', () => {
          resolve(String(socket.getProtocol()));
          socket.destroy();
        });
        socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? 'error'));
      });
    expect(await attempt('TLSv1.3')).toBe('TLSv1.3');
    expect(await attempt('TLSv1.2')).toMatch(/PROTOCOL_VERSION|ERR_SSL|ECONNRESET/);
  });

  it('announces a window that keeps uploads over long distances fast', async () => {
    const session = http.connect(`https://127.0.0.1:${loopback.server.port}`, {
      ca: alder.invitation.authority,
      servername: SERVER_NAME,
      checkServerIdentity: () => undefined,
    });
    const settings = await new Promise<http.Settings>((resolve) => session.on('remoteSettings', resolve));
    expect(settings.initialWindowSize).toBe(LIMITS.flowControlWindowBytes);
    await until(
      () => (session.state.remoteWindowSize ?? 0) >= LIMITS.flowControlWindowBytes,
      'the connection window is large too',
    );
    session.close();
  });

  it('in use is named as such', async () => {
    const holder = net.createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const port = (holder.address() as net.AddressInfo).port;
    const start = startServer({
      host: '127.0.0.1',
      port,
      identity: await serverIdentity(loopback.coordinatorDir, Date.now()),
      roster: () => null,
      handlers: loopback.handlers,
      programVersion: 'test',
    });
    await expect(start).rejects.toMatchObject({ code: 'WIRE_PORT_IN_USE' });
    holder.close();
  });

  it('answers the standard health check, to anybody', async () => {
    const loaded = loadSync('grpc/health/v1/health.proto', { includeDirs: ['protos'], enums: String });
    const Health = grpc.makeClientConstructor(loaded['grpc.health.v1.Health'] as grpc.ServiceDefinition, 'Health');
    const credentials = grpc.credentials.createSsl(Buffer.from(alder.invitation.authority));
    const client = new Health(`127.0.0.1:${loopback.server.port}`, credentials, {
      'grpc.ssl_target_name_override': SERVER_NAME,
    });
    const check = client['check']!.bind(client) as (
      request: object,
      done: (e: unknown, answer: unknown) => void,
    ) => void;
    const answer = await new Promise((resolve) => check({ service: '' }, (error, value) => resolve(error ?? value)));
    expect(answer).toEqual({ status: 'SERVING' });
    client.close();
  });
});

describe('connections', () => {
  it('come back by themselves when the coordinator restarts on its port', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    const port = loopback.server.port;
    await loopback.server.close();
    await until(() => events.log.length >= 2 && !link.connected, 'it noticed');
    await loopback.listen({ port });
    await until(() => events.log.filter((entry) => entry === 'connected').length === 2, 'it is in again');
    await link.close();
  });

  it('stay open while heartbeats go, and are closed when a site falls silent without closing', async () => {
    const port = loopback.server.port;
    await loopback.server.close();
    await loopback.listen({ port, heartbeatIntervalMs: 40, livenessTimeoutMs: 400 });
    const events = new RecordingEvents();
    const proxy = await freezingProxy(port);
    const link = loopback.connect(alder, events, { address: `127.0.0.1:${proxy.port}`, livenessTimeoutMs: 400 });
    await until(() => events.log.includes('connected'), 'it is in');
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(events.log).toEqual(['connected']);
    proxy.freeze();
    const lost = loopback.handlers.log.length;
    await until(() => loopback.handlers.log.slice(lost).includes('-alder'), 'the coordinator gave it up');
    await until(() => events.log.includes('WIRE_SILENT'), 'the site gave the coordinator up');
    await link.close();
    proxy.close();
  });
});

describe('a control stream', () => {
  const hello = { site: 'alder', protocolVersion: 1, programVersion: 'test' };
  /** Sends these frames on a raw stream; the code with which the coordinator ends it, or `open` where it answers. */
  async function answerTo(frames: object[]): Promise<string> {
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const stream = stubs.federation.connect();
    const code = await new Promise<string>((resolve) => {
      stream.on('error', (error: grpc.ServiceError) => resolve(String(error.metadata?.get('concordat-code')[0])));
      stream.on('data', (wire: { body?: string }) => wire.body === 'heartbeatAnswer' && resolve('open'));
      for (const frame of frames) stream.write(frame);
    });
    stream.cancel();
    close();
    return code;
  }

  it('begins with hello in the same protocol, once, and its heartbeats count upwards', async () => {
    const beat = (sequence: number) => ({ heartbeat: { sequence: String(sequence) } });
    expect(await answerTo([{ hello }, beat(1)])).toBe('open');
    expect(await answerTo([{ hello: { ...hello, protocolVersion: 2 } }])).toBe('WIRE_VERSION_MISMATCH');
    expect(await answerTo([beat(1)])).toBe('WIRE_MESSAGE_UNKNOWN');
    expect(await answerTo([{}])).toBe('WIRE_MESSAGE_UNKNOWN');
    expect(await answerTo([{ hello: { site: 'alder' } }])).toBe('WIRE_FIELD_MISSING');
    expect(await answerTo([{ hello }, { hello }])).toBe('WIRE_FIELD_INVALID');
    expect(await answerTo([{ hello }, beat(0)])).toBe('WIRE_FIELD_INVALID');
  });
});

describe('a transfer that breaks off', () => {
  it('goes on where it stopped: 20 MB both ways through a line that breaks', async () => {
    const proxy = await freezingProxy(loopback.server.port);
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events, { address: `127.0.0.1:${proxy.port}` });
    await until(() => events.log.includes('connected'), 'it is in');
    const bytes = new Uint8Array(20_000_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 2654435761) >>> 24;
    const hash = sha256(bytes);
    proxy.breakAfter(8_000_000);
    expect(await link.upload(bytes)).toBe(hash);
    const sentUp = proxy.up;
    expect(proxy.broken).toBe(1);
    expect(loopback.handlers.blobs.blobSize(hash)).toBe(bytes.length);
    // Resumed, not begun again: less than one and a half times the blob went over the line.
    expect(sentUp).toBeGreaterThan(bytes.length);
    expect(sentUp).toBeLessThan(1.5 * bytes.length);

    const down = proxy.down;
    proxy.breakAfter(8_000_000);
    expect(sha256(await link.download(hash))).toBe(hash);
    expect(proxy.broken).toBe(2);
    expect(proxy.down - down).toBeGreaterThan(bytes.length);
    expect(proxy.down - down).toBeLessThan(1.5 * bytes.length);
    await link.close();
    proxy.close();
  });

  it('is refused when a chunk is not what its hash says, and leaves nothing behind', async () => {
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const send = (chunks: object[]) =>
      new Promise<string>((resolve) => {
        const call = stubs.transfer.upload((error) =>
          resolve(String(error?.metadata?.get('concordat-code')[0] ?? 'stored')),
        );
        call.on('error', () => undefined);
        for (const chunk of chunks) call.write(chunk);
        call.end();
      });
    const data = Buffer.from('the data of the chunk');
    const digest = (of: Uint8Array) => Buffer.from(sha256(of), 'hex');
    const good = { blobSha256: digest(data), blobSize: String(data.length), offset: '0', data, sha256: digest(data) };
    expect(await send([{ ...good, data: Buffer.from('other') }])).toBe('WIRE_HASH_MISMATCH');
    expect(await send([{ ...good, blobSha256: undefined }])).toBe('WIRE_FIELD_MISSING');
    expect(await send([{ ...good, blobSize: '3' }])).toBe('WIRE_SIZE_EXCEEDED');
    expect(await send([{ ...good, blobSize: String(LIMITS.blobBytesMax + 1) }])).toBe('WIRE_SIZE_EXCEEDED');
    expect(await send([{ ...good, offset: '5', blobSize: '100' }])).toBe('WIRE_OFFSET_MISMATCH');
    expect(await send([{ ...good, blobSha256: digest(Buffer.from('else')) }])).toBe('WIRE_HASH_MISMATCH');
    expect(await send([])).toBe('WIRE_FIELD_MISSING');
    expect(await send([good])).toBe('stored');
    close();
  });
});

describe('new rosters', () => {
  it('are noticed in the folder of a running coordinator', async () => {
    const seen: number[] = [];
    const failures: string[] = [];
    const watching = watchRosters(
      loopback.coordinatorDir,
      ({ version }) => seen.push(version),
      ({ code }) => failures.push(code),
      20,
    );
    await loopback.join('fir');
    await loopback.sign();
    await until(() => seen.length === 1, 'the new version was seen');
    watching.stop();
    expect(failures).toEqual([]);
  });
});

async function csrOf(site: string): Promise<Uint8Array> {
  const captured = createInvitation(loopback.coordinatorDir, site, 'x:1');
  let csr = new Uint8Array();
  await enrollSite(loopback.siteDir(site), captured, async (_, request) => {
    csr = new Uint8Array(request.csr);
    throw new Error('only the request was wanted');
  }).catch(() => undefined);
  return csr;
}

/** A line that can be frozen (nothing passes, nothing closes) or cut once after a number of bytes. */
async function freezingProxy(target: number) {
  let frozen = false;
  let cutAt = Number.POSITIVE_INFINITY;
  const state = { up: 0, down: 0, broken: 0 };
  const sockets = new Set<net.Socket>();
  const server = net.createServer((from) => {
    const to = net.connect(target, '127.0.0.1');
    sockets.add(from).add(to);
    const pass = (source: net.Socket, sink: net.Socket, way: 'up' | 'down') =>
      source.on('data', (data) => {
        if (frozen) return;
        state[way] += data.length;
        if (state.up + state.down > cutAt) {
          cutAt = Number.POSITIVE_INFINITY;
          state.broken++;
          from.destroy();
          to.destroy();
        } else sink.write(data);
      });
    pass(from, to, 'up');
    pass(to, from, 'down');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on('close', () => frozen || other.destroy());
      one.on('error', () => undefined);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    get up() {
      return state.up;
    },
    get down() {
      return state.down;
    },
    get broken() {
      return state.broken;
    },
    freeze: () => {
      frozen = true;
    },
    breakAfter: (bytes: number) => {
      cutAt = state.up + state.down + bytes;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
