import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initConsortium, signRoster } from '../../cli/consortium-keys.js';
import { coordinatorAddress, proposeStudy } from '../../cli/demo/federation.js';
import { DemoProcess, until } from '../../cli/demo/processes.js';
import { createInvitation, initCoordinator } from '../../coordinator/enrollment.js';
import { invitationText } from '../../shared/enrollment.js';
import { enrollSite, initSite } from '../../site-agent/keys.js';
import { requestEnrollment } from '../../site-agent/rpc.js';
import { FOUR_SITES, simulatedTable, smallStudy } from './support.js';

/**
 * A site as a hospital should run it: as a user of its own with no rights, over a table that it may read and not change.
 * Needs root, to become that user.
 */
const NOBODY = { uid: 65_534, gid: 65_534 };
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const ENVIRONMENT = { PATH: process.env['PATH'], HOME: '/nonexistent' };

function asNobody(args: readonly string[], cwd = '/') {
  const run = spawnSync(process.execPath, args, { ...NOBODY, cwd, env: ENVIRONMENT, encoding: 'utf8' });
  return { status: run.status, out: run.stdout ?? '', err: `${run.stderr ?? ''}${run.error?.message ?? ''}` };
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'not on Linux';
  if (process.getuid?.() !== 0) return 'not run as root';
  if (!existsSync(main)) throw new Error('dist/cli/main.js is missing: run `npm run build` first');
  const tried = asNobody([main, '--version']);
  return tried.status === 0 ? null : `another user cannot read the program: ${tried.err.slice(0, 200)}`;
}

const reason = whyNot();
if (reason !== null) console.warn(`SKIPPED: the agent as an unprivileged user, ${reason}`);

/** What belongs to the unprivileged user in the places where any user may write, two levels deep, but for `except`. */
function ownedBelow(places: readonly string[], except: string): string[] {
  const look = (folder: string, depth: number): string[] => {
    let names: string[];
    try {
      names = readdirSync(folder);
    } catch {
      return [];
    }
    return names.flatMap((name) => {
      const file = path.join(folder, name);
      const found = file === except || file === '/proc' ? undefined : lstatSync(file, { throwIfNoEntry: false });
      if (found === undefined) return [];
      return [
        ...(found.uid === NOBODY.uid ? [file] : []),
        ...(found.isDirectory() && depth > 1 ? look(file, depth - 1) : []),
      ];
    });
  };
  // The places overlap.
  return [...new Set(places.flatMap((place) => look(place, 2)))];
}

describe.skipIf(reason !== null)('an agent without rights, over a table that it may only read', () => {
  let root: string;
  let site: string;
  let data: string;
  let coordinator: DemoProcess;
  let agent: ChildProcess | undefined;
  let before: Set<string>;
  const said: string[] = [];
  const places = ['/', os.tmpdir(), '/tmp', '/var/tmp', '/dev/shm', '/run', path.dirname(path.dirname(main))];
  const concordat = (...args: string[]) => asNobody([main, ...args], site);
  const json = (...args: string[]) => JSON.parse(concordat('--json', ...args).out) as Record<string, unknown>;

  beforeAll(async () => {
    root = mkdtempSync(path.join(os.tmpdir(), 'concordat-unprivileged-'));
    chmodSync(root, 0o755);
    [site, data] = [path.join(root, 'site'), path.join(root, 'data')];
    mkdirSync(site, { mode: 0o700 });
    chownSync(site, NOBODY.uid, NOBODY.gid);
    mkdirSync(data, { mode: 0o755 });
    writeFileSync(path.join(data, 'cases.csv'), simulatedTable('alder'), { mode: 0o644 });
    const [folder, consortium] = [path.join(root, 'coordinator'), path.join(root, 'consortium')];
    await initCoordinator(folder, initConsortium(consortium));
    mkdirSync(path.join(root, 'logs'));
    const args = ['coordinator', 'start', '--dir', folder, '--host', '127.0.0.1', '--port', '0'];
    coordinator = new DemoProcess('coordinator', args, path.join(root, 'logs'));
    coordinator.start();
    const address = await coordinatorAddress(coordinator, folder);
    before = new Set(ownedBelow(places, site));

    expect(concordat('site', 'init', 'alder', '--dir', '.', '--preset', 'standard')).toMatchObject({ status: 0 });
    writeFileSync(
      path.join(site, 'cohort.yaml'),
      'concordat: 1\ntable: ../data/cases.csv\nid: patient_id\nmissing: ["", NA]\n',
    );
    writeFileSync(path.join(site, 'policy.yaml'), 'concordat: 1\npreset: standard\nsecureAggregation: optional\n');
    const invitation = path.join(root, 'invitation.json');
    writeFileSync(invitation, invitationText(createInvitation(folder, 'alder', address)));
    expect(concordat('site', 'enroll', invitation, '--dir', '.')).toMatchObject({ status: 0, err: '' });
    // The others are in the roster and never start: a study is proposed, and waits.
    for (const name of FOUR_SITES.filter((other) => other !== 'alder')) {
      const other = path.join(root, 'others', name);
      await initSite(other, name);
      await enrollSite(other, createInvitation(folder, name, address), requestEnrollment);
    }
    await signRoster(consortium, folder);
    agent = spawn(process.execPath, [main, 'site', 'start', '--dir', '.'], {
      ...NOBODY,
      cwd: site,
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [agent.stdout!, agent.stderr!]) stream.on('data', (text: Buffer) => said.push(String(text)));
    await heard(/^connected$/m);
    await proposeStudy({ coordinatorFolder: folder } as Parameters<typeof proposeStudy>[0], smallStudy('read-only'));
    await heard(/read-only proposed/);
  });

  afterAll(async () => {
    if (agent !== undefined && agent.exitCode === null) {
      const ended = new Promise((resolve) => agent!.once('exit', resolve));
      agent.kill('SIGTERM');
      await ended;
    }
    await coordinator?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const heard = (pattern: RegExp) =>
    until(
      () => (pattern.test(said.join('')) ? true : undefined),
      () => new Error(`waited in vain for ${pattern}: ${said.join('')}`),
      40_000,
    );

  it('is another user that cannot change the table', () => {
    const write = `require('node:fs').appendFileSync(${JSON.stringify(path.join(data, 'cases.csv'))}, 'x')`;
    expect(asNobody(['-e', write]).err).toContain('EACCES');
    const add = `require('node:fs').writeFileSync(${JSON.stringify(path.join(data, 'cases.csv.new'))}, 'x')`;
    expect(asNobody(['-e', add]).err).toContain('EACCES');
    expect(statSync(`/proc/${agent!.pid}`).uid).toBe(NOBODY.uid);
  });

  it('looks after itself: doctor finds nothing wrong with keys, table, store and line', () => {
    const { checks } = json('site', 'doctor', '--dir', '.') as { checks: { name: string; state: string }[] };
    const states = Object.fromEntries(checks.map(({ name, state }) => [name, state]));
    expect(states).toMatchObject({ keys: 'ok', 'key files': 'ok', cohort: 'ok', store: 'ok', enrollment: 'ok' });
    expect(checks.filter(({ state }) => state === 'problem')).toEqual([]);
  });

  it('reads the table, and shows beside the running agent what would leave', () => {
    const [study] = json('site', 'status', '--dir', '.')['studies'] as { study: string; state: string }[];
    expect(study!.state).toBe('waiting for your decision');
    const picture = json('site', 'approve', study!.study, '--dir', '.', '--dry-run');
    const rows = simulatedTable('alder').trimEnd().split('\n').length - 1;
    const { patients, exclusions } = picture as { patients: number; exclusions: { count: number }[] };
    expect(patients).toBeGreaterThan(0);
    expect(patients + exclusions.reduce((sum, { count }) => sum + count, 0)).toBe(rows);
  });

  it('wrote nothing outside its folder, and what it wrote there is its own', () => {
    expect(ownedBelow(places, site).filter((file) => !before.has(file))).toEqual([]);
    // The search does find what such a user leaves behind.
    const left = path.join(os.tmpdir(), `${path.basename(root)}-left`);
    asNobody(['-e', `require('node:fs').writeFileSync(${JSON.stringify(left)}, '')`]);
    try {
      expect(ownedBelow(places, site).filter((file) => !before.has(file))).toEqual([left]);
    } finally {
      rmSync(left, { force: true });
    }
    expect(readdirSync(data)).toEqual(['cases.csv']);
    expect(readFileSync(path.join(data, 'cases.csv'), 'utf8')).toBe(simulatedTable('alder'));
    const written = readdirSync(site, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(written.map(({ name }) => name)).toEqual(expect.arrayContaining(['site.db', 'erasable.db', 'signing.key']));
    for (const key of ['keys/signing.key', 'keys/tls.key'])
      expect(lstatSync(path.join(site, key))).toMatchObject({ uid: NOBODY.uid });
    expect(lstatSync(path.join(site, 'keys/signing.key')).mode & 0o077).toBe(0);
  });
});
