import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DemoProcess } from '../../cli/demo/processes.js';
import { studyHash } from '../../shared/study.js';
import { FOUR_SITES, smallStudy, TestFederation } from '../e2e/support.js';
import { checkStudy } from './chaos.js';

/**
 * A disk without room, for one real process at a time: the kernel is told to refuse every byte that the process would write to
 * a file (RLIMIT_FSIZE, set from outside), which its stores cannot tell from a full disk. Later the limit is lifted.
 */
const available = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;

const limit = (target: DemoProcess, bytes: string) =>
  void execFileSync('prlimit', ['--pid', String(target.pid), `--fsize=${bytes}:unlimited`]);

let federation: TestFederation;
const study = smallStudy('full-disk');
const told: string[] = [];
let problems: string[] = [];
let pids: (number | undefined)[] = [];

beforeAll(async () => {
  if (!available) return;
  federation = await TestFederation.start(FOUR_SITES);
  const processes = () => [federation.coordinator, federation.site('birch')];
  pids = processes().map(({ pid }) => pid);
  await federation.propose(study);
  const log = federation.openLog();
  let events = 20;
  try {
    for (const target of processes()) {
      await federation.wait(`${events} events`, () => (log.count(studyHash(study)) >= events ? true : undefined));
      limit(target, '0');
      told.push(await federation.line(target, /STORE_UNWRITABLE/));
      limit(target, 'unlimited');
      events = log.count(studyHash(study)) + 20;
    }
  } finally {
    log.close();
  }
  problems = await checkStudy(federation, study);
  pids.push(...processes().map(({ pid }) => pid));
}, 300_000);
afterAll(() => federation?.stop());

it.skipIf(!available)('is named by the coordinator and by a site', () => {
  expect(told).toHaveLength(2);
});

it.skipIf(!available)('ends no process', () => {
  expect(pids.slice(2)).toEqual(pids.slice(0, 2));
});

it.skipIf(!available)('loses nothing, and the study goes on to the same bytes when there is room again', () => {
  expect(problems).toEqual([]);
});
