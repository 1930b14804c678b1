import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readResult, smallStudy, TestFederation } from './support.js';

/**
 * Two studies one after another in one federation of five processes: the first under secure aggregation, the second with
 * the masks off. What the first one measured is what the others in this folder are compared with, by way of `simulate`.
 */
describe('an undisturbed federation of real processes', () => {
  let federation: TestFederation;
  const secure = smallStudy('secure');
  const plain = smallStudy('plain', { privacy: { secureAggregation: false } });
  let secureBundle: string;
  let plainBundle: string;

  beforeAll(async () => {
    federation = await TestFederation.start();
    await federation.propose(secure);
    secureBundle = await federation.published(secure);
    await federation.propose(plain);
    plainBundle = await federation.published(plain);
  }, 240_000);
  afterAll(() => federation?.stop());

  it('publishes under both modes the bytes of result.json that the simulation gives', () => {
    expect(readResult(secureBundle)).toBe(federation.simulated(secure));
    expect(readResult(plainBundle)).toBe(federation.simulated(plain));
  });

  it('computes the same bits with and without masks', () => {
    const [first, second] = [secureBundle, plainBundle].map((bundle) => JSON.parse(readResult(bundle)));
    // The study's hash differs, as the study does; nothing else may.
    expect(first.study.hash).not.toBe(second.study.hash);
    const without = ({ study: _study, ...rest }: Record<string, unknown>) => rest;
    expect(without(first)).toEqual(without(second));
    expect(first.totals.length).toBeGreaterThan(5);
    expect(Object.keys(first.digests)).toContain('logistic');
  });

  it('makes bundles that verify offline against the consortium key', () => {
    for (const bundle of [secureBundle, plainBundle]) {
      const verification = federation.verify(bundle);
      expect(verification.problems).toEqual([]);
      expect(verification.rosterPinned).toBe(true);
      expect(verification.ratified.length).toBeGreaterThanOrEqual(3);
    }
  });

  it('writes down at every site exactly what the coordinator was sent', () => {
    for (const study of [secure, plain])
      for (const site of [...study.sites.training, ...study.sites.external]) {
        const masked = study === secure;
        const left = federation.ledger(site).filter((entry) => entry.masked === masked);
        const contexts = new Map<string, number>();
        const received: { hash: string; bytes: number }[] = [];
        let size = 0;
        for (const record of federation.recordsOf(study)) {
          if (record.type === 'roundOpened') size = record.contributionBytes;
          if (record.type === 'attemptOpened') contexts.set(record.context, size);
          if (record.type === 'maskedInput' && record.site === site)
            received.push({ hash: record.blobHash, bytes: contexts.get(record.context)! });
        }
        expect(left.map((entry) => entry.sha256)).toEqual(received.map(({ hash }) => hash));
        const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
        expect(sum(left.map((entry) => entry.bytes))).toBe(sum(received.map(({ bytes }) => bytes)));
        expect(left.every((entry) => entry.patients > 0 && entry.tensors.length > 0)).toBe(true);
      }
  });

  it('never shows the same masked bytes twice, and shows plain ones where masks are off', () => {
    const inputs = federation
      .recordsOf(secure)
      .flatMap((record) => (record.type === 'maskedInput' ? [record.blobHash] : []));
    expect(new Set(inputs).size).toBe(inputs.length);
    const totals = (bundle: string) => JSON.parse(readResult(bundle)).totals.length as number;
    expect(inputs.length).toBe(4 * totals(secureBundle));
  });

  it('tells every site that both studies were published', async () => {
    for (const site of ['alder', 'birch', 'cedar', 'dogwood'])
      for (const study of ['secure', 'plain'])
        await federation.line(federation.site(site), new RegExp(` ${study} published`));
  });
});
