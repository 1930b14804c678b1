import { afterEach, expect, test } from 'vitest';
import { endsAtMs } from '../../shared/study.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from './composed.js';

/** A study's last day: past it nobody proposes, approves, contributes or waits. */
const LAST_DAY = '2031-05-31';
const endMs = endsAtMs({ until: LAST_DAY })!;

let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

function federation(): Composed {
  world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  return world;
}

const at = (of: Composed, nowMs: number) => {
  of.clockMs = () => nowMs;
  for (const site of of.sites.values()) site.clockMs = () => nowMs;
};

test('the last day counts whole, in UTC', () => {
  expect(endMs).toBe(Date.UTC(2031, 5, 1));
  expect(endsAtMs({})).toBeNull();
});

test('on its last day a study runs, and the day after none is proposed', async () => {
  const of = federation();
  at(of, endMs - 1);
  await of.start();
  const hash = of.propose(smallStudy('last-day', { until: LAST_DAY }));
  await until(
    () => of.phase(hash) === 'published',
    () => of.phase(hash),
  );
  at(of, endMs);
  const late = of.propose(smallStudy('too-late', { until: LAST_DAY }));
  await until(
    () => of.answer(late) !== null,
    () => 'the answer to the proposal',
  );
  expect(of.answer(late)).toMatchObject({ ok: false, code: 'STUDY_EXPIRED' });
  expect(of.phase(hash)).toBe('published');
}, 60_000);

test('the coordinator ends a study that waits past its last day, with a reason', async () => {
  const of = federation();
  at(of, endMs - 1);
  of.site('birch').policy = 'concordat: 1\n';
  await of.start();
  const hash = of.propose(smallStudy('waits', { until: LAST_DAY }));
  await until(
    () => of.phase(hash) === 'proposed',
    () => of.phase(hash),
  );
  at(of, endMs);
  await until(
    () => of.phase(hash) === 'failed',
    () => of.phase(hash),
  );
  expect(of.reason(hash)).toBe(`STUDY_EXPIRED: the study's last day was ${LAST_DAY}`);
}, 60_000);

test('a site whose own clock is past the last day sends nothing, whatever the coordinator says', async () => {
  const of = federation();
  at(of, endMs - 1);
  await of.start();
  const alder = of.site('alder');
  const hash = of.propose(smallStudy('clock', { until: LAST_DAY }));
  let sent = 0;
  alder.beforeSend = (message) => {
    if (message.type === 'maskedInput' && ++sent === 2) alder.clockMs = () => endMs;
    return message;
  };
  await until(
    () => alder.problems().includes('STUDY_EXPIRED'),
    () => `${of.phase(hash)} ${JSON.stringify(alder.progress.slice(-3))}`,
  );
  expect(sent).toBe(2);
}, 60_000);

test('a policy declines a study whose last day is over', async () => {
  const of = federation();
  at(of, endMs - 1);
  of.site('cedar').clockMs = () => endMs;
  await of.start();
  const hash = of.propose(smallStudy('declined', { until: LAST_DAY }));
  await until(
    () => of.phase(hash) === 'declined',
    () => of.phase(hash),
  );
  expect(of.reason(hash)).toBe(`cedar declined: the study's last day was ${LAST_DAY}`);
}, 60_000);
