import { afterEach, describe, expect, it } from 'vitest';
import { type LedgerEvent, LedgerHeads, readLedgerEvents } from '../../coordinator/ledger-heads.js';
import { decodeDocument } from '../../shared/document.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { signHead } from '../../shared/egress-ledger.js';
import type { ConcordatError } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import { sha256 } from '../../shared/memory-stores.js';
import { maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { readLedger } from '../../site-agent/shell/ledger-keeper.js';
import { smallStudy } from '../e2e/support.js';
import { simKeys } from '../sim/world.js';
import { Composed, keyOf, until } from './composed.js';

/** A site that is enrolled and uses up what is the coordinator's: disk by uploads, log by heads of its egress ledger. */

function endsAttempt(payload: Uint8Array): boolean {
  const { record } = decodeDocument(payload) as { record?: { type: string } };
  return record?.type === 'total' || record?.type === 'attemptAborted';
}

describe('a site that uploads more than it is asked for', () => {
  let world: Composed | undefined;
  afterEach(() => world?.close());

  it('leaves nothing behind when the next attempt begins, whole or in pieces', async () => {
    world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
    const of = world;
    await of.start();
    const cedar = of.site('cedar');
    const link = cedar.link!;
    let [rounds, most] = [0, 0];
    const left: string[] = [];
    const pieces = new Map<string, number>();
    const filler = (bytes: Uint8Array, fill: number) => new Uint8Array(bytes.length).fill(fill);
    cedar.link = {
      get connected() {
        return link.connected;
      },
      send: (message) => link.send(message),
      download: (hash) => link.download(hash),
      listBundles: () => link.listBundles(),
      getBundle: (query) => link.getBundle(query),
      close: () => link.close(),
      upload: async (bytes) => {
        const round = ++rounds;
        left.push(await link.upload(filler(bytes, round)));
        // The third it announces, and sends in part.
        const piece = sha256(filler(bytes, 100 + round));
        if (of.service.mayUpload('cedar', piece, bytes.length)) {
          of.blobs.appendPartial('cedar', piece, 0, filler(bytes, 100 + round).subarray(1));
          pieces.set(piece, bytes.length - 1);
        }
        const hash = await link.upload(bytes);
        const kept = (hashes: readonly string[]) => hashes.filter((other) => of.blobs.blobSize(other) !== null).length;
        const parts = [...pieces.keys()].filter((other) => of.blobs.partialSize('cedar', other) > 0).length;
        most = Math.max(most, kept(left) + parts);
        return hash;
      },
    };
    const hash = of.propose(smallStudy('filler'));
    await until(
      () => of.phase(hash) === 'published',
      () => `${of.phase(hash)} ${of.reason(hash)}`,
    );
    expect(rounds).toBeGreaterThan(5);
    expect(pieces.size).toBe(rounds);
    expect(most).toBe(2);
  }, 30_000);

  it('and names what all are served as its masked input, deletes nothing by it', async () => {
    world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
    const of = world;
    await of.start();
    const cedar = of.site('cedar');
    let named = '';
    const hash = of.propose(smallStudy('named'));
    cedar.beforeSend = (message) => {
      if (message.type !== 'maskedInput' || named !== '') return message;
      // A result or broadcast of just the right length, as every site may fetch it.
      named = of.blobs.putBlob(new Uint8Array(message.byteLength).fill(7));
      const host = of.service.studies.find(({ studyHash }) => studyHash === hash)!;
      host.blobs.publish(named);
      const { byteLength, context, studyHash, nextPreKey } = message;
      const signingKey = keyOf('cedar');
      return maskedInputMessage({
        ...{ studyHash, context, site: 'cedar', blobHash: named, byteLength, nextPreKey, signingKey },
      });
    };
    await until(
      () => [...of.events.replay({ study: hash })].some(({ payload }) => endsAttempt(payload)),
      () => `${of.phase(hash)} ${of.reason(hash)}`,
    );
    expect(of.blobs.blobSize(named)).not.toBeNull();
  }, 30_000);
});

describe('a site that signs one head of its egress ledger after the other', () => {
  const key = simKeys('birch').signingKey;
  const HOUR_MS = 3_600_000;
  const hashOf = (text: string) => sha256(Buffer.from(text));

  class Log {
    nowMs = 0;
    answers = 0;
    heads = new LedgerHeads(this.ports);

    constructor(readonly events: LedgerEvent[] = []) {
      for (const event of events) this.heads.replay(event);
    }

    private get ports() {
      return {
        append: (event: LedgerEvent) => void this.events.push(event),
        sign: () => new Uint8Array(64),
        nowMs: () => this.nowMs,
      };
    }

    /** The code it is refused with, or ''. */
    hear(length: number, head: string): string {
      try {
        const signed = signHead('birch', { length, head: hashOf(head) }, key);
        this.heads.take('birch', signed, ed25519PublicKey(key), () => this.answers++);
        return '';
      } catch (error) {
        return (error as ConcordatError).code;
      }
    }
  }

  it('makes the log grow by one for each attempt it was asked for, and few more, also across restarts', () => {
    const log = new Log();
    for (let i = 0; i < 10; i++) log.heads.asked('birch');
    const said = Array.from({ length: 100 }, (_, index) => log.hear(index + 1, `${index}`));
    const most = 10 + LIMITS.ledgerHeadsSpare;
    expect(said.slice(0, most)).toEqual(Array(most).fill(''));
    expect(new Set(said.slice(most))).toEqual(new Set(['STORE_LEDGER_FLOODED']));
    expect([log.events.length, log.answers]).toEqual([most, most]);
    // A restart forgives nothing: what was asked and what was logged are in the log.
    const again = new Log(log.events);
    for (let i = 0; i < 10; i++) again.heads.asked('birch');
    expect(again.hear(600, 'after a start')).toBe('STORE_LEDGER_FLOODED');
    // The head logged last may be asked after as often as the line breaks.
    expect(again.hear(most, `${most - 1}`)).toBe('');
    // Another site's credit is its own, and a new attempt is worth a head.
    expect(again.hear(600, 'x')).toBe('STORE_LEDGER_FLOODED');
    again.heads.asked('birch');
    expect([again.hear(601, 'y'), again.hear(602, 'z')]).toEqual(['', 'STORE_LEDGER_FLOODED']);
    // Beyond that, one an hour.
    const before = again.events.length;
    for (let minute = 10; minute <= 24 * 60; minute += 10) {
      again.nowMs = minute * 60_000;
      again.hear(700 + minute, `${minute}`);
    }
    expect(again.events.length - before).toBe((24 * 60 * 60_000) / HOUR_MS);
  });

  it('and contradicts itself each time, is refused each time and logged as evidence a few times', () => {
    const log = new Log();
    expect(log.hear(1000, 'whole')).toBe('');
    const said = Array.from({ length: 60 }, (_, index) => log.hear(index + 1, `cut ${index}`));
    expect(new Set(said)).toEqual(new Set(['STORE_LEDGER_CONTRADICTED']));
    expect(log.events.length).toBe(1 + LIMITS.ledgerContradictionsKept);
    // It gets the evidence back every time.
    expect(log.answers).toBe(61);
  });

  it('in a running federation is refused by name, while an honest site has every contribution countersigned', async () => {
    const of = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
    try {
      await of.start();
      const hash = of.propose(smallStudy('flooded'));
      await until(
        () => of.phase(hash) === 'published',
        () => JSON.stringify(of.progress.slice(-4)),
      );
      const logged = (site: string) => readLedgerEvents(of.events).filter((event) => event.site === site).length;
      const asked = readLedger(of.site('alder').store).length;
      expect(asked).toBeGreaterThan(LIMITS.ledgerHeadsSpare);
      // And the head of its empty ledger, at the first connection.
      expect(logged('alder')).toBe(asked + 1);
      for (let i = 1; i <= 200; i++) {
        const head = { length: asked + i, head: hashOf(`${i}`) };
        of.service.onSiteMessage('birch', { type: 'ledgerHead', ...signHead('birch', head, keyOf('birch')) });
      }
      expect(logged('birch')).toBe(asked + LIMITS.ledgerHeadsSpare);
      expect(of.progress).toContainEqual(
        expect.objectContaining({ kind: 'refused', what: 'ledgerHead of birch', code: 'STORE_LEDGER_FLOODED' }),
      );
    } finally {
      await of.close();
    }
  }, 60_000);
});
