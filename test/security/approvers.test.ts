import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { encodeDocument } from '../../shared/document.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { toHex } from '../../shared/hex.js';
import { Secret } from '../../shared/secret.js';

import type { ApproverKey } from '../../site-agent/approvers.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { signForSite } from '../../site-agent/shell/approver-decide.js';
import { decide, decisionGrounds } from '../../site-agent/shell/decide.js';
import { type KnownStudy, knownStudies } from '../../site-agent/site-records.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, type ComposedSite, keyOf, until } from './composed.js';

const person = (name: string, fill: number): ApproverKey => ({ name, seed: new Secret(new Uint8Array(32).fill(fill)) });
const ADA = person('Ada Approver-Canary', 41);
const BEN = person('Ben Approver-Canary', 42);
const POLICY = `concordat: 1
preset: standard
secureAggregation: optional
approval:
  required: 2
  approvers:
${[ADA, BEN].map(({ name, seed }) => `    - {name: ${name}, publicKey: ${toHex(ed25519PublicKey(seed))}}`).join('\n')}
`;

let world: Composed | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const known = (site: ComposedSite): KnownStudy => knownStudies(site.store)[0]!;

/** As `concordat site approve STUDY --as NAME --approver-key FILE` beside the running agent; how many are missing after. */
function approveAs(site: ComposedSite, key: ApproverKey): number {
  const policy = parsePolicy(POLICY, 'policy.yaml');
  const rule = policy.approval!;
  const place = { site: site.name, folder: site.folder, policy, nowMs: 1 };
  const { frozen, reasons } = decisionGrounds(site.store, known(site), place, {});
  expect(reasons).toEqual([]);
  const by = { site: site.name, key, decision: 'approved', cohortDigest: frozen.digest, nowMs: 1 } as const;
  const missing = signForSite(site.store, known(site), rule, by);
  const decision = { site: site.name, signingKey: keyOf(site.name), frozen, reason: '', nowMs: 1, rule };
  const approve = () => decide(site.store, known(site), { ...decision, decision: 'approved' });
  if (missing === 0) approve();
  else expect(approve).toThrow(expect.objectContaining({ code: 'POLICY_APPROVAL_INCOMPLETE' }));
  return missing;
}

test('a study starts at a site only when the second person has signed, and neither is named outside it', async () => {
  const of = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  world = of;
  const dogwood = of.site('dogwood');
  dogwood.policy = POLICY;
  const wire: Buffer[] = [];
  for (const site of of.sites.values())
    site.beforeSend = (message) => {
      wire.push(Buffer.from(encodeDocument(message)));
      return message;
    };
  await of.start();
  const hash = of.propose(smallStudy('two-persons'));
  const story = () => `${of.phase(hash)} ${of.reason(hash)} ${JSON.stringify(dogwood.progress.slice(-3))}`;
  const others = ['alder', 'birch', 'cedar'].map((name) => of.site(name));
  await until(() => others.every((site) => known(site)?.approval?.decision === 'approved'), story);
  await until(() => known(dogwood) !== undefined, story);
  expect(approveAs(dogwood, ADA)).toBe(1);
  const signatures = [...known(dogwood).approvers];
  // One signature moves nothing, however often the agent starts and connects.
  for (let again = 0; again < 2; again++) {
    dogwood.agent.stop();
    await dogwood.start();
    dogwood.connect(of.transport);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([of.phase(hash), known(dogwood).approval, known(dogwood).approvals]).toEqual(['proposed', null, null]);
  }
  expect(approveAs(dogwood, BEN)).toBe(0);
  signatures.push(known(dogwood).approvers[1]!);
  await until(() => of.phase(hash) === 'published', story);

  const outside = [
    ...wire,
    ...[...of.events.replay()].map(({ payload }) => Buffer.from(payload)),
    ...filesBelow(of.root, of.names),
    Buffer.from(JSON.stringify([of.progress, [...of.sites.values()].map(({ progress }) => progress)])),
  ];
  expect(wire.length).toBeGreaterThan(20);
  const traces = signatures.flatMap(({ name, publicKey, signature }) => [
    Buffer.from(name),
    Buffer.from(publicKey),
    Buffer.from(publicKey, 'hex'),
    Buffer.from(signature),
    Buffer.from(toHex(signature)),
  ]);
  expect(traces).toHaveLength(10);
  for (const trace of [...traces, Buffer.from('Approver-Canary')])
    expect(outside.filter((bytes) => bytes.includes(trace))).toEqual([]);
  // The search does find what is there: the site's own approval is in what it sent.
  expect(wire.some((bytes) => bytes.includes(Buffer.from(known(dogwood).approval!.signature)))).toBe(true);
}, 60_000);

/** Everything that the coordinator wrote: its folder without those of the sites. */
function filesBelow(root: string, sites: readonly string[]): Buffer[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, file: path.join(entry.parentPath, entry.name) }))
    .filter(({ entry, file }) => entry.isFile() && !sites.includes(path.relative(root, file).split(path.sep)[0]!))
    .map(({ file }) => readFileSync(file));
}
