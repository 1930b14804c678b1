import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPort } from '../cli/address.js';
import { takeAnswer } from '../cli/inbox-answer.js';
import { createInvitation, enroll, initCoordinator, pendingEnrollments } from '../coordinator/enrollment.js';
import { readLedgerEvents } from '../coordinator/ledger-heads.js';
import { readRegistry } from '../coordinator/registry.js';
import { CoordinatorService, type ServicePorts } from '../coordinator/service.js';
import { encodeDocument } from '../shared/document.js';
import { tokenHash } from '../shared/enrollment.js';
import { memoryBlobStore, memoryEventStore } from '../shared/memory-stores.js';
import { enrollSite, initSite, readSiteKeys } from '../site-agent/keys.js';
import { readCountersigned, readLedger } from '../site-agent/shell/ledger-keeper.js';

/** Files and records that were written whole and are not what they should be: an error by name, never a crash half way. */
const NOW = Date.UTC(2026, 10, 21);
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'concordat-stored-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, content: string): string {
  const full = path.join(root, file);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

const damaged = expect.objectContaining({ code: 'STORE_DAMAGED' });
const NONE = ['', 'null', '[]', '7', '"x"', '{}'];

describe('what is read again', () => {
  it.each([...NONE, '{"study":"x","name":"y","bundleDigest":null,"phase":"failed"}'])(
    'an entry of the registry with the status %s',
    (text) => {
      write('registry/one/status.json', text);
      expect(() => readRegistry(root)).toThrow(damaged);
    },
  );

  it('an entry of the registry without a bundle is one', () => {
    const study = 'ab'.repeat(32);
    write('registry/one/status.json', JSON.stringify({ study, name: 'one', bundleDigest: null, phase: 'failed' }));
    expect(readRegistry(root)).toMatchObject([{ name: 'one', digest: '', studyHash: study, phase: 'failed' }]);
  });

  it.each([...NONE, '{"port":0}', '{"port":"7443"}'])('an address %s', (text) => {
    expect(() => readPort(write('address.json', text))).toThrow(damaged);
  });

  it.each([...NONE, '{"ok":"yes"}', '{"ok":false,"code":"NO_SUCH_CODE"}'])("a coordinator's answer %s", (text) => {
    const request = write('inbox/1.json', '{}');
    expect(takeAnswer(request)).toBeUndefined();
    write('inbox/1.json.done', text);
    expect(() => takeAnswer(request)).toThrow(damaged);
  });

  it.each([...NONE, '{"sequence":1}'])('a line of the egress ledger %s', (text) => {
    expect(() => readLedger({ ledger: () => [text] })).toThrow(damaged);
  });

  it.each([...NONE, '{"site":"../x"}'])("a site's name %s", async (text) => {
    const folder = path.join(root, 'site');
    await initSite(folder, 'alder');
    expect(readSiteKeys(folder).site).toBe('alder');
    write('site/keys/site.json', text);
    expect(() => readSiteKeys(folder)).toThrow(damaged);
  });

  it.each(NONE)('tokens, used tokens and pending enrollments that say %s', async (text) => {
    await initCoordinator(root, new Uint8Array(32), NOW);
    await initSite(path.join(root, 'site'), 'alder');
    const invitation = createInvitation(root, 'alder', 'hub.example:7443', NOW);
    const token = `tokens/${tokenHash(Buffer.from(invitation.token, 'hex'))}`;
    const join = () =>
      enrollSite(path.join(root, 'site'), invitation, (_, request) => enroll(root, request, NOW)).then(() => 'joined');
    const kept = readFileSync(path.join(root, `${token}.json`), 'utf8');
    write(`${token}.json`, text);
    await expect(join()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    write(`${token}.json`, kept);
    write(`${token}.used`, text);
    await expect(join()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    rmSync(path.join(root, `${token}.used`));
    write('pending/alder.json', text);
    await expect(join()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    expect(() => pendingEnrollments(root)).toThrow(damaged);
    rmSync(path.join(root, 'pending/alder.json'));
    expect(await join()).toBe('joined');
  });

  it.each([{ type: 'ledgerHead' }, { length: 1, head: 'x', signature: new Uint8Array(64) }, 'text'])(
    'heads of egress ledgers %j',
    (document) => {
      const events = memoryEventStore();
      events.append([{ study: '', type: 'ledgerHead', payload: encodeDocument(document) }]);
      expect(() => readLedgerEvents(events)).toThrow(damaged);
      const site = memoryEventStore();
      site.append([{ study: '', type: 'ledgerCountersigned', payload: encodeDocument(document) }]);
      expect(() => readCountersigned(site)).toThrow(damaged);
    },
  );
});

it('a start drops what arrived of uploads that no study awaits', async () => {
  const blobs = memoryBlobStore();
  blobs.appendPartial('alder', 'ab'.repeat(32), 0, new Uint8Array(10));
  const ports = { folder: root, events: memoryEventStore(), blobs, roster: () => null, nowMs: () => NOW };
  const service = new CoordinatorService({ ...ports, progress: () => undefined } as unknown as ServicePorts);
  await service.start();
  service.stop();
  expect(blobs.partialSize('alder', 'ab'.repeat(32))).toBe(0);
});

it.each([
  ...NONE,
  '{',
  '{"type":"stop","studyHash":"x"}',
  '{"type":"abort"}',
  '{"type":"propose","studyHash":"x","document":7}',
])('a request %s in the inbox is answered with CLI_USAGE, and the next one is taken', async (text) => {
  const service = new CoordinatorService({
    folder: root,
    events: memoryEventStore(),
    blobs: memoryBlobStore(),
    roster: () => null,
    nowMs: () => NOW,
    progress: () => undefined,
  } as unknown as ServicePorts);
  write('inbox/1.json', text);
  write('inbox/2.json', JSON.stringify({ type: 'abort', studyHash: 'ab'.repeat(32) }));
  await service.start();
  service.stop();
  const answer = (name: string) => JSON.parse(readFileSync(path.join(root, `inbox/${name}.json.done`), 'utf8'));
  expect(answer('1')).toMatchObject({ ok: false, code: 'CLI_USAGE' });
  expect(answer('2')).toMatchObject({ ok: false, code: 'STUDY_UNKNOWN' });
});
