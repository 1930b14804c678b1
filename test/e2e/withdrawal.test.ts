import { afterAll, beforeAll, expect, it } from 'vitest';
import { studyHash } from '../../shared/study.js';
import { FOUR_SITES, smallStudy, TestFederation } from './support.js';

/** A hospital leaves a running study from a second terminal; the agent beside it sends nothing more. */
let federation: TestFederation;

beforeAll(async () => {
  federation = await TestFederation.start(FOUR_SITES);
}, 120_000);
afterAll(() => federation?.stop());

it('`site withdraw` ends the study for all; what the ledger then holds stays the last of it', async () => {
  const study = smallStudy('left-in-the-middle');
  const short = studyHash(study).slice(0, 12);
  const folder = federation.siteFolder('birch');
  // Stopped in the middle of a round, so that the study cannot be over before the command has run.
  const stopped = new Promise<void>((resolve) => {
    federation.site('cedar').watch((line) => {
      if (!/ round \d+ moments uploaded$/.test(line)) return;
      federation.site('cedar').signal('SIGSTOP');
      resolve();
    });
  });
  await federation.propose(study);
  await stopped;
  const left = await federation.concordat('site', 'withdraw', short, '--dir', folder, '--reason', 'not any more');
  expect(left.status).toBe(0);
  expect(left.stdout).toMatch(
    /nothing more of it leaves this site\.\n\d+ totals have this site’s contribution in them/,
  );
  await federation.line(
    federation.coordinator,
    new RegExp(`^study ${short} withdrawn: birch withdrew after \\d+ totals`),
  );
  const released = federation.ledger('birch').length;
  federation.site('cedar').signal('SIGCONT');
  for (const site of FOUR_SITES)
    await federation.line(federation.site(site), /left-in-the-middle withdrawn: birch withdrew/);
  await federation.site('birch').stop();
  federation.site('birch').start();
  await federation.wait('birch to be back', () =>
    federation.site('birch').lines.filter((line) => line === 'connected').length > 1 ? true : undefined,
  );
  expect(federation.ledger('birch').length).toBe(released);
  const again = await federation.concordat('site', 'withdraw', short, '--dir', folder, '--reason', 'again', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ error: { code: 'STUDY_WRONG_PHASE' } });
}, 120_000);
