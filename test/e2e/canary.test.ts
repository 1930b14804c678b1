import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { studyHash } from '../../shared/study.js';
import { type Canary, canariesOf, plant, Scanner } from '../security/canary-kit.js';
import { concordat, FOUR_SITES, simulatedTable, smallStudy, TestFederation } from './support.js';

/**
 * Canaries planted at every site, real processes, one study that is published and one whose table cannot be read: nothing
 * of them is in the coordinator's folder, in what any process or command writes, or in what is published.
 */
const UNREADABLE: Canary = { name: 'unreadable cell', cell: '0.27x1QX7' };
const ALL = FOUR_SITES.flatMap((site, number) => Object.values(canariesOf(site, number)));
const tableOf = (site: string) =>
  plant(simulatedTable(site), canariesOf(site, FOUR_SITES.indexOf(site as (typeof FOUR_SITES)[number])));

let federation: TestFederation;
const scanner = new Scanner([...ALL, UNREADABLE]);

beforeAll(async () => {
  federation = await TestFederation.start(FOUR_SITES, { table: tableOf });
}, 120_000);
afterAll(() => federation?.stop());

/** Runs a command as a person and as a program would, and shows the scanner what it writes. */
async function both(channel: string, ...args: string[]): Promise<number[]> {
  const results = await Promise.all([concordat(args), concordat([...args, '--json'])]);
  for (const { stdout, stderr } of results) scanner.see(channel, [stdout, stderr]);
  return results.map(({ status }) => status);
}

it('no patient appears outside, whether the study goes well or not', async () => {
  const good = smallStudy('planted');
  await federation.propose(good);
  const bundle = await federation.published(good);
  const bad = smallStudy('planted-badly', { seed: 8 });
  const birch = federation.siteFolder('birch');
  const damaged = tableOf('birch').replace(canariesOf('birch', 1).feature.cell, UNREADABLE.cell);
  writeFileSync(path.join(birch, 'cases.csv'), damaged);
  await federation.propose(bad);
  await federation.line(federation.coordinator, new RegExp(`^study ${studyHash(bad).slice(0, 12)} declined`));

  const short = studyHash(good).slice(0, 12);
  const dir = ['--dir', birch];
  expect(await both('site commands', 'site', 'approve', short, ...dir, '--dry-run')).not.toContain(5);
  for (const command of ['status', 'studies', 'egress', 'doctor'])
    expect(await both('site commands', 'site', command, ...dir)).not.toContain(5);
  for (const command of ['status', 'list'])
    await both('coordinator commands', 'study', command, '--dir', federation.coordinatorFolder);
  await both('coordinator commands', 'model', 'list', '--dir', federation.coordinatorFolder);

  // The same tables in one, simulated: what is written leaves, except `local/`; then one that cannot be read.
  const rows = FOUR_SITES.flatMap((site) =>
    tableOf(site)
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((row) => `${row},${site}`),
  );
  const header = `${tableOf('alder').split('\n')[0]},site`;
  const table = path.join(federation.folder, 'all.csv');
  const study = path.join(federation.folder, 'study.yaml');
  const out = path.join(federation.folder, 'out');
  writeFileSync(study, stringify(good));
  writeFileSync(table, `${[header, ...rows].join('\n')}\n`);
  const simulate = (to: string) => ['simulate', study, '--table', table, '--site-column', 'site', '--out', to];
  expect(await concordat([...simulate(out), '--json'])).toMatchObject({ status: 0 });
  writeFileSync(
    table,
    `${[header, ...rows].join('\n').replace(canariesOf('birch', 1).feature.cell, UNREADABLE.cell)}\n`,
  );
  expect(await both('simulation', ...simulate(`${out}-2`))).toEqual([2, 2]);
  scanner.seeFolder('simulation', out, (file) => file.startsWith('local'));

  scanner.seeFolder('bundle', bundle);
  scanner.seeFolder('coordinator folder', federation.coordinatorFolder);
  scanner.see('coordinator log', federation.coordinator.lines);
  for (const site of FOUR_SITES) scanner.see('site logs', federation.site(site).lines);
  for (const [channel, bytes] of Object.entries(scanner.sizes()))
    expect([channel, bytes > 200]).toEqual([channel, true]);
  expect(scanner.findings()).toEqual([]);

  // The positive control: planted in files and outputs, everything is found.
  const planted = path.join(federation.folder, 'planted');
  mkdirSync(planted);
  writeFileSync(path.join(planted, 'x.bin'), scanner.everything);
  for (const channel of Object.keys(scanner.sizes())) scanner.seeFolder(channel, planted);
  expect(scanner.blindSpots()).toEqual([]);
  // And the site's own folder, where the rows belong, holds them.
  const inside = new Scanner(ALL);
  for (const site of FOUR_SITES) inside.seeFolder('site folder', federation.siteFolder(site));
  expect(new Set(inside.findings().map(({ canary }) => canary)).size).toBeGreaterThan(ALL.length - 2);
}, 240_000);
