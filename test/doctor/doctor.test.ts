import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateCheck, doctorText, nodeCheck, ok, problem } from '../../cli/doctor/check.js';
import { coordinatorDoctor } from '../../cli/doctor/coordinator-doctor.js';
import { clockCheck, dnsCheck, portCheck, proxyCheck, tlsCheck } from '../../cli/doctor/network.js';
import { siteDoctor } from '../../cli/doctor/site-doctor.js';
import { openSiteStore } from '../../site-agent/store.js';
import { Loopback } from '../support/federation.js';

/** Doctors against folders and lines that are well, and against each ailment they know. */
let loopback: Loopback;
let folder: string;

beforeAll(async () => {
  loopback = await Loopback.start();
  await loopback.join('alder');
  await loopback.sign();
  folder = loopback.siteDir('alder');
  writeFileSync(path.join(folder, 'cohort.yaml'), 'concordat: 1\ntable: cases.csv\nid: patient_id\n');
  writeFileSync(path.join(folder, 'cases.csv'), 'patient_id,f1\nzebra-77,1\n');
});
afterAll(() => loopback.stop());

type Checks = Awaited<ReturnType<typeof siteDoctor>>;
const of = (checks: Checks, name: string) => checks.find((check) => check.name === name);
const states = (checks: Checks) => Object.fromEntries(checks.map(({ name, state }) => [name, state]));
const site = (nowMs = Date.now, env: NodeJS.ProcessEnv = {}) => siteDoctor(folder, env, nowMs);

describe('site doctor', () => {
  it('finds a well site well, and shows nothing of its patients', async () => {
    const checks = await site();
    expect(states(checks)).toMatchObject({
      'Node.js': 'ok',
      keys: 'ok',
      'key files': 'ok',
      policy: 'ok',
      cohort: 'ok',
      enrollment: 'ok',
      proxy: 'ok',
      port: 'ok',
      TLS: 'ok',
      coordinator: 'ok',
      clock: 'ok',
      access: 'ok',
    });
    expect(JSON.stringify(checks)).not.toContain('zebra');
  });

  it('names key files that others may read, with the command that mends it', async () => {
    const key = path.join(folder, 'keys', 'signing.key');
    chmodSync(key, 0o644);
    const found = of(await site(), 'key files');
    chmodSync(key, 0o600);
    expect(found).toMatchObject({ state: 'problem', fix: `chmod 600 ${key}` });
  });

  it('names a policy and a cohort that cannot be read', async () => {
    const policy = path.join(folder, 'policy.yaml');
    writeFileSync(policy, 'concordat: 1\nminimumCohrt: 3\n');
    const bad = of(await site(), 'policy');
    expect(bad?.state).toBe('problem');
    writeFileSync(policy, 'concordat: 1\nautomaticApproval: true\n');
    expect(of(await site(), 'policy')).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('approves studies by itself'),
    });
    rmSync(policy);
    rmSync(path.join(folder, 'cases.csv'));
    expect(of(await site(), 'cohort')).toMatchObject({
      state: 'problem',
      detail: expect.stringContaining('cases.csv cannot be read'),
    });
    writeFileSync(path.join(folder, 'cases.csv'), 'patient_id,f1\nzebra-77,1\n');
  });

  it('names an egress ledger whose chain is broken', async () => {
    const store = openSiteStore(folder);
    store.appendLedger('{"number":1,"previous":"","bytes":1,"hash":"00"}');
    store.close();
    expect(of(await site(), 'store')?.state).toBe('problem');
    for (const name of ['site.db', 'site.db-wal', 'site.db-shm']) rmSync(path.join(folder, name), { force: true });
  });

  it('names a certificate that ends soon or has ended, and a clock that is off', async () => {
    const days = (count: number) => () => Date.now() + count * 86_400_000;
    expect(of(await site(days(710)), 'enrollment')?.state).toBe('warning');
    expect(of(await site(days(800)), 'enrollment')?.state).toBe('problem');
    expect(of(await site(days(1)), 'clock')).toMatchObject({
      state: 'problem',
      detail: expect.stringContaining('ahead'),
    });
  });

  it('tells a site that is revoked so', async () => {
    await loopback.join('birch');
    await loopback.sign();
    await loopback.sign({ revoke: ['birch'] });
    const checks = await siteDoctor(loopback.siteDir('birch'), {}, Date.now);
    expect(of(checks, 'access')).toMatchObject({
      state: 'problem',
      detail: expect.stringContaining('SITE_REVOKED'),
    });
  });

  it('says of a folder without keys what to do', async () => {
    const checks = await siteDoctor(path.join(loopback.root, 'nothing'), {}, Date.now);
    expect(checks.at(-1)).toMatchObject({ name: 'keys', state: 'problem', fix: expect.stringContaining('site init') });
  });
});

/** A proxy that answers CONNECT with `status`, and then joins the lines. */
async function proxyServer(status: string): Promise<{ port: number; heads: string[]; close(): void }> {
  const heads: string[] = [];
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    client.once('data', (head) => {
      heads.push(head.toString('latin1'));
      const port = Number(/^CONNECT [^:]+:(\d+)/.exec(heads.at(-1)!)?.[1]);
      client.write(`HTTP/1.1 ${status}\r\n\r\n`);
      if (!status.startsWith('200')) return void client.end();
      const upstream = net.connect(port, '127.0.0.1');
      upstream.on('error', () => undefined);
      client.pipe(upstream).pipe(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as net.AddressInfo).port, heads, close: () => server.close() };
}

describe('the line', () => {
  it('goes through an HTTP proxy, with name and password', async () => {
    const server = await proxyServer('200 Connection established');
    const { proxy, check } = proxyCheck('127.0.0.1:7443', {
      https_proxy: `http://me:secret%21@127.0.0.1:${server.port}`,
    });
    expect(check).toMatchObject({ state: 'ok' });
    expect(check.detail).not.toContain('secret');
    const line = await portCheck('127.0.0.1', loopback.server.port, proxy);
    expect(line.check.state).toBe('ok');
    expect(server.heads[0]).toContain(`Basic ${Buffer.from('me:secret!').toString('base64')}`);
    const { invitation } = await loopback.join('cedar');
    expect((await tlsCheck(line.socket!, invitation.authority)).state).toBe('ok');
    line.socket!.destroy();
    server.close();
  });

  it.each([
    ['407 Proxy Authentication Required', /NAME:PASSWORD/],
    ['403 Forbidden', /allow CONNECT/],
  ])('names a proxy that answers %s', async (status, fix) => {
    const server = await proxyServer(status);
    const { proxy } = proxyCheck('127.0.0.1:7443', { https_proxy: `http://127.0.0.1:${server.port}` });
    const { check, socket } = await portCheck('127.0.0.1', loopback.server.port, proxy);
    expect(socket).toBeNull();
    expect(check).toMatchObject({ state: 'problem', fix: expect.stringMatching(fix) });
    server.close();
  });

  it('takes the proxy that the agent takes, also by a name in capitals, for every question', async () => {
    const server = await proxyServer('200 Connection established');
    const checks = await site(Date.now, { HTTPS_PROXY: `http://127.0.0.1:${server.port}` });
    server.close();
    expect(of(checks, 'proxy')).toMatchObject({ state: 'ok', detail: `127.0.0.1:${server.port}` });
    expect(states(checks)).toMatchObject({ port: 'ok', TLS: 'ok', coordinator: 'ok' });
    expect(server.heads).toHaveLength(2);
    expect(proxyCheck('co.example:7443', { https_proxy: 'http://p:1', NO_PROXY: '.example' }).proxy).toBeNull();
    expect(proxyCheck('h:7443', { https_proxy: 'http://p:1', no_proxy: 'other,' }).proxy).not.toBeNull();
    expect(proxyCheck('h:7443', { grpc_proxy: 'http://p:1' }).proxy).toBeNull();
    const { check } = proxyCheck('h:7443', { https_proxy: 'socks5://me:secret@p:1' });
    expect(check).toMatchObject({ state: 'problem', fix: expect.stringContaining('http') });
    expect(JSON.stringify(check)).not.toContain('secret');
  });

  it('names a closed port, a name nobody knows, and what is no coordinator', async () => {
    const closed = await proxyServer('200 OK');
    closed.close();
    expect((await portCheck('127.0.0.1', closed.port, null)).check).toMatchObject({
      state: 'problem',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    expect((await dnsCheck('no-such-host.invalid')).state).toBe('problem');
    const plain = net.createServer((socket) => socket.end('220 mail\r\n').on('error', () => undefined));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const line = await portCheck('127.0.0.1', (plain.address() as net.AddressInfo).port, null);
    const { invitation } = await loopback.join('dogwood');
    expect(await tlsCheck(line.socket!, invitation.authority)).toMatchObject({ name: 'TLS', state: 'problem' });
    plain.close();
  });

  it('names whoever opens TLS in between', async () => {
    const other = await Loopback.start();
    const { invitation } = await loopback.join('elm');
    const line = await portCheck('127.0.0.1', other.server.port, null);
    expect(await tlsCheck(line.socket!, invitation.authority)).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/made by ".+", not by the pinned authority/),
    });
    line.socket!.destroy();
    await other.stop();
  });

  it('judges clocks by how far they are off', () => {
    expect([1_000, -90_000, 700_000].map((skewMs) => clockCheck(skewMs).state)).toEqual(['ok', 'warning', 'problem']);
  });
});

describe('coordinator doctor', () => {
  it('finds a well coordinator well, and names what waits', async () => {
    const checks = await coordinatorDoctor(loopback.coordinatorDir, Date.now);
    expect(states(checks)).toMatchObject({ folder: 'ok', 'key files': 'ok', 'consortium key': 'ok', authority: 'ok' });
    const roster = of(checks, 'roster');
    expect(roster).toMatchObject({ state: 'warning', fix: expect.stringContaining('sign-roster') });
    expect(roster!.detail).toMatch(/waiting: cedar, dogwood, elm$/);
    expect(of(checks, 'event log')?.state).toBe('skipped');
  });

  it('asks the running coordinator, and says where none runs', async () => {
    const address = path.join(loopback.coordinatorDir, 'address.json');
    writeFileSync(address, JSON.stringify({ port: loopback.server.port }));
    expect(states(await coordinatorDoctor(loopback.coordinatorDir, Date.now))).toMatchObject({
      port: 'ok',
      TLS: 'ok',
      coordinator: 'ok',
      clock: 'ok',
    });
    const closed = await proxyServer('200 OK');
    closed.close();
    writeFileSync(address, JSON.stringify({ port: closed.port }));
    expect(of(await coordinatorDoctor(loopback.coordinatorDir, Date.now), 'port')?.state).toBe('warning');
    rmSync(address);
  });

  it('names a consortium key that lies where it must not, and requests that nobody takes up', async () => {
    const key = path.join(loopback.coordinatorDir, 'consortium.key');
    const inbox = path.join(loopback.coordinatorDir, 'inbox');
    mkdirSync(inbox, { recursive: true });
    writeFileSync(key, 'x', { mode: 0o600 });
    writeFileSync(path.join(inbox, '1.json'), '{}');
    expect(states(await coordinatorDoctor(loopback.coordinatorDir, Date.now))).toMatchObject({
      'consortium key': 'problem',
      inbox: 'warning',
    });
    rmSync(key);
    rmSync(inbox, { recursive: true });
  });
});

describe('what a doctor prints', () => {
  it('is aligned, with the way to mend it below', () => {
    const text = doctorText([ok('disk', '9 GB free'), problem('port', 'h:1 is closed', 'Open it.')]);
    expect(text.split('\n')).toEqual([
      'ok       disk  9 GB free',
      'PROBLEM  port  h:1 is closed',
      '               → Open it.',
      '',
      '1 problem, 0 warnings',
    ]);
  });

  it('knows which Node.js is too old', () => {
    expect(['v20.18.1', 'v20.19.0', 'v22.0.0'].map((version) => nodeCheck(version).state)).toEqual([
      'problem',
      'ok',
      'ok',
    ]);
    expect(certificateCheck('c', 10 * 86_400_000, 0, 'renew').detail).toBe('ends 1970-01-11, in 10 days');
  });
});
