import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { DemoProcess } from '../../cli/demo/processes.js';
import { createInvitation, initCoordinator } from '../../coordinator/enrollment.js';
import { invitationText } from '../../shared/enrollment.js';
import { studyHash } from '../../shared/study.js';
import { concordat, FOUR_SITES, readResult, simulatedTable, smallStudy, TestFederation } from './support.js';

/**
 * The command line as its users have it, beside running agents: approvals by hand, the ledger, the registry, a
 * prediction; and what it says when something is not as it should be.
 */
const MANUAL = 'concordat: 1\nvisibility: {metrics: true, descriptions: true, aggregate: true}\n';
const study = smallStudy('by-hand');
const hash = studyHash(study);
const short = hash.slice(0, 12);

let federation: TestFederation;
const dir = (site: string) => federation.siteFolder(site);
const file = (...parts: string[]) => path.join(federation.folder, ...parts);

/** Runs a command with --json and gives its document and exit status. */
async function run(...args: string[]) {
  const { status, stdout, stderr } = await concordat([...args, '--json']);
  expect(stderr).not.toMatch(/^\s+at /m);
  return { status, data: JSON.parse(stdout) };
}

beforeAll(async () => {
  federation = await TestFederation.start(FOUR_SITES, { policy: () => MANUAL });
  writeFileSync(file('study.yaml'), stringify(study));
}, 120_000);
afterAll(() => federation?.stop());

describe('a study decided by hand', () => {
  it('is checked and proposed from its file, and waits at every site', async () => {
    expect(await run('study', 'check', file('study.yaml'))).toMatchObject({ status: 0, data: { valid: true, hash } });
    const proposed = await run('study', 'propose', file('study.yaml'), '--dir', federation.coordinatorFolder);
    expect(proposed).toMatchObject({ status: 0, data: { study: hash, sites: FOUR_SITES } });
    for (const site of FOUR_SITES) {
      await federation.line(federation.site(site), / by-hand proposed: decide with: concordat site approve/);
      const { data } = await run('site', 'studies', '--dir', dir(site));
      expect(data.studies).toMatchObject([{ study: hash, name: 'by-hand', state: 'waiting for your decision' }]);
    }
  });

  it('shows with --dry-run what would leave, and decides nothing', async () => {
    const { status, stdout } = await concordat(['site', 'approve', short, '--dir', dir('alder'), '--dry-run']);
    expect(status).toBe(0);
    for (const computation of ['describe', 'combat', 'moments', 'logistic', 'validate'])
      expect(stdout).toContain(computation);
    expect(stdout).toContain(hash.slice(0, 12));
    const { data } = await run('site', 'studies', '--dir', dir('alder'));
    expect(data.studies[0].state).toBe('waiting for your decision');
    // Without a terminal nobody can answer the question, so nothing is decided either.
    await concordat(['site', 'approve', short, '--dir', dir('alder')]);
    expect((await run('site', 'studies', '--dir', dir('alder'))).data.studies[0].state).toBe(
      'waiting for your decision',
    );
    expect(federation.ledger('alder')).toEqual([]);
  });

  it('refuses a study that it does not know, and a second decision', async () => {
    const unknown = await run('site', 'approve', 'ffff', '--dir', dir('alder'), '--yes');
    expect(unknown).toMatchObject({ status: 2, data: { error: { code: 'STUDY_UNKNOWN' } } });
    for (const site of FOUR_SITES)
      expect(await run('site', 'approve', short, '--dir', dir(site), '--yes')).toMatchObject({
        status: 0,
        data: { decision: 'approved' },
      });
    const again = await run('site', 'decline', short, '--dir', dir('alder'), '--reason', 'second thoughts');
    expect(again).toMatchObject({ status: 3, data: { error: { code: 'SITE_ALREADY_DECIDED' } } });
  });

  it('runs on those approvals to the bytes of the simulation', async () => {
    const bundle = await federation.published(study);
    expect(readResult(bundle)).toBe(federation.simulated(study));
    const { data } = await run('study', 'status', '--dir', federation.coordinatorFolder);
    expect(data.studies).toMatchObject([{ study: hash, phase: 'published', approved: 4, sites: 4, quorum: 3 }]);
    for (const site of FOUR_SITES) await federation.line(federation.site(site), / by-hand published/);
    const status = await run('site', 'status', '--dir', dir('birch'));
    expect(status).toMatchObject({ status: 0, data: { site: 'birch', studies: [{ state: 'published' }] } });
  }, 180_000);

  it('leaves a ledger that `site egress --verify` accepts, until somebody touches it', async () => {
    const { status, data } = await run('site', 'egress', '--dir', dir('cedar'), '--verify');
    expect(status).toBe(0);
    expect(data.verified).toBe(true);
    expect(data.entries.length).toBe(JSON.parse(readResult(await federation.published(study))).totals.length);
    const none = await run('site', 'egress', '--dir', dir('cedar'), '--study', 'ffff');
    expect(none.data.entries).toEqual([]);
    const later = await run('site', 'egress', '--dir', dir('cedar'), '--since', '2100-01-01');
    expect(later.data.entries).toEqual([]);
    // The coordinator holds the site's own signature under the ledger's head, and compares.
    expect(data.countersignedEntries).toBe(data.entries.length);
    const check = (shown: unknown) => {
      writeFileSync(file('ledger.json'), JSON.stringify(shown));
      return run('coordinator', 'egress', '--dir', federation.coordinatorFolder, '--ledger', file('ledger.json'));
    };
    expect(await check(data)).toMatchObject({ status: 0, data: { verified: true, site: 'cedar' } });
    const cut = { ...data, entries: data.entries.slice(0, -1), countersigned: [] };
    expect(await check(cut)).toMatchObject({ status: 1, data: { error: { code: 'STORE_LEDGER_CONTRADICTED' } } });
  });

  it('is audited against its transcript, as far as the hashes reach', async () => {
    const bundle = await federation.published(study);
    const transcript = path.join(path.dirname(bundle), 'transcript');
    const key = path.join(federation.consortiumFolder, 'consortium.pub');
    const audited = await run('model', 'audit', bundle, '--transcript', transcript, '--consortium', key);
    expect(audited).toMatchObject({ status: 0, data: { audited: true, proved: 'committed', problems: [] } });
    const text = readFileSync(path.join(transcript, 'transcript.json'), 'utf8');
    mkdirSync(file('changed'), { recursive: true });
    writeFileSync(
      file('changed', 'transcript.json'),
      text.replace(/("totalHash":")(.)/, (_, head: string, digit: string) => `${head}${digit === '0' ? '1' : '0'}`),
    );
    const changed = await run('model', 'audit', bundle, '--transcript', file('changed'));
    expect(changed).toMatchObject({ status: 1, data: { error: { code: 'BUNDLE_AUDIT_FAILED' } } });
  });

  it('is found in the registry, by the coordinator and by a site beside its running agent', async () => {
    const here = await run('model', 'list', '--dir', federation.coordinatorFolder);
    const there = await run('model', 'list', '--site', dir('birch'));
    expect(there.data).toEqual(here.data);
    expect(here.data.models).toMatchObject([{ studyHash: hash, phase: 'published' }]);
    const got = await run('model', 'get', 'by-hand', '--site', dir('birch'), '--out', file('got'));
    expect(got.status).toBe(0);
    expect(readResult(file('got', 'bundle'))).toBe(readResult(await federation.published(study)));
    const key = path.join(federation.consortiumFolder, 'consortium.pub');
    const verified = await run('model', 'verify', file('got', 'bundle'), '--consortium', key);
    expect(verified).toMatchObject({ status: 0, data: { verified: true, rosterPinned: true, quorum: 3 } });
    writeFileSync(file('got', 'bundle', 'card.md'), 'a better card\n');
    const changed = await run('model', 'verify', file('got', 'bundle'), '--consortium', key);
    expect(changed).toMatchObject({ status: 1, data: { error: { code: 'BUNDLE_NOT_VERIFIED' } } });
    // The agent was not pushed aside by the commands.
    expect(federation.site('birch').lines.filter((line) => /not connected/.test(line))).toEqual([]);
  });

  it('scores new patients with the site’s own calibration', async () => {
    const table = file('new.csv');
    writeFileSync(table, simulatedTable('alder', 12));
    const calibration = path.join(dir('alder'), 'local', `by-hand-${short}`, 'harmonization.json');
    const out = file('predictions.csv');
    const bundle = await federation.published(study);
    const args = ['predict', bundle, '--table', table, '--calibration', calibration, '--id-column', 'patient_id'];
    expect(await run(...args, '--out', out)).toMatchObject({ status: 0, data: { scored: 12, problems: 0 } });
    const rows = readFileSync(out, 'utf8').trimEnd().split('\n').slice(1);
    const probabilities = rows.map((row) => Number(row.split(',')[2]));
    expect(probabilities.every((value) => value > 0 && value < 1)).toBe(true);
    expect(new Set(probabilities).size).toBe(12);
  });
});

describe('what is not as it should be', () => {
  it('a port in use, and a folder in use', async () => {
    const other = file('other-coordinator');
    await initCoordinator(other, new Uint8Array(32).fill(1));
    const port = ['--host', '127.0.0.1', '--port', String(federation.port)];
    expect(await run('coordinator', 'start', '--dir', other, ...port)).toMatchObject({
      status: 4,
      data: { error: { code: 'WIRE_PORT_IN_USE' } },
    });
    for (const command of [
      ['coordinator', 'start', '--dir', federation.coordinatorFolder, ...port],
      ['site', 'start', '--dir', dir('alder')],
    ])
      expect(await run(...command)).toMatchObject({ status: 3, data: { error: { code: 'STORE_LOCKED' } } });
    expect(existsSync(path.join(other, 'address.json'))).toBe(false);
  });

  it('an expired token, one that was used, one of another site', async () => {
    const address = `127.0.0.1:${federation.port}`;
    const invite = (site: string, name: string, ...times: number[]) => {
      const invitation = createInvitation(federation.coordinatorFolder, site, address, ...times);
      writeFileSync(file(name), invitationText(invitation));
      return file(name);
    };
    expect((await run('site', 'init', 'elm', '--dir', file('elm'))).status).toBe(0);
    const expired = invite('elm', 'expired.json', Date.now() - 1000, 500);
    expect(await run('site', 'enroll', expired, '--dir', file('elm'))).toMatchObject({
      status: 3,
      data: { error: { code: 'ENROLL_TOKEN_EXPIRED' } },
    });
    const foreign = invite('fir', 'foreign.json');
    const refused = await run('site', 'enroll', foreign, '--dir', file('elm'));
    expect(refused.status).not.toBe(0);
    const good = invite('elm', 'good.json');
    expect((await run('site', 'enroll', good, '--dir', file('elm'))).status).toBe(0);
    expect((await run('site', 'init', 'elm', '--dir', file('elm-again'))).status).toBe(0);
    expect(await run('site', 'enroll', good, '--dir', file('elm-again'))).toMatchObject({
      status: 3,
      data: { error: { code: 'ENROLL_TOKEN_USED' } },
    });
  });

  it('a site that is not in the roster yet keeps trying, says why, and is let in once the roster is signed', async () => {
    const elm = new DemoProcess('elm', ['site', 'start', '--dir', file('elm')], file('logs'));
    elm.start();
    try {
      await federation.line(elm, /^not connected: .*SITE_NOT_IN_ROSTER/);
      const args = ['--dir', federation.consortiumFolder, '--coordinator', federation.coordinatorFolder];
      expect((await run('consortium', 'sign-roster', ...args)).status).toBe(0);
      await federation.line(elm, /^connected$/);
      // Nobody else had to do anything, and nobody lost a connection.
      for (const site of FOUR_SITES)
        expect(federation.site(site).lines.filter((line) => line.startsWith('not connected'))).toEqual([]);
    } finally {
      await elm.stop();
    }
  });

  it('a certificate that the roster does not name for the site, and a coordinator that the site does not know', async () => {
    // Elm's certificate under a second enrollment: issued by this coordinator, and not the one in the roster.
    const again = createInvitation(federation.coordinatorFolder, 'elm', `127.0.0.1:${federation.port}`);
    writeFileSync(file('again.json'), invitationText(again));
    expect((await run('site', 'init', 'elm', '--dir', file('elm-twin'))).status).toBe(0);
    expect((await run('site', 'enroll', file('again.json'), '--dir', file('elm-twin'))).status).toBe(0);
    expect(await run('model', 'list', '--site', file('elm-twin'))).toMatchObject({
      status: 3,
      data: { error: { code: 'ENROLL_CERTIFICATE_UNKNOWN' } },
    });
    // An invitation whose authority is another coordinator's: the server is refused before a token is shown to it.
    const stranger = createInvitation(file('other-coordinator'), 'gum', `127.0.0.1:${federation.port}`);
    writeFileSync(file('stranger.json'), invitationText(stranger));
    expect((await run('site', 'init', 'gum', '--dir', file('gum'))).status).toBe(0);
    expect(await run('site', 'enroll', file('stranger.json'), '--dir', file('gum'))).toMatchObject({
      status: 4,
      data: { error: { code: 'WIRE_UNTRUSTED_SERVER' } },
    });
  });

  it('errors for people: one message, a hint, no stack trace', async () => {
    copyFileSync(file('study.yaml'), file('typo.yaml'));
    writeFileSync(file('typo.yaml'), readFileSync(file('typo.yaml'), 'utf8').replace('quorum:', 'qorum:'));
    const { status, stdout, stderr } = await concordat(['study', 'check', file('typo.yaml')]);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/did you mean "?quorum/);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
