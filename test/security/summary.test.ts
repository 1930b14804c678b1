import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { isSignedByAuthority } from '../../shared/authority.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from './composed.js';

let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

test('a study that fails after validation leaves its result and a signed summary, not its model', async () => {
  const of = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  world = of;
  await of.start();
  const acceptance = [{ metric: 'auc', where: 'external', minimum: 0.999 }];
  const hash = of.propose(smallStudy('too-ambitious', { acceptance }));
  await until(
    () => of.phase(hash) === 'failed',
    () => `${of.phase(hash)} ${of.reason(hash)}`,
  );
  const entry = `too-ambitious-${hash.slice(0, 12)}`;
  const status = of.registered(entry, 'status.json');
  expect(JSON.parse(status)).toMatchObject({
    study: hash,
    phase: 'failed',
    reason: expect.stringContaining('auc at external'),
  });
  const signature = Buffer.from(of.registered(entry, 'status.json.sig'), 'base64');
  expect(isSignedByAuthority(of.authority(), Buffer.from(status), signature)).toBe(true);
  expect(isSignedByAuthority(of.authority(), Buffer.from(status.replace('failed', 'published')), signature)).toBe(
    false,
  );
  const bundle = path.join(of.root, 'registry', entry, 'bundle');
  expect(existsSync(path.join(bundle, 'result.json'))).toBe(true);
  expect(existsSync(path.join(bundle, 'model.onnx'))).toBe(false);
}, 60_000);
