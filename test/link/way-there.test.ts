import dns from 'node:dns';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import type { SiteEvents } from '../../shared/transport.js';
import { type Enrolled, enrollSite, initSite } from '../../site-agent/keys.js';
import { openRegistry, requestEnrollment } from '../../site-agent/rpc.js';
import { proxyFor } from '../../site-agent/rpc-proxy.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';
import { type ConnectProxy, connectProxy } from './connect-proxy.js';
import { SlowLine } from './slow-line.js';

/** How a site finds the coordinator: through the hospital's proxy, and at another address than yesterday. */
let loopback: Loopback;
let alder: Enrolled;
const BEATS = { heartbeatIntervalMs: 50 };
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'no_proxy', 'NO_PROXY'];

beforeAll(async () => {
  for (const name of VARIABLES) delete process.env[name];
  loopback = await Loopback.start(BEATS);
  alder = await loopback.join('alder');
  await loopback.sign();
});
afterAll(() => loopback.stop());

class KeptErrors extends RecordingEvents implements SiteEvents {
  readonly errors: ConcordatError[] = [];
  override onDisconnected(reason: ConcordatError): void {
    super.onDisconnected(reason);
    this.errors.push(reason);
  }
}

describe('an HTTP CONNECT proxy', () => {
  const opened: ConnectProxy[] = [];
  const proxyWith = async (options: Parameters<typeof connectProxy>[0], user = '') => {
    const proxy = await connectProxy(options);
    opened.push(proxy);
    process.env['https_proxy'] = `http://${user}127.0.0.1:${proxy.port}`;
    return proxy;
  };
  const coordinator = () => `127.0.0.1:${loopback.server.port}`;
  const credentials = () => ({
    certificatePem: alder.tlsCertificatePem,
    privateKeyPem: alder.tlsKeyPem,
  });
  beforeEach(() => {
    for (const name of VARIABLES) delete process.env[name];
  });
  afterEach(() => {
    for (const name of VARIABLES) delete process.env[name];
    for (const proxy of opened.splice(0)) proxy.close();
  });

  it('carries the connection and its transfers, with the coordinator still checked by its own certificate', async () => {
    const proxy = await proxyWith({});
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    const bytes = new Uint8Array(2_000_000).fill(7);
    expect(Buffer.from(await link.download(await link.upload(bytes))).equals(bytes)).toBe(true);
    expect(new Set(proxy.tunnels)).toEqual(new Set([coordinator()]));
    await link.close();
  });

  it('gets the user and password of its URL, decoded', async () => {
    const proxy = await proxyWith({ credentials: 'hospital:p@ss:w%rd' }, 'hospital:p%40ss%3Aw%25rd@');
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    expect(proxy.refusals).toEqual([]);
    await link.close();
  });

  it('is left aside for hosts in no_proxy', async () => {
    const proxy = await proxyWith({ deny: 403 });
    process.env['no_proxy'] = 'example.org, 127.0.0.0/8';
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    expect([proxy.tunnels, proxy.refusals]).toEqual([[], []]);
    await link.close();
  });

  it.each([
    [407, { credentials: 'hospital:secret' }, /USER:PASSWORD/],
    [403, { deny: 403 }, /allow CONNECT to 127\.0\.0\.1/],
    [502, { deny: 502 }, /cannot reach 127\.0\.0\.1/],
  ])('that refuses with %i is named, with what to do, everywhere', async (status, options, hint) => {
    const birch = loopback.invite('birch');
    if (status === 407) await initSite(loopback.siteDir('birch'), 'birch');
    await proxyWith(options, 'hospital:wrong-one@');
    const events = new KeptErrors();
    const link = loopback.connect(alder, events);
    await until(() => events.errors.length >= 2, 'two tries');
    const registry = openRegistry({
      address: coordinator(),
      authorityPem: alder.invitation.authority,
      certificate: credentials(),
    });
    const refused = [
      ...events.errors,
      await registry.listBundles().catch((error: unknown) => error),
      await enrollSite(loopback.siteDir('birch'), birch, requestEnrollment).catch((error: unknown) => error),
    ];
    for (const error of refused as ConcordatError[]) {
      expect(error).toBeInstanceOf(ConcordatError);
      expect(error.code).toBe('WIRE_PROXY_REFUSED');
      expect(error.message).toContain(`status ${status}`);
      expect(error.hint).toMatch(hint);
      expect(error.message + error.hint).not.toContain('wrong-one');
    }
    await registry.close();
    await link.close();
  });

  it('that is gone is named as such', async () => {
    const proxy = await proxyWith({});
    proxy.close();
    const events = new KeptErrors();
    const link = loopback.connect(alder, events);
    await until(() => events.errors.length >= 1, 'one try');
    expect(events.errors[0]).toMatchObject({ code: 'WIRE_UNREACHABLE' });
    expect(events.errors[0]!.message).toContain(`the proxy 127.0.0.1:${proxy.port} cannot be reached`);
    await link.close();
  });

  it('is read from the environment as curl reads it', () => {
    const at = (environment: Record<string, string>, address = 'coordinator.example.org:7443') => {
      const proxy = proxyFor(address, environment);
      return proxy === null ? null : `${proxy.credentials ?? ''}@${proxy.host}:${proxy.port}`;
    };
    expect(at({})).toBeNull();
    expect(at({ https_proxy: '' })).toBeNull();
    expect(at({ https_proxy: 'http://proxy:3128' })).toBe('@proxy:3128');
    expect(at({ HTTPS_PROXY: 'proxy.example.org:3128' })).toBe('@proxy.example.org:3128');
    expect(at({ http_proxy: 'http://proxy' })).toBe('@proxy:80');
    expect(at({ https_proxy: 'http://a%40b:c%3Ad@[::1]:8080/' })).toBe('a@b:c:d@::1:8080');
    const past = (no_proxy: string, address?: string) => at({ https_proxy: 'proxy:1', no_proxy }, address) === null;
    for (const list of [
      '*',
      'example.org',
      '.example.org',
      '*.example.org',
      'a, Coordinator.Example.org',
      'example.org:7443',
    ])
      expect(past(list), list).toBe(true);
    for (const list of ['', ',', 'ordinator.example.org', 'example.org:443', 'a,,b', '10.0.0.0/8'])
      expect(past(list), list).toBe(false);
    expect(past('10.0.0.0/8', '10.1.2.3:7443')).toBe(true);
    expect(past('10.0.0.0/8', '11.1.2.3:7443')).toBe(false);
    expect(past('fd00::/8', '[fd12::1]:7443')).toBe(true);
    expect(past('::1', '[::1]:7443')).toBe(true);
    for (const wrong of ['https://proxy:3128', 'socks5://proxy:1', 'http://', 'http://user:%zz@proxy:1']) {
      let thrown: unknown;
      try {
        at({ https_proxy: wrong });
      } catch (error) {
        thrown = error;
      }
      expect(thrown, wrong).toMatchObject({ code: 'WIRE_PROXY_INVALID' });
      expect((thrown as ConcordatError).message).not.toContain('zz');
    }
  });
});

describe('an address that changes behind its name', () => {
  const lookup = dns.promises.lookup;
  let addresses: string[] = [];
  let asked = 0;
  beforeEach(() => {
    asked = 0;
    dns.promises.lookup = (async (name: string) => {
      expect(name).toBe('coordinator.example.org');
      asked++;
      return addresses.map((address) => ({ address, family: 4 }));
    }) as unknown as typeof lookup;
  });
  afterEach(() => {
    dns.promises.lookup = lookup;
  });

  it('is found again without anybody’s help, after the old one is gone', async () => {
    const { port } = loopback.server;
    addresses = ['127.0.0.1'];
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events, { address: `coordinator.example.org:${port}` });
    await until(() => events.log.includes('connected'), 'it is in');
    await loopback.server.close();
    await until(() => events.log.length >= 3, 'it tried the old address in vain');
    await loopback.listen({ ...BEATS, host: '127.0.0.2', port });
    addresses = ['127.0.0.2'];
    await until(() => events.log.filter((entry) => entry === 'connected').length === 2, 'it is in again', 10_000);
    expect(asked).toBeGreaterThan(1);
    await link.close();
  });

  it('is found where the old one is a black hole, and a transfer under way ends over the new one', async () => {
    const target = () => ({ host: '127.0.0.2', port: loopback.server.port });
    const old = await SlowLine.open(target, { delayMs: 1, bytesPerSecond: 10_000_000 }, '127.0.0.3');
    const fresh = await SlowLine.open(target, { delayMs: 1 }, '127.0.0.4', old.port);
    addresses = ['127.0.0.3'];
    const events = new RecordingEvents();
    const address = `coordinator.example.org:${old.port}`;
    const link = loopback.connect(alder, events, { address, livenessTimeoutMs: 300 });
    await until(() => events.log.includes('connected'), 'it is in');
    const bytes = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const uploaded = link.upload(bytes);
    await until(() => old.delivered.up > 1_000_000, 'a part has arrived');
    old.blackHole = true;
    old.freeze();
    addresses = ['127.0.0.4'];
    const hash = await uploaded;
    expect(loopback.handlers.blobs.blobSize(hash)).toBe(bytes.length);
    expect(events.log).toContain('WIRE_SILENT');
    expect(old.delivered.up + fresh.delivered.up).toBeLessThan(1.5 * bytes.length);
    await link.close();
    old.close();
    fresh.close();
  });
});

describe('after a connection that worked', () => {
  it('the pauses begin small again, however long the coordinator was away before', async () => {
    const { port } = loopback.server;
    const host = '127.0.0.2';
    const events = new RecordingEvents();
    const pauses = { reconnectFirstMs: 10, reconnectMaxMs: 100_000 };
    const link = loopback.connect(alder, events, { address: `${host}:${port}`, ...pauses });
    await until(() => events.log.includes('connected'), 'it is in');
    const connected = () => events.log.filter((entry) => entry === 'connected').length;
    for (let n = 2; n <= 4; n++) {
      await loopback.server.close();
      const failures = events.log.length;
      await until(() => events.log.length >= failures + 6, 'six tries in vain');
      await loopback.listen({ ...BEATS, host, port });
      const tried = events.log.length;
      await until(() => connected() === n, 'it is in again');
      // At most the try that was under way fails yet: the next one dials, whatever grpc-js thinks of the line.
      expect(events.log.length - tried).toBeLessThanOrEqual(2);
    }
    await link.close();
  });
});
