import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type net from 'node:net';
import { createServer } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createInvitation } from '../../coordinator/enrollment.js';
import { EnrollmentTries } from '../../coordinator/enrollment-tries.js';
import { startServer } from '../../coordinator/rpc.js';
import { createAuthority, issueSiteCertificate, serverIdentity, type TlsIdentity } from '../../coordinator/tls.js';
import { ConcordatError } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import { enrollSite, initSite } from '../../site-agent/keys.js';
import { requestEnrollment } from '../../site-agent/rpc.js';
import { type Loopback, RecordingEvents, until } from '../support/federation.js';
import {
  Besieged,
  CONNECT,
  call,
  closed,
  framed,
  LIST,
  PREFACE,
  STRANGER_ADDRESS,
  selfSigned,
  UPLOAD,
} from './stranger-kit.js';

/** A stranger at the coordinator's port, over real sockets: who it is, and what it speaks. */
let world: Besieged | undefined;

afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const EMPTY = framed(new Uint8Array());

describe('a stranger without standing', () => {
  it('is refused by its kind of certificate, each with its code, and logged with its address', async () => {
    const of = await Besieged.start();
    world = of;
    const foreign = path.join(of.loopback.root, 'foreign');
    await createAuthority(foreign, Date.now());
    const { csr, key } = await requestOf(of, 'alder');
    const pem = (der: Uint8Array) =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const issued = async (dir: string, atMs: number) =>
      pem((await issueSiteCertificate(dir, 'alder', csr, atMs)).certificate);
    const own = of.loopback.coordinatorDir;
    const kinds: [string, { cert: string; key: string } | Record<string, never>][] = [
      ['ENROLL_CERTIFICATE_MISSING', {}],
      ['ENROLL_CERTIFICATE_UNKNOWN', await selfSigned('alder')],
      ['ENROLL_CERTIFICATE_UNKNOWN', { cert: await issued(foreign, Date.now()), key }],
      ['ENROLL_CERTIFICATE_EXPIRED', { cert: await issued(own, Date.now() - 800 * 86_400_000), key }],
      // Of this authority, for the name of an enrolled site, but not the certificate that the roster names.
      ['ENROLL_CERTIFICATE_UNKNOWN', { cert: await issued(own, Date.now()), key }],
    ];
    for (const [code, identity] of kinds)
      for (const method of [LIST, CONNECT, UPLOAD]) {
        const before = of.refusals.length;
        const session = of.http2(identity);
        const answer = await call(session, method, method === LIST ? EMPTY : null).answer;
        expect([method, answer['concordat-code']]).toEqual([method, code]);
        session.destroy();
        if (method === LIST && !of.refusals.slice(0, before).some((entry) => entry.code === code))
          expect(of.refusals.at(-1)).toMatchObject({ code, address: STRANGER_ADDRESS, times: 1 });
      }
    await of.stillServes();
    await until(() => of.load.strangers === 0, 'no stranger is left');
  });

  it('was a site once: revoked, its old certificate opens nothing and its connection is cut', async () => {
    const of = await Besieged.start();
    world = of;
    const birch = await of.loopback.join('birch');
    await of.loopback.sign();
    const session = of.http2({ cert: birch.tlsCertificatePem, key: birch.tlsKeyPem });
    expect((await call(session, LIST, EMPTY).answer)['grpc-status']).toBe('0');
    expect(of.load.enrolled['birch']).toBe(1);
    await of.loopback.sign({ revoke: ['birch'] });
    expect(of.load).toMatchObject({ strangers: 1, enrolled: { alder: 1 } });
    expect((await call(session, LIST, EMPTY).answer)['concordat-code']).toBe('SITE_REVOKED');
    expect(of.codes()).toEqual(['SITE_REVOKED']);
    await of.stillServes();
    session.destroy();
  });

  it('was a site once, and takes up its old TLS session: it is known by the certificate of then and the roster of now', async () => {
    const of = await Besieged.start();
    world = of;
    const birch = await of.loopback.join('birch');
    await of.loopback.sign();
    const identity = { cert: birch.tlsCertificatePem, key: birch.tlsKeyPem };
    const first = of.tls(identity);
    let ticket: Buffer | undefined;
    first.on('session', (issued) => {
      ticket = issued;
    });
    await until(() => ticket !== undefined, 'the coordinator gives a ticket');
    first.destroy();
    const outcome = async () => {
      const socket = of.tls({ ...identity, session: ticket! });
      const session = http2.connect(`https://127.0.0.1:${of.port}`, { createConnection: () => socket });
      const answer = await call(session, LIST, EMPTY).answer;
      expect(socket.isSessionReused()).toBe(true);
      session.destroy();
      return answer['concordat-code'] ?? answer['grpc-status'];
    };
    expect(await outcome()).toBe('0');
    await of.loopback.sign({ revoke: ['birch'] });
    expect(await outcome()).toBe('SITE_REVOKED');
  });

  it('whose certificate runs out while it is connected is refused from then on', async () => {
    const of = await Besieged.start();
    world = of;
    const session = of.http2(of.asSite());
    expect((await call(session, LIST, EMPTY).answer)['grpc-status']).toBe('0');
    of.shiftClock((LIMITS.certificateLifetimeDays + 1) * 86_400_000);
    expect((await call(session, LIST, EMPTY).answer)['concordat-code']).toBe('ENROLL_CERTIFICATE_EXPIRED');
    of.shiftClock(0);
    expect(of.codes()).toEqual(['ENROLL_CERTIFICATE_EXPIRED']);
    session.destroy();
    await of.stillServes();
  });

  it('with a valid certificate speaks for itself only', async () => {
    const of = await Besieged.start();
    world = of;
    const birch = await of.loopback.join('birch');
    await of.loopback.sign();
    const events = new RecordingEvents();
    const link = of.loopback.connect({ ...birch, site: 'alder' }, events);
    await until(() => events.log.length > 0, 'it was answered');
    expect(events.log[0]).toBe('ENROLL_CERTIFICATE_UNKNOWN');
    await link.close();
    expect(of.codes()).toEqual(['ENROLL_CERTIFICATE_UNKNOWN']);
    await of.stillServes();
  });
});

describe('tokens', () => {
  it('of others, used, expired and invented ones are refused with their codes, and logged', async () => {
    const of = await Besieged.start();
    world = of;
    const at = (name: string) => of.loopback.siteDir(name);
    await initSite(at('thief'), 'birch');
    const address = `127.0.0.1:${of.port}`;
    const tried = (invitation: ReturnType<Loopback['invite']>) =>
      enrollSite(at('thief'), invitation, requestEnrollment).then(
        () => 'in',
        (error: ConcordatError) => error.code,
      );
    const used = of.loopback.invite('birch');
    await initSite(at('birch'), 'birch');
    await enrollSite(at('birch'), used, requestEnrollment);
    const expired = createInvitation(of.loopback.coordinatorDir, 'birch', address, Date.now() - 1000, 500);
    const others = { ...of.loopback.invite('cedar'), site: 'birch' };
    const invented = { ...used, token: randomBytes(32).toString('hex') };
    const codes = [];
    for (const invitation of [used, expired, others, invented]) codes.push(await tried(invitation));
    expect(codes).toEqual([
      'ENROLL_TOKEN_USED',
      'ENROLL_TOKEN_EXPIRED',
      'ENROLL_TOKEN_OTHER_SITE',
      'ENROLL_TOKEN_UNKNOWN',
    ]);
    expect(of.codes()).toEqual([...codes].sort());
    // A copy of the folder holds no token: names and contents are hashes.
    const folder = path.join(of.loopback.coordinatorDir, 'tokens');
    const kept = readdirSync(folder).map((file) => `${file} ${readFileSync(path.join(folder, file), 'utf8')}`);
    for (const { token } of [expired, others]) expect(kept.join()).not.toContain(token);
    await of.stillServes();
  });

  it('cannot be guessed at speed: after a few the network waits, others enroll, and time passes', async () => {
    const of = await Besieged.start();
    world = of;
    const site = 'birch';
    await initSite(of.loopback.siteDir(site), site);
    const good = of.loopback.invite(site);
    const guess = () =>
      enrollSite(
        of.loopback.siteDir(site),
        { ...good, token: randomBytes(32).toString('hex') },
        requestEnrollment,
      ).then(
        () => 'in',
        (error: ConcordatError) => error.code,
      );
    const codes: string[] = [];
    for (let n = 0; n < LIMITS.enrollmentTriesMax + 3; n++) codes.push(await guess());
    expect(codes.slice(0, LIMITS.enrollmentTriesMax)).toEqual(
      new Array(LIMITS.enrollmentTriesMax).fill('ENROLL_TOKEN_UNKNOWN'),
    );
    expect(new Set(codes.slice(LIMITS.enrollmentTriesMax))).toEqual(new Set(['ENROLL_TRIES_EXCEEDED']));
    expect(of.codes()).toEqual(['ENROLL_TOKEN_UNKNOWN', 'ENROLL_TRIES_EXCEEDED']);
    of.shiftClock(LIMITS.enrollmentWindowMs + 1);
    await enrollSite(of.loopback.siteDir(site), good, requestEnrollment);
    of.shiftClock(0);
    await of.stillServes();
  });

  it('guessed from one network keep nobody of another from enrolling, and the memory of them is bounded', async () => {
    const tries = new EnrollmentTries(() => 0);
    const wrong = () => Promise.reject(new ConcordatError('ENROLL_TOKEN_UNKNOWN', 'wrong'));
    const code = async (network: string) =>
      tries.tried(network, wrong).catch((error: ConcordatError) => error.code) as Promise<string>;
    for (let n = 0; n < LIMITS.enrollmentTriesMax; n++) await code('10.0.0.1');
    expect(await code('10.0.0.1')).toBe('ENROLL_TRIES_EXCEEDED');
    expect(await tries.tried('10.0.0.2', async () => 'in')).toBe('in');
    for (let n = 0; n < 3 * LIMITS.refusalsRemembered; n++) await code(`net ${n}`);
    expect((tries as unknown as { tries: Map<string, unknown> }).tries.size).toBe(LIMITS.refusalsRemembered);
    // Calls that overlap are counted before they are answered; what was no guess is taken back.
    const answers: (() => void)[] = [];
    const slow = () => new Promise<never>((_, reject) => answers.push(() => void wrong().catch(reject)));
    const codes = Array.from({ length: LIMITS.enrollmentTriesMax + 5 }, () =>
      tries.tried('10.0.0.3', slow).catch((error: ConcordatError) => error.code),
    );
    expect(answers.length).toBe(LIMITS.enrollmentTriesMax);
    for (const answer of answers) answer();
    expect((await Promise.all(codes)).filter((said) => said === 'ENROLL_TOKEN_UNKNOWN').length).toBe(answers.length);
    const broken = () => Promise.reject(new ConcordatError('ENROLL_TOKEN_USED', 'used'));
    for (let n = 0; n < 2 * LIMITS.enrollmentTriesMax; n++)
      expect(await tries.tried('10.0.0.4', broken).catch((error: ConcordatError) => error.code)).toBe(
        'ENROLL_TOKEN_USED',
      );
  });

  it('right ones are not counted: many hospitals behind one address enroll at once, guesses among them or not', async () => {
    const tries = new EnrollmentTries(() => 0);
    const wrong = () => Promise.reject(new ConcordatError('ENROLL_TOKEN_UNKNOWN', 'wrong'));
    const right = () => new Promise<string>((resolve) => setImmediate(() => resolve('in')));
    const at = (enroll: () => Promise<string>) =>
      tries.tried('10.0.0.1', enroll).catch((error: ConcordatError) => error.code);
    const many = Array.from({ length: 5 * LIMITS.enrollmentTriesMax }, () => at(right));
    expect(new Set(await Promise.all(many))).toEqual(new Set(['in']));
    expect((tries as unknown as { tries: Map<string, unknown> }).tries.size).toBe(0);
    const mixed = await Promise.all(
      Array.from({ length: 6 * LIMITS.enrollmentTriesMax }, (_, n) => at(n % 2 === 0 ? wrong : right)),
    );
    const count = (code: string) => mixed.filter((said) => said === code).length;
    expect(count('ENROLL_TOKEN_UNKNOWN')).toBe(LIMITS.enrollmentTriesMax);
    expect(count('in')).toBeGreaterThan(0);
    expect(count('ENROLL_TRIES_EXCEEDED')).toBe(mixed.length - count('in') - LIMITS.enrollmentTriesMax);
  });
});

describe('what is not TLS 1.3 with HTTP/2', () => {
  it('is refused by kind, and logged', async () => {
    const of = await Besieged.start({ handshakeTimeoutMs: 2000 });
    world = of;
    const saying = (bytes: Uint8Array | string) => (from: string) => {
      const socket = of.tcp(from);
      socket.on('connect', () => socket.write(bytes));
      return socket;
    };
    const kinds: [string, (from: string) => net.Socket][] = [
      ['WIRE_TLS_VERSION', (from) => of.tls({ from, maxVersion: 'TLSv1.2' })],
      ['WIRE_TLS_MISSING', saying('GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n')],
      ['WIRE_TLS_MISSING', saying(Uint8Array.from({ length: 400 }, (_, at) => (at * 167 + 91) % 256))],
      ['WIRE_TLS_MISSING', saying(PREFACE)],
      // HTTP/1.1 inside TLS, offered openly and not offered at all.
      ['WIRE_TLS_MISSING', (from) => of.tls({ from, ALPNProtocols: ['http/1.1'] })],
      ['WIRE_TLS_MISSING', (from) => of.tls({ from, ALPNProtocols: [] })],
    ];
    // Each from an address of its own, because repetitions of one are counted and not logged.
    for (const [index, [code, knock]] of kinds.entries()) {
      const from = `127.0.1.${index + 1}`;
      const socket = knock(from);
      await closed(socket);
      await until(() => of.refusals.some(({ address }) => address === from), `${index} was logged`);
      expect([index, of.refusals.filter(({ address }) => address === from).map((entry) => entry.code)]).toEqual([
        index,
        [code],
      ]);
    }
    await of.stillServes();
    await until(() => of.load.strangers === 0, 'no stranger is left');
  });
});

describe('a stranger that poses as the coordinator', () => {
  it('is recognised by the site before anything is sent: wrong authority, expired, breaking TLS open, no TLS', async () => {
    const of = await Besieged.start();
    world = of;
    const { root, coordinatorDir } = of.loopback;
    const meets = async (port: number) => {
      const events = new RecordingEvents();
      const link = of.loopback.connect(of.site, events, { address: `127.0.0.1:${port}` });
      await until(() => events.log.length > 0, 'the site met it');
      await link.close();
      return events.log[0];
    };
    const ends: (() => unknown)[] = [];
    const posing = async (identity: TlsIdentity) => {
      const server = await startServer({
        host: '127.0.0.1',
        port: 0,
        identity,
        roster: () => null,
        handlers: of.loopback.handlers,
        programVersion: 'posing',
      });
      ends.push(() => server.close());
      return server.port;
    };
    const foreign = path.join(root, 'foreign');
    await createAuthority(foreign, Date.now());
    const foreignIdentity = await serverIdentity(foreign, Date.now());
    expect(await meets(await posing(foreignIdentity))).toBe('WIRE_UNTRUSTED_SERVER');

    const stale = path.join(root, 'stale');
    cpSync(path.join(coordinatorDir, 'tls', 'authority.pem'), path.join(stale, 'tls', 'authority.pem'));
    cpSync(path.join(coordinatorDir, 'tls', 'authority.key'), path.join(stale, 'tls', 'authority.key'));
    const old = await serverIdentity(stale, Date.now() - 800 * 86_400_000);
    expect(await meets(await posing(old))).toBe('WIRE_SERVER_EXPIRED');

    // A proxy that ends TLS here, reads along, and opens its own to the real coordinator.
    let read = 0;
    const inspecting = tls.createServer(
      { cert: foreignIdentity.certificatePem, key: foreignIdentity.privateKeyPem, ALPNProtocols: ['h2'] },
      (inside) => {
        const outside = of.tls();
        inside.on('data', (bytes: Buffer) => {
          read += bytes.length;
          outside.write(bytes);
        });
        inside.on('error', () => outside.destroy());
        outside.on('data', (bytes: Buffer) => inside.write(bytes));
      },
    );
    const plain = createServer((socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad\r\n\r\n'));
    for (const server of [inspecting, plain]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      ends.push(() => server.close());
      expect(await meets((server.address() as net.AddressInfo).port)).toBe('WIRE_UNTRUSTED_SERVER');
    }
    expect(read).toBe(0);
    for (const code of ['WIRE_UNTRUSTED_SERVER', 'WIRE_SERVER_EXPIRED'] as const)
      expect(new ConcordatError(code, '').hint).toMatch(/proxy|clock/);
    await Promise.all(ends.map((end) => end()));
    await of.stillServes();
  });
});

/** A certificate request and its key for that name, made outside the site's folder. */
async function requestOf(of: Besieged, site: string): Promise<{ csr: Uint8Array; key: string }> {
  const dir = path.join(of.loopback.root, 'requests');
  await initSite(dir, site);
  let csr = new Uint8Array();
  await enrollSite(dir, of.loopback.invite(site), async (_, request) => {
    csr = new Uint8Array(request.csr);
    throw new Error('only the request was wanted');
  }).catch(() => undefined);
  return { csr, key: readFileSync(path.join(dir, 'keys', 'tls.key'), 'utf8') };
}
