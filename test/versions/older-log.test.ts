import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readFolder } from '../../cli/commands/model.js';
import { PROGRAM_VERSION } from '../../cli/version.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import { decodeDocument } from '../../shared/document.js';
import { type LedgerEntry, verifyLedger } from '../../shared/egress-ledger.js';
import { memorySiteStore } from '../../shared/memory-stores.js';
import { SiteLog } from '../../site-agent/site-records.js';
import { CONSORTIUM_KEY, Composed } from '../security/composed.js';
import { decodeRecord, type FormatSample, readSample, SAMPLES, SITES } from './sample.js';

/** What earlier releases wrote is read by this one: to the same state, and to the same bytes. */
const files = readdirSync(SAMPLES).sort();
let world: Composed | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** A coordinator of this release over the first `count` events that the release of the sample wrote. */
async function coordinatorOver(sample: FormatSample, count: number): Promise<Composed> {
  const made = new Composed(SITES);
  made.chain = [...sample.chain];
  for (const event of sample.coordinator.events.slice(0, count)) made.events.append([decodeRecord(event)]);
  for (const blob of sample.coordinator.blobs) made.blobs.putBlob(Buffer.from(blob, 'base64'));
  await made.startCoordinator();
  world = made;
  return made;
}

it('there is a sample of this release', () => {
  expect(files).toContain(`${PROGRAM_VERSION}.json.gz`);
});

describe.each(files)('%s', (file) => {
  const sample = readSample(file);

  it('replays at the coordinator to the state it had, with the same transcript and bundle', async () => {
    const { service } = await coordinatorOver(sample, sample.coordinator.events.length);
    const host = service.studies.find(({ studyHash }) => studyHash === sample.study)!;
    expect(host.current.phase).toBe(sample.phase);
    expect(host.transcriptHead).toBe(sample.transcriptHead);
    expect(host.bundleDigest).toBe(sample.bundleDigest);
    expect(world!.progress.filter(({ kind }) => kind === 'refused')).toEqual([]);
  });

  it('replays at each point where a study may have stopped between two rounds', async () => {
    const kinds = sample.coordinator.events.map(({ payload }) => {
      const event = decodeDocument(Buffer.from(payload, 'base64')) as { type: string; record?: { type: string } };
      return event.record?.type ?? event.type;
    });
    const cuts = kinds.flatMap((kind, at) => (kind === 'total' ? [at + 1] : []));
    expect(cuts.length).toBeGreaterThan(3);
    const open: string[] = [];
    for (const cut of [kinds.indexOf('proposed') + 1, ...cuts.filter((_, at) => at % 3 === 0)]) {
      const { service, progress } = await coordinatorOver(sample, cut);
      open.push(service.studies[0]!.current.phase);
      expect(progress.filter(({ kind }) => kind === 'refused')).toEqual([]);
      await world!.close();
      world = undefined;
    }
    expect(new Set(open)).toEqual(new Set(['proposed', 'running']));
  });

  it('is read at the site: studies, what was released, the ledger’s chain', () => {
    for (const { records, ledger, settings } of Object.values(sample.sites)) {
      const store = memorySiteStore();
      for (const record of records) store.append([decodeRecord(record)]);
      for (const [key, value] of Object.entries(settings)) store.setSetting(key, value);
      const known = new SiteLog(store).study(sample.study)!;
      expect(known.closed).toMatchObject({ phase: sample.phase });
      expect(known.approval?.decision).toBe('approved');
      expect(known.ratification).not.toBeNull();
      const entries = ledger.map((line) => JSON.parse(line) as LedgerEntry);
      expect(entries.length).toBeGreaterThan(3);
      verifyLedger(entries);
    }
  });

  it('holds a bundle that still verifies', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-sample-'));
    for (const [name, content] of Object.entries(sample.coordinator.bundle)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), Buffer.from(content, 'base64'));
    }
    const verification = verifyBundle(readFolder(folder), { consortiumPublicKey: CONSORTIUM_KEY });
    rmSync(folder, { recursive: true });
    expect(verification.problems).toEqual([]);
    expect(verification.ratified.length).toBeGreaterThanOrEqual(3);
  });
});
