import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { studyHash } from '../../shared/study.js';
import { FOUR_SITES, kindOf, OPEN_POLICY, readResult, smallStudy, TestFederation } from './support.js';

/** Studies that end without a model, one after another in one federation, and one afterwards that does not. */
describe('a study that ends early', () => {
  let federation: TestFederation;
  const abortJson = async (hash: string, reason: string) => {
    const folder = federation.coordinatorFolder;
    return federation.concordat('study', 'abort', hash.slice(0, 12), '--dir', folder, '--reason', reason, '--json');
  };
  const statusOf = async (hash: string) => {
    const { stdout } = await federation.concordat('study', 'status', '--dir', federation.coordinatorFolder, '--json');
    const { studies } = JSON.parse(stdout) as { studies: { study: string; phase: string; reason: string }[] };
    return studies.find((entry) => entry.study === hash)!;
  };

  beforeAll(async () => {
    const strict = OPEN_POLICY.replace('secureAggregation: optional\n', '');
    federation = await TestFederation.start(FOUR_SITES, {
      policy: (site) => (site === 'cedar' ? strict : OPEN_POLICY),
    });
  }, 120_000);
  afterAll(() => federation?.stop());

  it('is declined as soon as one site’s policy declines it, and every site is told', async () => {
    const plain = smallStudy('without-masks', { privacy: { secureAggregation: false } });
    // A site that comes after the end never heard of the study, and there is nothing to tell it.
    for (const site of FOUR_SITES) await federation.line(federation.site(site), /^connected/);
    const hash = await federation.propose(plain);
    await federation.line(federation.coordinator, / declined: cedar declined: .*without secure aggregation/);
    for (const site of FOUR_SITES)
      await federation.line(federation.site(site), / without-masks declined: cedar declined/);
    expect(await statusOf(hash)).toMatchObject({ phase: 'declined' });
    // No round was opened and nothing has left.
    expect(federation.recordsOf(plain)).toEqual([]);
    for (const site of FOUR_SITES) expect(federation.ledger(site)).toEqual([]);
  });

  it('is withdrawn by `study abort`: running, stopped and absent sites hear of it', async () => {
    const study = smallStudy('withdrawn-in-a-round', { seed: 8 });
    await federation.propose(study);
    await federation.line(federation.site('birch'), / round 2 \S+ uploaded$/);
    federation.site('cedar').signal('SIGSTOP');
    federation.site('dogwood').signal('SIGKILL');
    await federation.site('dogwood').ended();
    const { status, stdout } = await abortJson(studyHash(study), 'a mistake in the protocol');
    expect({ status, answer: JSON.parse(stdout) }).toMatchObject({ status: 0, answer: { study: studyHash(study) } });
    federation.site('cedar').signal('SIGCONT');
    federation.site('dogwood').start();
    for (const site of FOUR_SITES)
      await federation.line(federation.site(site), / withdrawn-in-a-round withdrawn: .*a mistake in the protocol/);
    expect(await statusOf(studyHash(study))).toMatchObject({ phase: 'withdrawn' });
    expect(federation.eventsOf(study).filter((event) => kindOf(event) === 'total').length).toBeGreaterThan(0);
    expect(
      existsSync(path.join(federation.coordinatorFolder, 'registry', `${study.name}-${studyHash(study).slice(0, 12)}`)),
    ).toBe(false);
    // Every process that was not killed is still the one that was started, and none of them met an error.
    for (const process_ of [federation.coordinator, ...federation.sites.values()]) {
      expect(process_.running, process_.name).toBe(true);
      expect(process_.lines.filter((line) => /INTERNAL_BUG|Error:|^ {4}at /.test(line))).toEqual([]);
    }
  });

  it('cannot be aborted or proposed again', async () => {
    const study = smallStudy('withdrawn-in-a-round', { seed: 8 });
    const file = path.join(federation.folder, 'study.yaml');
    writeFileSync(file, stringify(study));
    const again = await federation.concordat('study', 'propose', file, '--dir', federation.coordinatorFolder, '--json');
    expect(again.status).toBe(3);
    expect(JSON.parse(again.stdout).error.code).toBe('STUDY_EXISTS');
    const unknown = await abortJson('ffffffffffff', 'no such study');
    expect(unknown.status).toBe(2);
    expect(JSON.parse(unknown.stdout).error.code).toBe('STUDY_UNKNOWN');
  });

  it('does not keep the next study from its result', async () => {
    const study = smallStudy('secure');
    await federation.propose(study);
    const bundle = await federation.published(study);
    expect(readResult(bundle)).toBe(federation.simulated(study));
    expect(federation.verify(bundle).problems).toEqual([]);
  }, 180_000);
});
