import { afterEach, expect, test } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from './composed.js';

let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function federation(): Promise<Composed> {
  world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  await world.start();
  return world;
}

const story = (of: Composed, hash: string) => () =>
  `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify(of.progress.slice(-5))} ${JSON.stringify(
    [...of.sites.values()].map((site) => site.progress.slice(-2)),
  )}`;

test('an undisturbed study is published', async () => {
  const of = await federation();
  const hash = of.propose(smallStudy('plain-sailing'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  expect(of.registry()).toEqual([`plain-sailing-${hash.slice(0, 12)}`]);
  for (const site of of.sites.values()) expect(site.problems()).toEqual([]);
}, 60_000);

test('a bundle that cannot be made ends its study with code and reason, and the coordinator starts again', async () => {
  const of = await federation();
  of.assemble = async () => {
    throw new ConcordatError('BUNDLE_MODEL_UNUSABLE', 'model "logistic" cannot be published');
  };
  const hash = of.propose(smallStudy('no-bundle'));
  await until(() => of.phase(hash) === 'failed', story(of, hash));
  expect(of.reason(hash)).toBe('BUNDLE_MODEL_UNUSABLE: model "logistic" cannot be published');
  await until(
    () => of.site('alder').progress.some((event) => event.kind === 'study' && event.state === 'failed'),
    story(of, hash),
  );
  await of.stopCoordinator();
  await of.startCoordinator();
  expect(of.phase(hash)).toBe('failed');
}, 60_000);
