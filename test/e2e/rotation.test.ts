import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { signRoster } from '../../cli/consortium-keys.js';
import { createInvitation } from '../../coordinator/enrollment.js';
import { invitationText } from '../../shared/enrollment.js';

import { FOUR_SITES, readResult, smallStudy, TestFederation } from './support.js';

/** A TLS key is changed by command, between real processes, while a study runs. */
let federation: TestFederation;

beforeAll(async () => {
  federation = await TestFederation.start(FOUR_SITES);
}, 120_000);
afterAll(() => federation?.stop());

it('does not stop the study, and the result is that of an undisturbed run', async () => {
  const study = smallStudy('a-new-key');
  await federation.propose(study);
  await federation.line(federation.site('birch'), / round 2 \S+ uploaded$/);
  const folder = federation.siteFolder('birch');
  const tlsKey = () => readFileSync(path.join(folder, 'keys', 'tls.key'), 'utf8');
  const before = tlsKey();
  const invitation = path.join(federation.folder, 'again.json');
  writeFileSync(
    invitation,
    invitationText(createInvitation(federation.coordinatorFolder, 'birch', `127.0.0.1:${federation.port}`)),
  );
  await federation.concordat('site', 'enroll', invitation, '--dir', folder, '--new-tls-key');
  expect(tlsKey()).not.toBe(before);
  await signRoster(federation.consortiumFolder, federation.coordinatorFolder);
  await federation.line(federation.site('birch'), /^not connected: .*ENROLL_CERTIFICATE_UNKNOWN/);
  const published = await federation.published(study);
  expect(readResult(published)).toBe(federation.simulated(study));
  // The one before is gone once the new one is in use.
  expect(existsSync(path.join(folder, 'keys', 'tls.previous.key'))).toBe(false);
}, 120_000);
