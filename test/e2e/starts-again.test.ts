import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCoordinator } from '../../cli/run-coordinator.js';
import { runSite } from '../../cli/run-site.js';
import { openSiteStore } from '../../site-agent/store.js';
import { Loopback } from '../support/federation.js';

/** A start that fails halfway leaves the folder free: `keepRunning` tries again in the same process until it succeeds. */
let loopback: Loopback;

beforeAll(async () => {
  loopback = await Loopback.start();
  await loopback.join('alder');
  await loopback.sign();
});
afterAll(() => loopback.stop());

const site = () => runSite(loopback.siteDir('alder'), { restored: false, progress: () => undefined });

async function startsAfter(break_: () => void, mend: () => void, start: () => Promise<{ close(): Promise<void> }>) {
  break_();
  await expect(start()).rejects.toMatchObject({ code: expect.stringMatching(/^STORE_(?!LOCKED)/) });
  mend();
  await (await start()).close();
}

describe('after a start that failed', () => {
  it('at its store a site starts again', async () => {
    const file = path.join(loopback.siteDir('alder'), 'site.db');
    await startsAfter(
      () => writeFileSync(file, 'no database, but long enough that it cannot be taken for an empty one'),
      () => rmSync(file),
      site,
    );
  });

  it('behind its store a site starts again', async () => {
    const folder = loopback.siteDir('alder');
    await startsAfter(
      () => {
        const store = openSiteStore(folder);
        store.appendLedger('no entry');
        store.close();
      },
      () => rmSync(path.join(folder, 'site.db')),
      site,
    );
  });

  it('at its log a coordinator starts again', async () => {
    const folder = loopback.coordinatorDir;
    const file = path.join(folder, 'events.db');
    const aside = `${file}.aside`;
    let moved = false;
    await startsAfter(
      () => {
        try {
          renameSync(file, aside);
          moved = true;
        } catch {
          // There is none yet.
        }
        mkdirSync(file);
      },
      () => {
        rmSync(file, { recursive: true });
        if (moved) renameSync(aside, file);
      },
      () => runCoordinator(folder, { host: '127.0.0.1', port: 0, progress: () => undefined }),
    );
  });
});
