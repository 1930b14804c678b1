import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEventStore } from '../../coordinator/event-store.js';
import { commonVersion, PROTOCOL, type VersionRange, versionConflict } from '../../shared/versions.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { openSiteStore } from '../../site-agent/store.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';

/** Releases that meet: the one before, this one, and one to come, over real TLS. */
const BEFORE: VersionRange = { oldest: 1, newest: 2 };
const NOW: VersionRange = { oldest: 2, newest: 3 };
const NEXT: VersionRange = { oldest: 3, newest: 4 };

let loopback: Loopback;
let alder: Enrolled;
beforeAll(async () => {
  loopback = await Loopback.start({ protocol: NOW });
  alder = await loopback.join('alder');
  await loopback.sign();
});
afterAll(() => loopback.stop());

async function meet(protocol: VersionRange): Promise<{ code: string; message: string }> {
  const events = new RecordingEvents();
  let message = '';
  const link = loopback.connect(
    alder,
    {
      onConnected: () => events.onConnected(),
      onMessage: () => undefined,
      onDisconnected: (reason) => {
        message = reason.message;
        events.onDisconnected(reason);
      },
    },
    { protocol },
  );
  await until(() => events.log.length > 0, 'an answer came');
  await link.close();
  return { code: events.log[0]!, message };
}

describe('a coordinator of this release', () => {
  it('works with a site of this one, of the one before and of the next', async () => {
    for (const protocol of [NOW, BEFORE, NEXT]) expect((await meet(protocol)).code).toBe('connected');
  });

  it('refuses a site that is two releases away, and says which of the two to upgrade', async () => {
    expect(await meet({ oldest: 1, newest: 1 })).toEqual({
      code: 'WIRE_VERSION_MISMATCH',
      message: 'the site (Concordat test) speaks protocol 1, the coordinator 2 to 3: upgrade the site (Concordat test)',
    });
    expect(await meet({ oldest: 4, newest: 6 })).toEqual({
      code: 'WIRE_VERSION_MISMATCH',
      message: 'the site (Concordat test) speaks protocol 4 to 6, the coordinator 2 to 3: upgrade the coordinator',
    });
  });

  it('speaks what this program speaks by default', async () => {
    const plain = await Loopback.start();
    const birch = await plain.join('birch');
    await plain.sign();
    const events = new RecordingEvents();
    const link = plain.connect(birch, events);
    await until(() => events.log.length > 0, 'an answer came');
    expect(events.log).toEqual(['connected']);
    await link.close();
    await plain.stop();
  });
});

describe('the choice of a version', () => {
  it('is the newest common one, the same from both sides, and null exactly where the ranges do not meet', () => {
    for (let a = 1; a <= 4; a++)
      for (let b = a; b <= 4; b++)
        for (let c = 1; c <= 4; c++)
          for (let d = c; d <= 4; d++) {
            const [mine, theirs] = [
              { oldest: a, newest: b },
              { oldest: c, newest: d },
            ];
            const both = [1, 2, 3, 4].filter((v) => v >= a && v <= b && v >= c && v <= d);
            expect(commonVersion(mine, theirs)).toBe(both.at(-1) ?? null);
            expect(commonVersion(theirs, mine)).toBe(both.at(-1) ?? null);
            if (both.length > 0) continue;
            const named = versionConflict({ ...mine, name: 'M' }, { ...theirs, name: 'T' });
            expect(named.endsWith(`upgrade ${b < c ? 'M' : 'T'}`)).toBe(true);
          }
    expect(PROTOCOL.oldest).toBeLessThanOrEqual(PROTOCOL.newest);
  });
});

describe('a store made by another release', () => {
  it.each([
    ['event log of the coordinator', 'events.db', (folder: string) => openEventStore(path.join(folder, 'events.db'))],
    ['log of a site', 'site.db', (folder: string) => openSiteStore(folder)],
    ['erasable store of a site', 'erasable.db', (folder: string) => openSiteStore(folder)],
  ])('is refused when it is newer, with advice, and left as it was: %s', (_what, file, open) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-version-'));
    open(folder).close();
    const db = new Database(path.join(folder, file));
    const { user_version: known } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    expect(known).toBeGreaterThan(0);
    db.exec(`PRAGMA user_version = ${known + 1}`);
    db.close();
    for (let again = 0; again < 2; again++)
      expect(() => open(folder)).toThrow(
        expect.objectContaining({
          code: 'STORE_VERSION',
          message: expect.stringMatching(/newer Concordat.*upgrade it$/),
        }),
      );
    rmSync(folder, { recursive: true });
  });
});
