import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readShownLedger } from '../../cli/commands/egress.js';
import { LedgerHeads, readLedgerEvents } from '../../coordinator/ledger-heads.js';
import { signAsAuthority } from '../../coordinator/tls.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import {
  countersignedStatement,
  headOf,
  type LedgerEntry,
  ledgerEntry,
  type SignedLedgerHead,
  signHead,
  verifyAgainstLog,
  verifyCountersigned,
} from '../../shared/egress-ledger.js';
import { ConcordatError } from '../../shared/errors.js';
import { sha256 } from '../../shared/memory-stores.js';
import type { SiteStore } from '../../shared/stores.js';
import type { SiteLink } from '../../shared/transport.js';
import type { ToSite } from '../../shared/wire/types.js';
import { readCountersigned, readLedger } from '../../site-agent/shell/ledger-keeper.js';
import { smallStudy } from '../e2e/support.js';
import { type Composed, type ComposedSite, closeFederation, federation, keyOf, until } from './composed.js';

/**
 * The record of what left a hospital: that it holds exactly the bytes that were on the wire, and that neither the
 * hospital nor the coordinator can change it alone. Each party is made to cheat in turn.
 */
afterEach(closeFederation);

const ended = (of: Composed, hash: string) =>
  until(
    () => of.phase(hash) === 'published',
    () => `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify(of.progress.slice(-6))}`,
  );

/** Counts what a site gives to the transport to upload: blob -> its size and how often. */
function countUploads(site: ComposedSite): Map<string, { bytes: number; times: number }> {
  const counted = new Map<string, { bytes: number; times: number }>();
  const counting = (link: SiteLink): SiteLink =>
    new Proxy(link, {
      get: (target, key) =>
        key === 'upload'
          ? (bytes: Uint8Array) => {
              const hash = sha256(bytes);
              const before = counted.get(hash);
              counted.set(hash, { bytes: bytes.length, times: (before?.times ?? 0) + 1 });
              return target.upload(bytes);
            }
          : Reflect.get(target, key, target),
    });
  let link: SiteLink | null = site.link;
  Object.defineProperty(site, 'link', {
    configurable: true,
    get: () => link,
    set: (next: SiteLink | null) => {
      link = next === null ? null : counting(next);
    },
  });
  if (link !== null) site.link = link;
  return counted;
}

function wireEqualsLedger(site: ComposedSite, counted: ReadonlyMap<string, { bytes: number; times: number }>): void {
  const entries = readLedger(site.store);
  const inLedger = new Map(entries.map((entry) => [entry.sha256, entry.bytes]));
  expect(inLedger.size, 'no masked input has two entries').toBe(entries.length);
  expect(new Map([...counted].map(([hash, { bytes }]) => [hash, bytes]))).toEqual(inLedger);
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'ok';
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
};

describe('the bytes on the wire are the bytes in the ledger', () => {
  test('blob by blob, also where a connection was lost and a transfer repeated; and every entry is countersigned', async () => {
    const of = await federation();
    const counts = new Map([...of.sites.values()].map((site) => [site, countUploads(site)]));
    const birch = of.site('birch');
    // The first try of one transfer is lost with the connection, right after its bytes went out.
    let lost = 0;
    birch.beforeSend = (message) => {
      if (message.type !== 'maskedInput' || lost > 0) return message;
      lost++;
      of.transport.disconnect('birch', new ConcordatError('WIRE_DISCONNECTED', 'cut by the test'));
      setTimeout(() => birch.connect(of.transport), 20);
      return null;
    };
    await ended(of, of.propose(smallStudy('counted')));
    expect(lost).toBe(1);
    expect(Math.max(...[...counts.get(birch)!.values()].map(({ times }) => times))).toBeGreaterThan(1);
    const log = readLedgerEvents(of.events);
    for (const [site, counted] of counts) {
      await site.settled;
      const entries = readLedger(site.store);
      expect(entries.length).toBeGreaterThan(5);
      wireEqualsLedger(site, counted);
      const countersigned = readCountersigned(site.store);
      expect(verifyCountersigned(site.name, entries, countersigned, of.authority())).toBe(entries.length);
      const heads = log.flatMap((event) => (event.site === site.name ? [event.head] : []));
      const keys = [ed25519PublicKey(keyOf(site.name))];
      expect(verifyAgainstLog(site.name, { entries, countersigned }, heads, keys, of.authority())).toBe(entries.length);
      // The coordinator learns the length and the last hash, and nothing else of it.
      expect(Object.keys(heads.at(-1)!).sort()).toEqual(['head', 'length', 'signature']);
      expect(site.problems()).toEqual([]);
    }
  }, 60_000);

  test('also after a crash between the ledger entry and the record of the masked input', async () => {
    const of = await federation();
    const cedar = of.site('cedar');
    const counted = countUploads(cedar);
    const { append } = cedar.store;
    let crashed = 0;
    const store = cedar.store as { append: SiteStore['append'] };
    store.append = (records) => {
      const masked = records.some(({ payload }) => Buffer.from(payload).includes('"masked"'));
      if (masked && crashed++ === 0) throw new ConcordatError('STORE_UNWRITABLE', 'killed here by the test');
      return append(records);
    };
    const hash = of.propose(smallStudy('crashed'));
    await until(
      () => crashed > 0,
      () => 'no crash',
    );
    const before = readLedger(cedar.store).length;
    expect(before).toBe(1);
    cedar.agent.stop();
    of.transport.disconnect('cedar', new ConcordatError('WIRE_DISCONNECTED', 'its process was killed'));
    await cedar.start();
    cedar.connect(of.transport);
    await ended(of, hash);
    wireEqualsLedger(cedar, counted);
  }, 60_000);
});

// A ledger of a few entries, its countersignatures and the coordinator's log, all honest, made without a study. ------------

async function honest() {
  const of = await federation();
  const entries: LedgerEntry[] = [];
  const countersigned: SignedLedgerHead[] = [];
  const log: SignedLedgerHead[] = [];
  const heads = new LedgerHeads({
    append: (event) => void (event.type === 'ledgerHead' && log.push(event.head)),
    sign: (bytes) => signAsAuthority(of.root, bytes),
    nowMs: () => 0,
  });
  for (let round = 1; round <= 4; round++) {
    entries.push(entryOf(entries.at(-1) ?? null, round));
    const head = signHead('alder', headOf(entries.at(-1)!), keyOf('alder'));
    heads.take('alder', head, KEY, (answer) => countersigned.push(answer));
  }
  return { of, entries, countersigned, log, heads };
}

const KEY = ed25519PublicKey(keyOf('alder'));

function entryOf(last: LedgerEntry | null, round: number, patients = 40): LedgerEntry {
  return ledgerEntry(last, {
    time: `2026-01-0${round}T00:00:00.000Z`,
    study: 'ab'.repeat(32),
    computation: 'moments',
    round,
    attempt: 1,
    leaves: [],
    patients,
    sha256: sha256(Buffer.from(`masked input ${round}`)),
    masked: true,
    bytes: 100,
  });
}

/** All entries again from the second on, with another number of patients: a whole chain, of other content. */
function rewritten(entries: readonly LedgerEntry[]): LedgerEntry[] {
  const made: LedgerEntry[] = [];
  for (const [index, entry] of entries.entries()) made.push(index === 0 ? entry : entryOf(made.at(-1)!, index + 1, 41));
  return made;
}

describe('a hospital that cheats', () => {
  test('and cuts its ledger, or rewrites it with fresh hashes, is found out by the countersignatures', async () => {
    const { of, entries, countersigned } = await honest();
    const verify = (shown: readonly LedgerEntry[]) =>
      codeOf(() => verifyCountersigned('alder', shown, countersigned, of.authority()));
    expect(verify(entries)).toBe('ok');
    expect(verify(entries.slice(0, -1))).toBe('STORE_LEDGER_CONTRADICTED');
    expect(verify(rewritten(entries))).toBe('STORE_LEDGER_CONTRADICTED');
    expect(verify(entries.with(1, { ...entries[1]!, patients: 41 }))).toBe('STORE_LEDGER_BROKEN');
  });

  test('and throws the countersignatures away too, is found out by the coordinator’s log', async () => {
    const { of, entries, log } = await honest();
    const check = (shown: readonly LedgerEntry[], countersigned: readonly SignedLedgerHead[] = []) =>
      codeOf(() => verifyAgainstLog('alder', { entries: shown, countersigned }, log, [KEY], of.authority()));
    expect(check(entries)).toBe('ok');
    expect(check(entries.slice(0, -1))).toBe('STORE_LEDGER_CONTRADICTED');
    expect(check(rewritten(entries))).toBe('STORE_LEDGER_CONTRADICTED');
    // Written for the audit only, and longer than what was reported: that too does not hold what was signed.
    expect(check([...rewritten(entries), entryOf(rewritten(entries).at(-1)!, 5)])).toBe('STORE_LEDGER_CONTRADICTED');
  });

  test('and goes on reporting, is refused at the next head, which is logged, and gets the evidence back', async () => {
    const of = await federation();
    await ended(of, of.propose(smallStudy('cut-later')));
    const alder = of.site('alder');
    await alder.settled;
    const whole = readLedger(alder.store);
    alder.agent.stop();
    of.transport.disconnect('alder', new ConcordatError('WIRE_DISCONNECTED', 'stopped'));
    const lines = alder.store.ledger();
    (alder.store as { ledger: SiteStore['ledger'] }).ledger = () => lines.slice(0, -2);
    await alder.start();
    alder.connect(of.transport);
    await until(
      () => alder.problems().includes('STORE_LEDGER_CONTRADICTED'),
      () => JSON.stringify(alder.progress.slice(-4)),
    );
    expect(of.progress).toContainEqual(
      expect.objectContaining({ kind: 'refused', what: 'ledgerHead of alder', code: 'STORE_LEDGER_CONTRADICTED' }),
    );
    const logged = readLedgerEvents(of.events).filter((event) => event.type === 'ledgerContradicted');
    expect(logged.map(({ site, head }) => [site, head.length])).toEqual([['alder', whole.length - 2]]);
    // What it got back now speaks against its own ledger, also offline.
    const verify = () =>
      verifyCountersigned('alder', readLedger(alder.store), readCountersigned(alder.store), of.authority());
    expect(codeOf(verify)).toBe('STORE_LEDGER_CONTRADICTED');
  }, 60_000);
});

describe('a coordinator that cheats', () => {
  test('and cuts or changes its log, is found out by the countersignatures the hospital kept', async () => {
    const { of, entries, countersigned, log } = await honest();
    const check = (changed: readonly SignedLedgerHead[]) =>
      codeOf(() => verifyAgainstLog('alder', { entries, countersigned }, changed, [KEY], of.authority()));
    expect(check(log)).toBe('ok');
    expect(check(log.slice(0, -1))).toBe('STORE_LEDGER_CONTRADICTED');
    expect(check(log.toSpliced(1, 1))).toBe('STORE_LEDGER_CONTRADICTED');
  });

  test('and invents a head to accuse the hospital, cannot show the hospital’s signature', async () => {
    const { of, entries, countersigned, log, heads } = await honest();
    const invented = { length: 5, head: sha256(Buffer.from('invented')) };
    const forged = { ...invented, signature: signHead('alder', invented, keyOf('birch')).signature };
    const check = (added: SignedLedgerHead) =>
      codeOf(() => verifyAgainstLog('alder', { entries, countersigned }, [...log, added], [KEY], of.authority()));
    expect(check(forged)).toBe('SITE_SIGNATURE_INVALID');
    // Nor does it take one that another site signed, when it arrives.
    expect(codeOf(() => heads.take('alder', forged, KEY, () => undefined))).toBe('SITE_SIGNATURE_INVALID');
  });

  test('and countersigns with another key, or another head, is refused by the hospital', async () => {
    const of = await federation();
    const alder = of.site('alder');
    await until(
      () => readCountersigned(alder.store).length === 1,
      () => 'no countersignature',
    );
    const empty = headOf(null);
    const wrongKey = { ...empty, signature: signHead('alder', empty, keyOf('birch')).signature };
    alder.receive({ type: 'ledgerCountersigned', ...wrongKey } as ToSite);
    await alder.settled;
    expect(alder.problems()).toEqual(['SITE_COUNTERSIGNATURE_INVALID']);
    expect(readCountersigned(alder.store)).toHaveLength(1);
    const other = { length: 9, head: sha256(Buffer.from('other')) };
    const signature = signAsAuthority(of.root, countersignedStatement('alder', other));
    alder.receive({ type: 'ledgerCountersigned', ...other, signature });
    await alder.settled;
    expect(alder.problems().at(-1)).toBe('STORE_LEDGER_CONTRADICTED');
    // A countersignature of another site's head is none for this one.
    const birchs = { ...other, signature: signAsAuthority(of.root, countersignedStatement('birch', other)) };
    expect(codeOf(() => verifyCountersigned('alder', [], [birchs], of.authority()))).toBe(
      'SITE_COUNTERSIGNATURE_INVALID',
    );
  });
});

test.each([
  'no JSON',
  '{"site":"alder","entries":[null],"countersigned":[]}',
  '{"site":"alder","entries":[],"countersigned":[3]}',
  '{"site":"alder","entries":[],"countersigned":[{"length":1,"head":"00"}]}',
])('a ledger that a site hands over is refused by name where it is none: %s', (text) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-shown-'));
  try {
    const file = path.join(folder, 'ledger.json');
    writeFileSync(file, text);
    expect(() => readShownLedger(file)).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
