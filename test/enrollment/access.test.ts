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
import { memoryBlobStore } from '../../shared/memory-stores.js';
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
      cert: alder.tlsCertificatePem,
      key: alder.tlsKeyPem,
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
