import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { advanceRun, startRun } from '../../coordinator/study-run.js';
import { addInto, decodeTotal, unpackWords } from '../../shared/fixed-point.js';
import { LIMITS } from '../../shared/limits.js';
import { planStudy } from '../../shared/plan.js';
import { Secret } from '../../shared/secret.js';
import { studySites } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { cohortOf } from '../../site-agent/cohort.site.js';
import { parseCohortConfig } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import type { Enrolled } from '../../site-agent/keys.js';
import type { MaskJob } from '../../site-agent/participant-types.js';
import { DEFAULT_POLICY } from '../../site-agent/policy.js';
import {
  computeHere,
  computeInThread,
  type HashedResults,
  type SiteComputer,
} from '../../site-agent/shell/computer.js';
import type { SiteWorkSetup } from '../../site-agent/site-work.site.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';
import { simulateCohort } from '../support/simulated-cohort.js';

/** The thread that computes for a study, as built: same bits, nothing else waits for it, and its loss is survived. */
const BUILT = new URL('../../dist/site-agent/shell/computing-thread.js', import.meta.url);
const TROUBLED = new URL('./troubled-thread.mjs', import.meta.url);

const simulated = simulateCohort(11);
const header = simulated.pooledCsv.split('\n', 1)[0]!.split(',');
const parsed = parseStudy(simulated.studyYaml, 'study.yaml');
const validation = { ...parsed.validation, folds: 2 };
const study = resolveFeatures({ ...parsed, comparators: [], validation }, header, ['hospital', 'patient_id']);
const plan = planStudy(study);
const sites = studySites(study);
const policy = { ...DEFAULT_POLICY, visibility: { metrics: true, descriptions: true, aggregate: true } };
const setups = simulated.sites.map(({ name: site, cohortYaml, casesCsv }): SiteWorkSetup => {
  const config = parseCohortConfig(cohortYaml, 'cohort.yaml');
  const { cohort } = cohortOf(study, config, parseTable(casesCsv, 'cases.csv', config.separator), site);
  const { showAggregate, minimumCohort } = study.privacy;
  const release = { site, policy, showAggregate, patients: cohort.n, minimumCohort };
  return { site, study, cohort, release, siteCount: sites.length };
});

const opened: SiteComputer[] = [];
const kept = (computer: SiteComputer): SiteComputer => {
  opened.push(computer);
  return computer;
};
afterEach(() => {
  for (const computer of opened.splice(0)) computer.close();
});

const hashed = (results: ReadonlyMap<string, unknown>): HashedResults =>
  new Map([...results].map(([name, value]) => [name, { hash: name, value }]));

function maskJob(site: string, peers: number): MaskJob {
  const hash = 'ab'.repeat(32);
  return {
    ...{ context: hash, computation: 'describe', round: 1, broadcastHash: hash, declarationHash: hash },
    ...{ contributionHash: hash, site, preKeyDigest: hash, secretName: 'keys' },
    // Any 32 bytes that are no point of low order serve as a public key.
    peers: Array.from({ length: peers }, (_, i) => ({
      site: `peer-${i}`,
      maskPublicKey: new Uint8Array(createHash('sha256').update(`peer ${i}`).digest()),
    })),
  };
}

describe('a computing thread', () => {
  it('gives the bits that the agent’s own thread gives, over a whole study, masked and bare', async () => {
    const here = setups.map((setup) => kept(computeHere(setup)));
    const there = kept(computeInThread(setups[0]!, undefined, BUILT));
    const secret = new Secret(new Uint8Array(64).fill(5));
    let rounds = 0;
    let run = startRun(plan, COORDINATOR_COMPUTATIONS);
    for (let request = run.request; request !== null; request = run.request) {
      const { leaves } = request;
      let sum: BigUint64Array[] | undefined;
      for (const [index, computer] of here.entries()) {
        const { words, own } = await computer.contribute(request, hashed(run.results));
        if (index === 0) {
          const other = await there.contribute(request, hashed(run.results));
          expect(Buffer.from(other.words).equals(words)).toBe(true);
          expect(other.own).toEqual(own);
          const job = maskJob(setups[0]!.site, 4);
          const masked = await computer.mask(job, leaves, words, secret);
          expect(Buffer.from(masked).equals(words)).toBe(false);
          expect(Buffer.from(await there.mask(job, leaves, words, secret)).equals(masked)).toBe(true);
        }
        const blocks = unpackWords(leaves, words);
        if (sum === undefined) sum = blocks;
        else for (const [at, leaf] of leaves.entries()) addInto(sum[at]!, blocks[at]!, leaf.ring);
      }
      rounds++;
      run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites, values: decodeTotal(leaves, sum!) });
    }
    expect(rounds).toBeGreaterThan(10);
    const local = await here[0]!.localHarmonization(hashed(run.results));
    expect(await there.localHarmonization(hashed(run.results))).toEqual(local);
  });

  it('refuses what the gate refuses, with the same code and places', async () => {
    const { release } = setups[0]!;
    const setup = { ...setups[0]!, release: { ...release, minimumCohort: 100_000 } };
    const request = startRun(plan, COORDINATOR_COMPUTATIONS).request!;
    const refused = [computeHere(setup), computeInThread(setup, undefined, BUILT)].map((computer) =>
      kept(computer)
        .contribute(request, new Map())
        .catch(({ code, message, problems, hint }) => ({ code, message, problems, hint })),
    );
    expect(await refused[0]).toMatchObject({ code: 'POLICY_COHORT_TOO_SMALL' });
    expect(await refused[1]).toEqual(await refused[0]);
  });
});

describe('a computing thread in trouble', () => {
  it('gives each job its own answer, also after one that could not be handed over', async () => {
    const computer = kept(computeInThread(setups[0]!, undefined, BUILT));
    const results = new Map([['describe', { hash: 'h', value: {} }]]);
    const bad = { ...request, broadcast: { phase: () => 'counts' } };
    await expect(computer.contribute(bad, results)).rejects.toThrow(/could not be cloned/);
    const { words } = await computer.contribute(request, new Map());
    const here = await kept(computeHere(setups[0]!)).contribute(request, new Map());
    expect(Buffer.from(words).equals(here.words)).toBe(true);
  });

  const request = startRun(plan, COORDINATOR_COMPUTATIONS).request!;
  /** The thread of troubled-thread.mjs does what the broadcast's `trouble` says, so many times, before it computes. */
  const troubled = (trouble: { readonly kind: 'busy' | 'dies'; readonly times: number; readonly ms?: number }) => ({
    ...setups[0]!,
    trouble: { ...trouble, count: new Int32Array(new SharedArrayBuffer(4)) },
  });
  let loopback: Loopback;
  let alder: Enrolled;
  beforeAll(async () => {
    loopback = await Loopback.start({ heartbeatIntervalMs: 40, livenessTimeoutMs: 800 });
    alder = await loopback.join('alder');
    await loopback.sign();
  });
  afterAll(() => loopback.stop());

  it('that computes for longer than a silence may last stops no heartbeat and no transfer', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events, { livenessTimeoutMs: 800 });
    await until(() => events.log.includes('connected'), 'it is in');
    const computer = kept(computeInThread(troubled({ kind: 'busy', times: 1, ms: 2_400 }), undefined, TROUBLED));
    let transfers = 0;
    let done = false;
    const long = computer.contribute(request, new Map()).finally(() => {
      done = true;
    });
    while (!done) {
      const bytes = Uint8Array.from({ length: 1000 + transfers }, (_, i) => i & 255);
      expect((await link.download(await link.upload(bytes))).length).toBe(bytes.length);
      transfers++;
    }
    const expected = await kept(computeHere(setups[0]!)).contribute(request, new Map());
    expect(Buffer.from((await long).words).equals(expected.words)).toBe(true);
    // In the agent's own thread not one would have got through meanwhile.
    expect(transfers).toBeGreaterThan(5);
    expect(events.log).toEqual(['connected']);
    expect(loopback.handlers.log.filter((entry) => entry.endsWith('alder') && entry.length === 6)).toEqual(['+alder']);
    await link.close();
  });

  it('that dies is replaced, and the job done again with the same bits', async () => {
    const setup = troubled({ kind: 'dies', times: 2 });
    const { words } = await kept(computeInThread(setup, undefined, TROUBLED)).contribute(request, new Map());
    const expected = await kept(computeHere(setups[0]!)).contribute(request, new Map());
    expect(Buffer.from(words).equals(expected.words)).toBe(true);
    expect(setup.trouble.count[0]).toBe(2);
  });

  it('that dies every time is named, and the next job is tried again', async () => {
    const computer = kept(computeInThread(troubled({ kind: 'dies', times: 3 }), undefined, TROUBLED));
    const lost = await computer.contribute(request, new Map()).catch((error: unknown) => error);
    expect(lost).toMatchObject({ code: 'SITE_COMPUTATION_LOST' });
    expect((await computer.contribute(request, new Map())).words.length).toBeGreaterThan(0);
  });

  it('tells how long it has been at work, as long as it is', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const told: number[] = [];
      const setup = troubled({ kind: 'busy', times: 1, ms: 1_500 });
      const computer = kept(computeInThread(setup, (workMs) => told.push(workMs), TROUBLED));
      const long = computer.contribute(request, new Map());
      const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
      while (told.length < 3) {
        await pause();
        vi.advanceTimersByTime(LIMITS.workReportIntervalMs);
      }
      await long;
      expect(told.every((workMs, i) => workMs > (told[i - 1] ?? 0))).toBe(true);
      const before = told.length;
      await pause();
      vi.advanceTimersByTime(10 * LIMITS.workReportIntervalMs);
      expect(told.length).toBe(before);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is ended with its study, in the middle of a computation', async () => {
    const computer = computeInThread(troubled({ kind: 'busy', times: 1, ms: 600_000 }), undefined, TROUBLED);
    const long = computer.contribute(request, new Map()).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 200));
    computer.close();
    expect(await long).toMatchObject({ code: 'SITE_COMPUTATION_LOST' });
    expect(await computer.contribute(request, new Map()).catch((error: unknown) => error)).toMatchObject({
      code: 'SITE_COMPUTATION_LOST',
    });
  });
});
