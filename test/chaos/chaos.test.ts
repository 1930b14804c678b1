import { afterAll, beforeAll, expect, it } from 'vitest';
import { FOUR_SITES, TestFederation } from '../e2e/support.js';
import { type ChaosResult, chaos, type Kill, killTable } from './chaos.js';

const KILLS = 20;
let federation: TestFederation;
let result: ChaosResult;

beforeAll(async () => {
  federation = await TestFederation.start(FOUR_SITES);
  result = await chaos(federation, { kills: KILLS, killsPerStudy: 10, seed: 1 });
  process.stdout.write(`${killTable(result.kills).join('\n')}\n`);
}, 300_000);
afterAll(() => federation?.stop());

it('20 kills of coordinator and sites change no byte of the results, lose nothing acknowledged, leave every ledger whole', () => {
  expect(result.problems).toEqual([]);
  expect(result.kills).toHaveLength(KILLS);
});

it('fell upon both kinds of process, at different moments of a study', () => {
  const victims = new Set(result.kills.map(({ victim }) => victim));
  expect(victims.has('coordinator')).toBe(true);
  expect(victims.size).toBeGreaterThan(2);
  expect(new Set(result.kills.map(({ after }) => after)).size).toBeGreaterThan(3);
});

it('counts kills by victim and moment', () => {
  const kill = (victim: string, after: string): Kill => ({ study: 's', victim, events: 1, after, downMs: 0 });
  const [, total, all] = killTable([kill('alder', 'total'), kill('coordinator', 'total')]);
  expect(total!.split(/\s+/)).toEqual(['', 'total', '1', '1', '2']);
  expect(all!.split(/\s+/)).toEqual(['', 'all', '1', '1', '2']);
});
