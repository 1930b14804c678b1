import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSimulation } from '../../cli/simulation.js';
import { openBlobStore } from '../../coordinator/blob-store.js';
import { decodeLoggedEvent } from '../../coordinator/logged-events.js';
import { resultBytes, studyResult } from '../../coordinator/result.js';
import { ConcordatError } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from './composed.js';

/** A coordinator whose disk changes masked inputs after they were acknowledged, or before they are added. */
const study = smallStudy('damaged-input');
let folder = '';
let world: Composed;
let undisturbed = '';

const story = (hash: string) => () =>
  `${world.phase(hash)} ${world.reason(hash)} ${JSON.stringify(world.progress.slice(-5))}`;

async function begin(): Promise<void> {
  folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-damage-'));
  world = new Composed(['alder', 'birch', 'cedar', 'dogwood'], openBlobStore(folder));
  for (const site of world.sites.values()) site.policy += 'retainedTranscript: true\n';
  await world.start();
}

async function end(): Promise<void> {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
}

function flip(blobHash: string): void {
  const file = path.join(folder, blobHash.slice(0, 2), blobHash);
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(file, bytes);
}

const published = async (hash: string): Promise<string> => {
  await until(() => world.phase(hash) === 'published', story(hash));
  return world.registered(world.registry().find((entry) => entry.startsWith(study.name))!, 'bundle/result.json');
};

const reports = () => world.progress.flatMap((event) => (event.kind === 'round-report' ? [event.report] : []));
const damages = () => reports().filter((report) => report.kind === 'damaged');

/** Attempts opened in the log, and sets and totals of them. */
function attempts(hash: string) {
  const records = Array.from(world.events.replay({ study: hash }), ({ payload }) => decodeLoggedEvent(payload)).flatMap(
    (event) => (event.type === 'round' ? [event.record] : []),
  );
  return {
    opened: records.flatMap((record) => (record.type === 'attemptOpened' ? [record.context] : [])),
    damaged: records.flatMap((record) =>
      record.type === 'attemptAborted' && record.reason === 'damaged' ? [record.context] : [],
    ),
    totals: records.flatMap((record) => (record.type === 'total' ? [record.context] : [])),
    inputs: records.flatMap((record) => (record.type === 'maskedInput' ? [record] : [])),
  };
}

beforeAll(async () => {
  await begin();
  undisturbed = await published(world.propose(study));
  expect(damages()).toEqual([]);
  await end();
}, 60_000);

beforeEach(begin);
afterEach(end);

describe('a masked input that is damaged on disk', () => {
  it('before it is added: the attempt is repeated with new masks, and the result has the same bytes', async () => {
    let seen = 0;
    let flipped = '';
    const birch = world.site('birch');
    birch.beforeSend = (message) => {
      if (message.type === 'maskedInput' && ++seen === 3) {
        flipped = message.blobHash;
        flip(flipped);
      }
      return message;
    };
    const hash = world.propose(study);
    expect(await published(hash)).toBe(undisturbed);
    expect(damages()).toEqual([{ kind: 'damaged', site: 'birch', code: 'STORE_INPUT_DAMAGED' }]);
    const { damaged, totals, inputs } = attempts(hash);
    expect(damaged.length).toBe(1);
    // Never unmasked, and nothing of the attempt is sent again: every site's next input has other bytes.
    expect(totals).not.toContain(damaged[0]);
    const of = inputs.filter((input) => input.context === damaged[0]);
    const after = inputs.filter((input) => input.context !== damaged[0]).map((input) => input.blobHash);
    for (const { blobHash } of of) expect(after).not.toContain(blobHash);
    for (const site of world.sites.values()) expect(site.problems()).toEqual([]);
  }, 60_000);

  it('while the coordinator is down, after shares were released: the same', async () => {
    let lost = 0;
    // Two of four shares sets are lost, so that the attempt stays open with two of them in the log.
    for (const name of ['cedar', 'dogwood'])
      world.site(name).beforeSend = (message) => {
        if (message.type !== 'sharesReleased') return message;
        lost++;
        return null;
      };
    const hash = world.propose(study);
    await until(() => lost >= 2, story(hash));
    await world.stopCoordinator();
    const [input] = attempts(hash).inputs;
    flip(input!.blobHash);
    for (const name of ['cedar', 'dogwood']) world.site(name).beforeSend = (message) => message;
    await world.startCoordinator();
    world.connectAll();
    expect(await published(hash)).toBe(undisturbed);
    const { damaged, totals } = attempts(hash);
    expect(damaged).toEqual([input!.context]);
    expect(totals).not.toContain(input!.context);
  }, 60_000);

  it('while the coordinator is down, with enough shares in its log to unmask at once: no total is made of what is left', async () => {
    const { putBlob } = world.blobs;
    let full = false;
    world.site('birch').beforeSend = (message) => {
      // The first thing that is stored after shares is the total, and the disk is full just then.
      if (message.type === 'sharesReleased' && !full) {
        full = true;
        world.blobs.putBlob = () => {
          throw new ConcordatError('STORE_UNWRITABLE', 'the disk is full');
        };
      }
      return message;
    };
    const hash = world.propose(study);
    const stopped = () => world.progress.some((event) => event.kind === 'refused' && event.code === 'STORE_UNWRITABLE');
    await until(stopped, story(hash));
    await world.stopCoordinator();
    const stored: number[] = [];
    world.blobs.putBlob = (bytes) => {
      stored.push(bytes.length);
      return putBlob(bytes);
    };
    const [input] = attempts(hash).inputs;
    expect(attempts(hash).totals).toEqual([]);
    flip(input!.blobHash);
    const totalBytes = world.blobs.blobSize(input!.blobHash);
    await world.startCoordinator();
    expect(stored).not.toContain(totalBytes);
    expect(damages().length).toBe(1);
    world.connectAll();
    expect(await published(hash)).toBe(undisturbed);
    const { damaged, totals } = attempts(hash);
    expect(damaged).toEqual([input!.context]);
    expect(totals).not.toContain(input!.context);
  }, 60_000);

  it('again and again: the rounds stop with advice, lose nothing, and go on after a start on a disk that keeps its bytes', async () => {
    const birch = world.site('birch');
    birch.beforeSend = (message) => {
      if (message.type === 'maskedInput') flip(message.blobHash);
      return message;
    };
    const hash = world.propose(study);
    const stopped = () =>
      world.progress.some((event) => event.kind === 'refused' && event.code === 'STORE_INPUT_DAMAGED');
    await until(stopped, story(hash));
    const refusal = world.progress.find((event) => event.kind === 'refused' && event.code === 'STORE_INPUT_DAMAGED');
    expect(refusal).toMatchObject({ message: expect.stringContaining('check the disk') });
    expect(damages().length).toBe(LIMITS.damagedInputsMax + 1);
    expect(attempts(hash).opened.length).toBe(LIMITS.damagedInputsMax + 1);
    expect(world.phase(hash)).toBe('approved');
    birch.beforeSend = (message) => message;
    await world.stopCoordinator();
    await world.startCoordinator();
    world.connectAll();
    expect(await published(hash)).toBe(undisturbed);
  }, 60_000);
});

describe('a total that is damaged on disk', () => {
  const retained = smallStudy('damaged-total', { transcript: { retain: true } });

  async function stopAfter(of: typeof study, totals: number): Promise<{ hash: string; total: string }> {
    const birch = world.site('birch');
    let sent = 0;
    birch.beforeSend = (message) => (message.type === 'maskedInput' && ++sent > totals ? null : message);
    const hash = world.propose(of);
    await until(() => attempts(hash).totals.length === totals && sent > totals, story(hash));
    await world.stopCoordinator();
    birch.beforeSend = (message) => message;
    const records = Array.from(world.events.replay({ study: hash }), ({ payload }) => decodeLoggedEvent(payload));
    const found = records.flatMap((event) =>
      event.type === 'round' && event.record.type === 'total' ? [event.record.totalHash] : [],
    );
    flip(found[1]!);
    return { hash, total: found[1]! };
  }
  const result = (name: string) =>
    world.registered(world.registry().find((entry) => entry.startsWith(name))!, 'bundle/result.json');

  it('is made again from retained inputs: the study goes on as if nothing had been', async () => {
    const { hash: again, total } = await stopAfter(retained, 3);
    await world.startCoordinator();
    world.connectAll();
    await until(() => world.phase(again) === 'published', story(again));
    const cohorts = [...world.sites.values()].map(
      ({ folder: own, name }) => loadCohort(retained, path.join(own, 'cohort.yaml'), name).cohort,
    );
    const simulated = resultBytes(studyResult(retained, runSimulation(retained, cohorts)));
    expect(result('damaged-total')).toBe(Buffer.from(simulated).toString('utf8'));
    expect(world.blobs.isWhole(total)).toBe(true);
  }, 60_000);

  it('without these the study waits, for the file or for the operator, and is not ended by it', async () => {
    const { hash, total } = await stopAfter(study, 3);
    await world.startCoordinator();
    world.connectAll();
    const refusal = world.progress.find((event) => event.kind === 'refused' && event.code === 'STORE_DAMAGED');
    expect(refusal).toMatchObject({ message: expect.stringContaining(`blobs/${total.slice(0, 2)}/${total}`) });
    expect(world.phase(hash)).toBe('running');
    await world.stopCoordinator();
    flip(total);
    await world.startCoordinator();
    world.connectAll();
    expect(await published(hash)).toBe(undisturbed);
  }, 60_000);

  it('without these and without a backup it can be aborted', async () => {
    const { hash } = await stopAfter(study, 3);
    await world.startCoordinator();
    world.connectAll();
    world.abort(hash, 'its total is lost');
    await until(() => world.phase(hash) === 'withdrawn', story(hash));
  }, 60_000);

  it('a retained input that is gone when the model is published is named, and keeps nobody from it', async () => {
    let blobHash = '';
    world.site('birch').beforeSend = (message) => {
      if (message.type === 'ratification' && blobHash === '') {
        blobHash = attempts(hash).inputs[0]!.blobHash;
        flip(blobHash);
      }
      return message;
    };
    const hash = world.propose(retained);
    await until(() => world.phase(hash) === 'published', story(hash));
    const refusal = world.progress.find((event) => event.kind === 'refused' && event.code === 'STORE_INPUT_DAMAGED');
    expect(refusal).toMatchObject({ message: expect.stringContaining(blobHash) });
  }, 60_000);
});
