import { createHash } from 'node:crypto';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readFolder } from '../../cli/commands/model.js';
import { canonicalJson } from '../../shared/canonical-json.js';
import { decodeDocument } from '../../shared/document.js';
import { rosterHash } from '../../shared/roster.js';
import { checkBundleForRatification } from '../../site-agent/ratify.js';
import { type KnownStudy, knownStudies } from '../../site-agent/site-records.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from './composed.js';

let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The bundle with another result, every digest made to fit: what a dishonest coordinator would show. */
function withResult(files: Map<string, Uint8Array>, change: (result: Result) => void): Map<string, Uint8Array> {
  const result = JSON.parse(Buffer.from(files.get('result.json')!).toString('utf8')) as Result;
  change(result);
  const resultBytes = Buffer.from(`${canonicalJson(result)}\n`);
  const bundle = JSON.parse(Buffer.from(files.get('bundle.json')!).toString('utf8')) as Record<string, unknown>;
  bundle['resultHash'] = sha256(resultBytes);
  (bundle['files'] as Record<string, string>)['result.json'] = sha256(resultBytes);
  return new Map(files).set('result.json', resultBytes).set('bundle.json', Buffer.from(`${canonicalJson(bundle)}\n`));
}

interface Result {
  validation: { folds: { name: string; sites: Record<string, Record<string, unknown>> }[] };
}

test('a site signs only a bundle that shows exactly the numbers it sent, under the roster it approved', async () => {
  const of = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  world = of;
  await of.start();
  const hash = of.propose(smallStudy('checked-by-sites'));
  await until(
    () => of.phase(hash) === 'published',
    () => `${of.phase(hash)} ${of.reason(hash)}`,
  );
  const files = readFolder(path.join(of.root, 'registry', `checked-by-sites-${hash.slice(0, 12)}`, 'bundle'));
  const { store } = of.site('dogwood');
  // The fold of a closed study forgets what was sent; the log does not.
  const ownValues = [...store.replay({ study: hash })]
    .filter(({ type }) => type === 'ownValues')
    .map(({ payload }) => decodeDocument(payload) as KnownStudy['ownValues'][number]);
  const known = { ...knownStudies(store).find((study) => study.studyHash === hash)!, ownValues };
  const check = (shown: Map<string, Uint8Array>, site = 'dogwood', roster = known.rosterHash) =>
    checkBundleForRatification(
      { studyHash: hash, bundleDigest: sha256(shown.get('bundle.json')!) },
      shown,
      { ...known, rosterHash: roster },
      site,
    );
  expect(rosterHash(of.chain[0]!.roster)).toBe(known.rosterHash);
  expect(check(files)).toEqual([]);

  const better = withResult(files, ({ validation }) => {
    const external = validation.folds.find((fold) => fold.name === 'external')!;
    external.sites['dogwood']!['auc'] = { value: 0.99, low: 0.98, high: 1 };
  });
  expect(check(better)).toEqual([expect.stringContaining('are not those it sent')]);

  const gone = withResult(files, ({ validation }) => {
    for (const fold of validation.folds) delete fold.sites['dogwood'];
  });
  expect(check(gone)).toEqual([expect.stringContaining('are not those it sent')]);

  const invented = withResult(files, ({ validation }) => {
    const external = validation.folds.find((fold) => fold.name === 'external')!;
    validation.folds.push({ ...external, name: 'split' });
  });
  expect(check(invented)).toEqual([expect.stringContaining('that it never sent')]);

  expect(check(files, 'dogwood', '0'.repeat(64))).toEqual([expect.stringContaining('roster.json')]);
  const swapped = new Map(files).set('model.onnx', new Uint8Array(3));
  expect(check(swapped)).toEqual([expect.stringContaining('model.onnx')]);
}, 60_000);
