import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { RoundDriver } from '../../coordinator/shell/round-driver.js';
import type { CoordinatorRegistry } from '../../coordinator/study-run.js';
import type { NetBroadcast, NetPoint } from '../../shared/computations/elastic-net/broadcast.js';
import { decodeDocument } from '../../shared/document.js';
import { planStudy } from '../../shared/plan.js';
import { decodeRoundDocument } from '../../shared/round-document.js';
import type { Study } from '../../shared/study.js';
import type { FromSite } from '../../shared/wire/types.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { contributionOf, leavesOf, siteView } from '../../site-agent/site-run.site.js';
import { type Composed, closeFederation, continuingStudy, FIVE, federation, keptBack, until } from './composed.js';

/**
 * A coordinator that wants to read cedar: it has a total over all five sites, asks the same question once more with
 * coefficients a hair off, so that it is another broadcast, and says that cedar was lost. Real agents, real rounds.
 */
const NAMES = FIVE;
const HAIR = 1e-9;

const honest = COORDINATOR_COMPUTATIONS['logistic']!;
const registry = COORDINATOR_COMPUTATIONS as { [name: string]: CoordinatorRegistry[string] };

afterEach(async () => {
  registry['logistic'] = honest;
  await closeFederation();
});

/** Runs the attack until the repeated round has its total or the study has ended. */
async function attack(of: Composed, asked: Study): Promise<string> {
  let first: NetBroadcast | null = null;
  let repeated = false;
  const half = honest.coordinator as unknown as { advance(...given: unknown[]): { broadcast?: NetBroadcast } };
  const advance = (...given: unknown[]) => {
    const step = half.advance(...given);
    if (step.broadcast === undefined || step.broadcast.points.length === 0 || repeated) return step;
    if (first === null) {
      first = step.broadcast;
      return step;
    }
    repeated = true;
    const off = (point: NetPoint) => ({ ...point, intercept: point.intercept + HAIR });
    return { ...step, broadcast: { ...(first as NetBroadcast), points: (first as NetBroadcast).points.map(off) } };
  };
  registry['logistic'] = { ...honest, coordinator: { ...honest.coordinator, advance } as never };
  // What cedar sends is kept back; to the rounds it looks as if it could not take part.
  of.site('cedar').beforeSend = (message): FromSite =>
    message.type === 'maskedInput' && repeated ? keptBack(message) : message;
  const hash = of.propose(asked);
  const story = () => `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify(of.site('alder').progress.slice(-4))}`;
  await until(() => pointTotals(of, hash).length === 2 || ['failed', 'published'].includes(of.phase(hash)), story);
  expect(repeated).toBe(true);
  return hash;
}

interface Logged {
  readonly type: string;
  readonly record?: {
    readonly type: string;
    readonly computation: string;
    readonly broadcastHash: string;
    readonly totalHash: string;
    readonly sites: readonly string[];
  };
}

/** Totals at coefficients, in order: what the coordinator has read. */
function pointTotals(of: Composed, hash: string) {
  const totals: { readonly broadcastHash: string; readonly totalHash: string; readonly sites: readonly string[] }[] =
    [];
  let open = '';
  for (const { payload } of of.events.replay({ study: hash })) {
    const { record } = decodeDocument(payload) as Logged;
    if (record?.type === 'roundOpened') open = record.computation === 'logistic' ? record.broadcastHash : '';
    if (record?.type !== 'total' || open === '') continue;
    const { broadcast } = decodeRoundDocument(of.blobs.getBlob(open));
    if ((broadcast as NetBroadcast).points.length > 0)
      totals.push({ broadcastHash: open, totalHash: record.totalHash, sites: record.sites });
  }
  return totals;
}

test('cedar is read by subtraction where every site agreed that totals may show it: the attack works', async () => {
  const of = await federation(undefined, NAMES);
  const asked = continuingStudy('agreed', NAMES);
  const hash = await attack(of, asked);
  const [whole, without] = pointTotals(of, hash);
  expect(whole!.sites).toEqual(NAMES);
  expect(without!.sites).toEqual(NAMES.filter((site) => site !== 'cedar'));
  expect(without!.broadcastHash).not.toBe(whole!.broadcastHash);

  const plan = planStudy(asked);
  const document = decodeRoundDocument(of.blobs.getBlob(whole!.broadcastHash));
  const leaves = leavesOf(plan, SITE_COMPUTATIONS, document);
  const [all, rest] = [whole!, without!].map((total) => RoundDriver.readTotal(leaves, total, of.blobs));
  const results = new Map(
    Object.entries(document.upstream).map(([instance, blob]) => [instance, decodeDocument(of.blobs.getBlob(blob))]),
  );
  const { cohort } = loadCohort(asked, path.join(of.site('cedar').folder, 'cohort.yaml'), 'cedar');
  const truth = contributionOf(plan, SITE_COMPUTATIONS, document, siteView(asked, plan, cohort, results, new Map()));
  const score = leaves.find(({ name }) => name.endsWith('/score'))!.name;
  const read = all!.values.get(score)!.map((value, at) => value - rest!.values.get(score)![at]!);
  // Forty patients, standardized predictors, coefficients off by a billionth: the score is off by less than a millionth.
  for (const [at, value] of truth.get(score)!.entries()) expect(Math.abs(read[at]! - value)).toBeLessThan(1e-6);
  expect(Math.max(...truth.get(score)!.map(Math.abs))).toBeGreaterThan(0.1);
}, 60_000);

test('where it did not, no agent signs the set without it, whatever was broadcast, and no total comes of it', async () => {
  const of = await federation(undefined, NAMES);
  const hash = await attack(of, continuingStudy('guarded', []));
  expect(of.phase(hash)).toBe('failed');
  expect(pointTotals(of, hash).map(({ sites }) => sites)).toEqual([NAMES]);
  for (const name of NAMES)
    expect([name, of.site(name).problems().includes('POLICY_GUARD_ISOLATES')]).toEqual([name, name !== 'cedar']);
}, 60_000);
