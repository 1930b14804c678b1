import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEventStore } from '../../coordinator/event-store.js';
import { recover } from '../../coordinator/round-state.js';
import type { RoundRecord } from '../../coordinator/round-types.js';
import type { LoggedEvent } from '../../coordinator/study-host-types.js';
import { Transcript } from '../../coordinator/transcript.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { packWords, unpackWords } from '../../shared/fixed-point.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { fixedRandom, openAttempt } from '../secagg/kit.js';
import { leavesOf } from './cast.js';

/** Parts that are measured by themselves: masks, the disk, the log. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function timed(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

export interface Masking {
  readonly productMs: number;
  readonly bareMs: number;
  readonly ratio: number;
  /** Of the product, for one element and one peer's mask (or the site's own). */
  readonly nsPerElement: number;
}

/**
 * The product's masked input of a site with so many peers, from packed words to packed words, against the bare work that
 * nobody gets around: as many AES-256-CTR key streams, each added. Both in turn, several times; the median of each.
 */
export function masking(length: number, peers: number, repeats: number): Masking {
  const attempt = openAttempt(peers + 1);
  const site = attempt.sites[0]!;
  const leaves = leavesOf(length, attempt.sites);
  const words = packWords([new BigUint64Array(length).fill(7n)]);
  const scope = {
    ...{ context: attempt.context, preKeyDigest: attempt.preKeyDigest, site },
    peers: attempt.preKeys.filter((preKey) => preKey.site !== site),
  };
  const secret = attempt.slotSecrets.get(site)!;
  const product: number[] = [];
  const bare: number[] = [];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const ours = timed(() => void maskedInput(scope, leaves, unpackWords(leaves, words), secret));
    const theirs = timed(() => void bareMasks(length, peers + 1));
    // The first of each warms the compiler up.
    if (repeat > 0) product.push(ours);
    if (repeat > 0) bare.push(theirs);
  }
  const productMs = median(product);
  const bareMs = median(bare);
  return { productMs, bareMs, ratio: productMs / bareMs, nsPerElement: (productMs * 1e6) / (length * (peers + 1)) };
}

function bareMasks(length: number, masks: number): BigUint64Array {
  const sum = new BigUint64Array(length);
  const chunk = 1 << 15;
  const zeros = new Uint8Array(8 * chunk);
  for (let mask = 0; mask < masks; mask++) {
    const key = createHash('sha256').update(`key ${mask}`).digest();
    const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
    for (let start = 0; start < length; start += chunk) {
      const count = Math.min(chunk, length - start);
      const bytes = cipher.update(zeros.subarray(0, 8 * count));
      const stream = new BigUint64Array(bytes.buffer, bytes.byteOffset, count);
      const part = sum.subarray(start, start + count);
      for (let i = 0; i < count; i++) part[i] = part[i]! + stream[i]!;
    }
  }
  return sum;
}

/** Median time to write 4 KiB and have it on the disk of the temporary folder. */
export function syncLatencyMs(times: number): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'concordat-bench-'));
  const file = openSync(path.join(folder, 'sync'), 'w');
  const block = new Uint8Array(4096);
  const taken = Array.from({ length: times }, () =>
    timed(() => {
      writeSync(file, block);
      fsyncSync(file);
    }),
  );
  closeSync(file);
  rmSync(folder, { recursive: true });
  return median(taken);
}

/** Records of a study's rounds with five sites under secure aggregation, over and over, as a coordinator logs them. */
function* logOf(count: number): Generator<RoundRecord> {
  const attempt = openAttempt(5);
  const { context, preKeyDigest, sites, preKeys } = attempt;
  const signature = new Uint8Array(64).fill(1);
  const shares = sites.map((dealer) => ({
    dealer,
    kind: 'self' as const,
    share: new Uint8Array(32),
    salt: new Uint8Array(16),
  }));
  const hash = (name: string, round: number) =>
    fixedRandom(name, round).reduce((s, b) => s + b.toString(16).padStart(2, '0'), '');
  for (let round = 1, made = 0; ; round++) {
    const one: RoundRecord[] = [
      {
        ...{ type: 'roundOpened', computation: 'fedavg', round, contributionBytes: 8 },
        ...{ broadcastHash: hash('broadcast', round), declarationHash: hash('declaration', round) },
      },
      // Later pre-keys ride on the masked inputs.
      ...(round === 1 ? preKeys.map((preKey): RoundRecord => ({ type: 'preKey', preKey })) : []),
      { type: 'attemptOpened', context, attempt: 1, slot: round, sites, preKeyDigest },
      ...sites.map(
        (site, index): RoundRecord => ({
          ...{ type: 'maskedInput', context, site, blobHash: hash(site, round), signature },
          nextPreKey: preKeys[index]!,
        }),
      ),
      { type: 'survivors', context, survivors: sites, dropped: [] },
      ...sites.map((site): RoundRecord => ({ type: 'signature', context, site, signature })),
      { type: 'agreed', context },
      ...sites.slice(0, 4).map((site): RoundRecord => ({ type: 'shares', context, site, shares })),
      { type: 'total', context, totalHash: hash('total', round), sites },
    ];
    for (const record of one) {
      yield record;
      if (++made === count) return;
    }
  }
}

export interface Recovery {
  readonly events: number;
  readonly bytes: number;
  readonly ms: number;
}

/** What a start does with the log before it opens the port: reads, decodes, folds, and builds the transcript. */
export function recovery(events: number): Recovery {
  const folder = mkdtempSync(path.join(tmpdir(), 'concordat-bench-'));
  const file = path.join(folder, 'events.db');
  const store = openEventStore(file);
  const study = 'ab'.repeat(32);
  let bytes = 0;
  let batch: { study: string; type: string; payload: Uint8Array }[] = [];
  for (const record of logOf(events)) {
    const payload = encodeDocument({ type: 'round', record });
    bytes += payload.length;
    batch.push({ study, type: 'round', payload });
    if (batch.length === 1000) {
      store.append(batch);
      batch = [];
    }
  }
  if (batch.length > 0) store.append(batch);
  store.close();
  const ms = timed(() => {
    const opened = openEventStore(file);
    const transcript = new Transcript(study);
    const records: RoundRecord[] = [];
    for (const { payload } of opened.replay()) {
      const event = decodeDocument(payload) as LoggedEvent;
      transcript.record(event);
      if (event.type === 'round') records.push(event.record);
    }
    recover(records);
    opened.close();
  });
  rmSync(folder, { recursive: true });
  return { events, bytes, ms };
}
