import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { decodeRoundDocument, encodeRoundDocument, type RoundDocument } from '../../shared/round-document.js';
import type { ToSite } from '../../shared/wire/types.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';
import { type Composed, closeFederation, federation, story, until } from './composed.js';

/**
 * Whole agents whose study judges features by repeated measurements, against a coordinator that asks for other sums or lies about which features stay.
 */
afterEach(closeFederation);

type Offer = Extract<ToSite, { type: 'attemptOffer' }>;

const STUDY = smallStudy('reread', {
  harmonization: { method: 'none' },
  selection: { stability: { minimum: 0.5 } },
});
/** `describe` has four rounds, `stability` two; then come the moments. */
const ROUND = { exponents: 5, squares: 6, moments: 7 } as const;

/** Every patient was read twice; the last feature of the second reading is that of the patient before. */
function reread(of: Composed): void {
  for (const name of of.names) {
    const { folder } = of.site(name);
    const [header, ...lines] = simulatedTable(name).trimEnd().split('\n');
    const rows = lines.map((line) => line.split(',').slice(0, 4));
    const second = rows.map((cells, at) => [...cells.slice(0, 3), rows.at(at - 1)![3]!]);
    const table = [header!.split(',').slice(0, 4), ...rows, ...second].map((cells, at) =>
      [...cells, at === 0 ? 'reading' : at <= rows.length ? 1 : 2].join(','),
    );
    writeFileSync(path.join(folder, 'repeats.csv'), `${table.join('\n')}\n`);
    writeFileSync(
      path.join(folder, 'cohort.yaml'),
      'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\nrepeats: {table: repeats.csv}\n',
    );
  }
}

/** What alder refuses with where what it is shown of one round is changed; its ledger then ends with the round before. */
async function refusalOf(round: number, change: (document: RoundDocument, of: Composed) => object): Promise<string> {
  const of = await federation(reread);
  const alder = of.site('alder');
  alder.beforeReceive = (message) => {
    if (message.type !== 'attemptOffer' || message.round !== round) return message;
    const document = decodeRoundDocument(of.blobs.getBlob((message as Offer).broadcastHash));
    const broadcastHash = of.blobs.putBlob(encodeRoundDocument({ ...document, ...change(document, of) }));
    of.service.publishBlobs([broadcastHash]);
    return { ...message, broadcastHash };
  };
  const hash = of.propose(STUDY);
  await until(() => alder.problems().length > 0 || of.phase(hash) === 'published', story(of, hash));
  const rounds = alder.store.ledger().map((line) => (JSON.parse(line) as { round: number }).round);
  expect(rounds).toEqual(Array.from({ length: round - 1 }, (_, index) => index + 1));
  await closeFederation();
  return alder.problems()[0] ?? 'none';
}

interface Squares {
  readonly phase: string;
  readonly fits: readonly { readonly exponents: Int32Array }[];
}

test('without an attack the feature that is read anew each time is dropped, and no reading is in the result', async () => {
  const of = await federation(reread);
  const hash = of.propose(STUDY);
  await until(() => of.phase(hash) === 'published', story(of, hash));
  const result = of.registered(of.registry()[0]!, 'bundle/result.json');
  const { features } = JSON.parse(result).selection.stability;
  expect(features.map(({ kept }: { kept: boolean }) => kept)).toEqual([true, true, false]);
  const readings = simulatedTable('alder')
    .split('\n')
    .slice(1, -1)
    .flatMap((line) => line.split(',').slice(1, 4));
  for (const value of readings.filter((cell) => cell !== '')) expect(result).not.toContain(value);
}, 60_000);

test('sums of repeated measurements on a scale of the coordinator’s own, of some fits only, or before they were counted', async () => {
  const squares = (change: (broadcast: Squares) => object) => (document: RoundDocument) => {
    const broadcast = document.broadcast as Squares;
    expect([document.instance, broadcast.phase]).toEqual(['stability', 'squares']);
    return { broadcast: { ...broadcast, ...change(broadcast) } };
  };
  // A scale so fine that one patient's distance would be most of what fits into a sum.
  const fine = squares(({ fits }) => ({ fits: fits.map(() => ({ exponents: new Int32Array(3).fill(-5000) })) }));
  expect(await refusalOf(ROUND.squares, fine)).toBe('POLICY_BROADCAST_INVALID');
  expect(
    await refusalOf(
      ROUND.squares,
      squares(({ fits }) => ({ fits: fits.slice(1) })),
    ),
  ).toBe('POLICY_BROADCAST_INVALID');
  const early = (document: RoundDocument) => {
    expect([document.instance, (document.broadcast as Squares).phase]).toEqual(['stability', 'exponents']);
    return { broadcast: { phase: 'squares', fits: [{ exponents: new Int32Array(3) }] } };
  };
  expect(await refusalOf(ROUND.exponents, early)).toBe('POLICY_BROADCAST_INVALID');
}, 60_000);

test('a list of kept features that is none, and another one than the round before was computed with', async () => {
  const kept = (mark: number) => (document: RoundDocument, of: Composed) => {
    expect(document.instance).not.toBe('stability');
    const result = decodeDocument(of.blobs.getBlob(document.upstream['stability']!)) as {
      fits: Record<string, object>;
    };
    const fits = Object.fromEntries(
      Object.entries(result.fits).map(([id, fit]) => [id, { ...fit, keep: new Uint8Array(3).fill(mark) }]),
    );
    const forged = of.blobs.putBlob(encodeDocument({ ...result, fits }));
    of.service.publishBlobs([forged]);
    return { upstream: { ...document.upstream, stability: forged } };
  };
  expect(await refusalOf(ROUND.moments, kept(2))).toBe('POLICY_BROADCAST_INVALID');
  expect(await refusalOf(ROUND.moments + 1, kept(1))).toBe('POLICY_BROADCAST_INVALID');
}, 60_000);
