import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { coordinatorRecord, siteRecord } from '../../cli/observe/log-records.js';
import { coordinatorMetrics, siteMetrics } from '../../cli/observe/metrics.js';
import { openBlobStore } from '../../coordinator/blob-store.js';
import { openEventStore } from '../../coordinator/event-store.js';
import { ConcordatError } from '../../shared/errors.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';
import { type Canary, canariesOf, plant, Scanner } from './canary-kit.js';
import { Composed, until } from './composed.js';

/**
 * A reader of everything outside the hospital: all messages and blobs in both directions, the coordinator's stores and
 * folder, logs, metrics, errors, result and bundle, over studies that go well and studies that do not.
 */
const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const OUTSIDE = ['up', 'down', 'blobs', 'events', 'folder', 'coordinator log', 'coordinator metrics'];
let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** Everything that passes between this site and the coordinator is shown to the scanner. */
function tap(of: Composed, scanner: Scanner): void {
  const start = of.startCoordinator.bind(of);
  of.startCoordinator = async () => {
    await start();
    const connect = of.transport.connect.bind(of.transport);
    of.transport.connect = (site, events) => {
      const link = connect(site, {
        onConnected: () => events.onConnected(),
        onDisconnected: (reason) => {
          scanner.see('down', reason);
          events.onDisconnected(reason);
        },
        onMessage: (message) => {
          scanner.see('down', message);
          events.onMessage(message);
        },
      });
      return {
        ...link,
        get connected() {
          return link.connected;
        },
        send: (message) => {
          scanner.see('up', message);
          return link.send(message);
        },
        upload: (bytes) => {
          scanner.see('up', bytes);
          scanner.see('blobs', bytes);
          return link.upload(bytes);
        },
        download: async (hash) => {
          const bytes = await link.download(hash);
          scanner.see('down', bytes);
          return bytes;
        },
      };
    };
  };
}

/** What is at rest outside, and what the processes would have written and shown. */
async function seeTheRest(of: Composed, scanner: Scanner): Promise<void> {
  for (const record of of.events.replay()) scanner.see('events', record);
  scanner.seeFolder('folder', of.root, (file) => SITES.includes(file.split(path.sep)[0]!));
  const metrics = coordinatorMetrics(of.root);
  for (const event of of.progress) {
    metrics.observe(event);
    scanner.see('coordinator log', [event, coordinatorRecord(event)]);
  }
  scanner.see('coordinator metrics', await metrics.registry.metrics());
  for (const site of of.sites.values()) {
    const own = siteMetrics(site.folder, () => site.store.ledger());
    for (const event of site.progress) {
      own.observe(event);
      scanner.see('site log', [event, siteRecord(event)]);
    }
    scanner.see('site metrics', await own.registry.metrics());
    scanner.see('site ledger', site.store.ledger());
  }
}

async function federation(scanner: Scanner): Promise<Composed> {
  const of = new Composed(SITES);
  world = of;
  // On disk as in a coordinator's process, so that its files are read too.
  Object.assign(of, {
    events: openEventStore(path.join(of.root, 'events.db')),
    blobs: openBlobStore(path.join(of.root, 'blobs')),
  });
  for (const [number, site] of SITES.entries())
    of.site(site).table(plant(simulatedTable(site), canariesOf(site, number)));
  tap(of, scanner);
  await of.start();
  return of;
}

const story = (of: Composed, hash: string) => () =>
  `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify([...of.sites.values()].map((site) => site.progress.slice(-2)))}`;

const ALL: Canary[] = SITES.flatMap((site, number) => Object.values(canariesOf(site, number)));
/** A cell that no number can be read from. */
const UNREADABLE: Canary = { name: 'unreadable cell', cell: '0.27x1QX7' };

it('finds no patient in anything outside the hospitals, over studies that go well and that fail', async () => {
  const scanner = new Scanner([...ALL, UNREADABLE]);
  const of = await federation(scanner);

  // It is in the sums: the secure study and the plain one, whose contributions travel bare.
  for (const secureAggregation of [true, false]) {
    const study = smallStudy(secureAggregation ? 'masked' : 'bare', {
      privacy: { secureAggregation, minimumCohort: 10 },
    });
    const hash = of.propose(study);
    await until(() => of.phase(hash) === 'published', story(of, hash));
  }

  // A table that cannot be read any more.
  const birch = of.site('birch');
  const good = plant(simulatedTable('birch'), canariesOf('birch', 1));
  birch.table(good.replace(canariesOf('birch', 1).feature.cell, UNREADABLE.cell));
  const unreadable = of.propose(smallStudy('unreadable'));
  await until(() => of.phase(unreadable) === 'declined', story(of, unreadable));

  // A cohort that is not the approved one any more.
  birch.table(good);
  birch.withholdUploads = true;
  const changed = of.propose(smallStudy('changed', { seed: 8 }));
  await until(() => ['approved', 'running'].includes(of.phase(changed)), story(of, changed));
  birch.agent.stop();
  birch.table(good.replace(/\n[^\n]*\n$/, '\n'));
  await birch.start();
  birch.connect(of.transport);
  await until(() => birch.problems().includes('COHORT_CHANGED'), story(of, changed));
  birch.withholdUploads = false;
  of.abort(changed, 'the cohort changed');
  await until(() => of.phase(changed) === 'withdrawn', story(of, changed));

  // A study that the policies refuse.
  birch.table(good);
  const refused = of.propose(smallStudy('refused', { privacy: { minSites: 2 }, seed: 9 }));
  await until(() => ['declined', 'published'].includes(of.phase(refused)), story(of, refused));

  await seeTheRest(of, scanner);
  for (const channel of OUTSIDE) expect([channel, scanner.sizes()[channel]! > 200]).toEqual([channel, true]);
  expect(scanner.findings()).toEqual([]);

  // The positive control, through the same ways: planted in each, every canary in every form is found there.
  const { everything } = scanner;
  const link = of.site('cedar').link!;
  const planted = { path: 'x', reason: everything.toString('latin1') };
  scanner.see('down', new ConcordatError('STUDY_INVALID', 'x', { problems: [{ message: 'y' }], cause: everything }));
  await link.upload(everything).catch(() => undefined);
  of.events.append([{ study: 'x'.repeat(64), type: 'planted', payload: everything }]);
  mkdirSync(path.join(of.root, 'registry', 'deep'), { recursive: true });
  writeFileSync(path.join(of.root, 'registry', 'deep', 'planted.bin'), everything);
  for (const record of of.events.replay()) scanner.see('events', record);
  scanner.seeFolder('folder', path.join(of.root, 'registry'));
  for (const channel of ['coordinator log', 'coordinator metrics', 'site log', 'site metrics', 'site ledger'])
    scanner.see(channel, [{ nested: [new Map([['x', everything]])] }, planted]);
  expect(scanner.blindSpots()).toEqual([]);
}, 120_000);
