import { afterEach, expect, test, vi } from 'vitest';
import { RoundDriver } from '../../coordinator/shell/round-driver.js';
import { decodeDocument } from '../../shared/document.js';
import { ed25519PublicKey, ed25519Sign } from '../../shared/ed25519.js';
import { ConcordatError } from '../../shared/errors.js';
import type { PreKey } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import type { SignedRoster } from '../../shared/roster.js';
import { preKeyStatement } from '../../shared/secagg/statements.js';
import { studyHash } from '../../shared/study.js';
import { approvalIsSigned, studyDocument } from '../../shared/study-signatures.js';
import { bundleDetail } from '../../shared/wire/codecs.js';
import { decodeSiteFrame } from '../../shared/wire/decode.js';
import { encodeSiteFrame } from '../../shared/wire/encode.js';
import { decide } from '../../site-agent/shell/decide.js';
import type { KnownStudy } from '../../site-agent/site-records.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';
import {
  type Composed,
  chainBytes,
  closeFederation,
  federation,
  keyOf,
  memberOf,
  rosterChain,
  story,
  until,
} from './composed.js';

afterEach(closeFederation);

test('an undisturbed study is published', async () => {
  const of = await federation();
  const hash = of.propose(smallStudy('plain-sailing'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  expect(of.registry()).toEqual([`plain-sailing-${hash.slice(0, 12)}`]);
  for (const site of of.sites.values()) expect(site.problems()).toEqual([]);
}, 60_000);

test('uploads and the work of computing threads reach the round that waits for them, from sites of the study only', async () => {
  const feed = vi.spyOn(RoundDriver.prototype, 'feed');
  const of = await federation();
  const alder = of.site('alder');
  let hash = '';
  alder.beforeSend = (message) => {
    if (message.type !== 'maskedInput') return message;
    const progress = { type: 'taskProgress', studyHash: hash, computation: 'describe', round: 1, message: '' } as const;
    of.service.onSiteMessage('alder', { ...progress, workMs: 7000 });
    of.service.onSiteMessage('elder', { ...progress, workMs: 8000 });
    return message;
  };
  hash = of.propose(smallStudy('progress'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  const progress = feed.mock.calls.flatMap(([event]) => (event.type === 'progress' ? [event] : []));
  feed.mockRestore();
  const uploading = progress.filter((event) => event.of === 'upload' && event.amount > 0);
  expect(new Set(uploading.map((event) => event.site))).toEqual(new Set(['alder', 'birch', 'cedar', 'dogwood']));
  const working = progress.filter((event) => event.of === 'work');
  expect(new Set(working.map(({ site, amount }) => `${site} ${amount}`))).toEqual(new Set(['alder 7000']));
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

/** Reads what a rejected promise says. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    return error instanceof ConcordatError ? error.code : String(error);
  }
}

test('a coordinator half that gives up ends the study with its code, also across restarts', async () => {
  const of = await federation();
  // Nobody measured this feature: only the totals show it.
  for (const site of of.sites.values()) site.table(simulatedTable(site.name).replace(/^(\w+-\d+),[^,]*,/gm, '$1,,'));
  const hash = of.propose(smallStudy('nobody-measured'));
  await until(() => of.phase(hash) === 'failed', story(of, hash));
  expect(of.reason(hash)).toMatch(/COHORT_[A-Z_]+/);
  const reason = of.reason(hash);
  await of.stopCoordinator();
  await of.startCoordinator();
  expect([of.phase(hash), of.reason(hash)]).toEqual(['failed', reason]);
  expect(of.progress.filter((event) => event.kind === 'refused')).toEqual([]);
}, 60_000);

test('a masked input that never arrived is refused, leaves no trace in the log, and the study goes on when it has', async () => {
  const of = await federation();
  const birch = of.site('birch');
  birch.withholdUploads = true;
  const hash = of.propose(smallStudy('withheld'));
  const refused = () =>
    of.progress.some((event) => event.kind === 'refused' && event.code === 'SECAGG_LENGTH_MISMATCH');
  await until(refused, story(of, hash));
  await of.stopCoordinator();
  await of.startCoordinator();
  expect(of.phase(hash)).toBe('approved');
  birch.withholdUploads = false;
  of.connectAll();
  await until(() => of.phase(hash) === 'published', story(of, hash));
}, 60_000);

test('a line that breaks while broadcasts are fetched never ends the study', async () => {
  const of = await federation();
  const cedar = of.site('cedar');
  let asked = 0;
  const random = seededRandom('bad line');
  cedar.beforeDownload = () => {
    asked++;
    // Not every so many: a fixed beat can hit the same fetch of every connection.
    if (random.uniform() > 0.3) return;
    setTimeout(() => cedar.connect(of.transport), 5);
    throw new ConcordatError('WIRE_DISCONNECTED', 'the line broke');
  };
  const hash = of.propose(smallStudy('bad-line'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  expect(asked).toBeGreaterThan(6);
}, 60_000);

test('a site whose mask key is of low order is named at once, and costs no study but its own', async () => {
  const of = await federation();
  const lowOrder = (preKey: PreKey): PreKey => {
    const changed = { ...preKey, maskPublicKey: new Uint8Array(32) };
    return { ...changed, signature: ed25519Sign(keyOf('birch'), preKeyStatement(changed)) };
  };
  of.site('birch').beforeSend = (message) =>
    message.type === 'preKeyAnswer' ? { ...message, preKey: lowOrder(message.preKey) } : message;
  const hash = of.propose(smallStudy('low-order'));
  const named = () =>
    of.progress.some(
      (event) =>
        event.kind === 'round-report' &&
        event.report.kind === 'ignored' &&
        event.report.site === 'birch' &&
        event.report.code === 'SECAGG_PRE_KEY_INVALID',
    );
  await until(named, story(of, hash));
  expect(of.phase(hash)).toBe('approved');
  of.site('birch').beforeSend = (message) => message;
  const next = of.propose(smallStudy('afterwards'));
  await until(() => of.phase(next) === 'published', story(of, next));
}, 60_000);

test('two studies at once over one cohort: what both released is kept', async () => {
  const of = await federation();
  const first = of.propose(smallStudy('first'));
  const second = of.propose(smallStudy('second', { seed: 8 }));
  await until(() => of.phase(first) === 'published' && of.phase(second) === 'published', story(of, second));
  for (const site of of.sites.values()) {
    const guards = [...site.store.settings()].filter(([key]) => key.startsWith('guard '));
    expect(guards).toHaveLength(1);
    const { cuts } = JSON.parse(guards[0]![1]) as { cuts: Record<string, unknown> };
    expect(Object.keys(cuts).sort()).toEqual(['seed 7, 0 folds', 'seed 8, 0 folds']);
  }
}, 90_000);

test('a site sends what is awaited and fetches what was named to it, nothing else', async () => {
  const of = await federation();
  const stolen: string[] = [];
  const attempts: string[] = [];
  of.site('alder').beforeSend = (message) => {
    if (message.type === 'maskedInput') {
      const birch = of.site('birch').link!;
      expect(of.blobs.blobSize(message.blobHash)).toBe(message.byteLength);
      void codeOf(birch.download(message.blobHash)).then((code) => stolen.push(code));
      void codeOf(birch.upload(new Uint8Array(message.byteLength + 8))).then((code) => attempts.push(code));
    }
    return message;
  };
  const hash = of.propose(smallStudy('curious-site'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  expect(stolen.length).toBeGreaterThan(5);
  expect(new Set(stolen)).toEqual(new Set(['STORE_BLOB_MISSING']));
  expect(new Set(attempts)).toEqual(new Set(['WIRE_REFUSED']));
}, 60_000);

test('a table that changed stops that study at that site alone, and the coordinator hears the code', async () => {
  const of = await federation();
  const [birch, cedar] = [of.site('birch'), of.site('cedar')];
  cedar.beforeSend = (message) => (message.type === 'maskedInput' ? null : message);
  const hash = of.propose(smallStudy('changed-table'));
  await until(
    () => birch.progress.some((event) => event.kind === 'round' && event.what === 'uploaded'),
    story(of, hash),
  );
  birch.agent.stop();
  await birch.link!.close();
  birch.table(simulatedTable('birch').replace(/,1$/m, ',0'));
  await birch.start();
  birch.connect(of.transport);
  const heard = () =>
    of.progress.some(
      (event) =>
        event.kind === 'round-report' &&
        event.report.kind === 'refused' &&
        event.report.site === 'birch' &&
        event.report.code === 'COHORT_CHANGED',
    );
  await until(heard, story(of, hash));
  expect(birch.problems()).toContain('COHORT_CHANGED');
  of.abort(hash, 'x'.repeat(5000));
  await until(
    () => birch.progress.some((event) => event.kind === 'study' && event.state === 'withdrawn'),
    story(of, hash),
  );
  // The next study is approved with the table as it is now; a few cases differ, which the overlap rule would refuse.
  expect(birch.link!.connected).toBe(true);
}, 60_000);

test('a site forgets keys and masked inputs of a study that was withdrawn in the middle', async () => {
  const of = await federation();
  of.site('cedar').beforeSend = (message) => (message.type === 'maskedInput' ? null : message);
  const hash = of.propose(smallStudy('withdrawn'));
  const alder = of.site('alder');
  await until(
    () => alder.progress.some((event) => event.kind === 'round' && event.what === 'uploaded'),
    story(of, hash),
  );
  of.abort(hash, 'no longer wanted');
  const told = () => alder.progress.some((event) => event.kind === 'study' && event.state === 'withdrawn');
  await until(told, story(of, hash));
  expect(alder.store.secretNames(hash)).toEqual([]);
  expect(alder.store.secretNames(`${hash}/box`)).toEqual([]);
  for (const record of alder.store.replay({ study: hash })) {
    const { type, record: inner } = decodeDocument(record.payload) as {
      type: string;
      record?: { type: string; blobHash: string };
    };
    if (type === 'participant' && inner?.type === 'masked') expect(alder.store.blobSize(inner.blobHash)).toBeNull();
  }
}, 60_000);

// What a coordinator might try with rosters ---------------------------------------------------------------------------

async function offerRoster(of: Composed, site: string, chain: readonly SignedRoster[]): Promise<void> {
  const rosterBlob = of.blobs.putBlob(chainBytes(chain));
  of.service.publishBlobs([rosterBlob]);
  of.site(site).receive({ type: 'rosterPublished', rosterVersion: chain.at(-1)!.roster.version, rosterBlob });
  await of.site(site).settled;
}

test('older versions of a roster chain are verified too: nobody slips a key in behind the trusted head', async () => {
  const of = await federation();
  const names = of.names.map((site) => memberOf(site));
  of.chain = rosterChain(names, [memberOf('elm')]);
  const alder = of.site('alder');
  await until(
    () => (alder.store.getSetting('roster chain') ?? '').includes('elm'),
    () => 'the roster',
  );
  const stored = alder.store.getSetting('roster chain');
  const forged = {
    ...of.chain[0]!,
    roster: { ...of.chain[0]!.roster, sites: names.map(({ site }) => memberOf(site, `fake ${site}`)) },
  };
  await offerRoster(of, 'alder', [forged, forged, of.chain[1]!]);
  expect(alder.problems()).toEqual(['SITE_ROSTER_UNTRUSTED']);
  expect(alder.store.getSetting('roster chain')).toBe(stored);
}, 30_000);

test('an older chain does not bring back a site that was revoked, and no study is pinned to its key', async () => {
  const of = await federation();
  const names = of.names.map((site) => memberOf(site));
  of.chain = rosterChain(names, [memberOf('birch', 'birch', 'revoked')]);
  const alder = of.site('alder');
  await until(
    () => (alder.store.getSetting('roster chain') ?? '').includes('revoked'),
    () => 'the roster',
  );
  await offerRoster(of, 'alder', of.chain.slice(0, 1));
  expect(alder.store.getSetting('roster chain')).toContain('revoked');
  const study = smallStudy('old-roster');
  const documentBlob = of.blobs.putBlob(studyDocument(study));
  of.service.publishBlobs([documentBlob]);
  alder.receive({ type: 'studyProposed', studyHash: studyHash(study), rosterVersion: 1, documentBlob });
  await alder.settled;
  expect(alder.problems()).toEqual(['STUDY_SITES_UNKNOWN']);
  expect([...alder.store.replay({ study: studyHash(study) })]).toEqual([]);
}, 30_000);

test('no signature before the last computation has run, and none under another roster', async () => {
  const of = await federation();
  of.site('cedar').beforeSend = (message) => (message.type === 'maskedInput' ? null : message);
  const hash = of.propose(smallStudy('too-early'));
  const alder = of.site('alder');
  await until(() => alder.progress.some((event) => event.kind === 'round'), story(of, hash));
  const signed: string[] = [];
  alder.beforeSend = (message) => {
    if (message.type === 'ratification') signed.push(message.ratification.verdict);
    return message;
  };
  const request = {
    type: 'ratificationRequest',
    studyHash: hash,
    bundleDigest: 'a'.repeat(64),
    transcriptHead: 'b'.repeat(64),
    files: [],
  } as const;
  alder.receive({ ...request, rosterVersion: 1 });
  alder.receive({ ...request, rosterVersion: 2 });
  await alder.settled;
  expect(alder.problems()).toEqual(['STUDY_WRONG_PHASE', 'SITE_ROSTER_CHAIN_BROKEN']);
  expect(signed).toEqual([]);
}, 30_000);

test.each(['../outside', 'a/../../b', '/etc/passwd', 'a//b', 'C:\\x', '..', './a', 'a\\..\\b'])(
  'the path %j of a bundle file is refused on the wire',
  (path) => {
    const bundle = {
      name: 'n',
      version: 1,
      digest: 'a'.repeat(64),
      studyHash: 'b'.repeat(64),
      phase: 'published',
      publishedAt: 'now',
    };
    const wire = (file: string) =>
      bundleDetail.encode({ bundle, files: [{ path: file, sha256: 'c'.repeat(64), size: 1 }] });
    expect(() => bundleDetail.decode(wire('bundle/comparators/mlp.onnx'), 'GetBundleResponse')).not.toThrow();
    expect(() => bundleDetail.decode(wire(path), 'GetBundleResponse')).toThrow(/is not the path of a file/);
  },
);

test('no case identifier and no value of a case is in what either side logs, reports or publishes', async () => {
  const of = await federation();
  const values: string[] = [];
  for (const site of of.sites.values()) {
    const csv = simulatedTable(site.name).replaceAll(`${site.name}-`, 'CANARY-');
    // A case without an outcome is a counted exclusion, whose text must name nobody either.
    const spoilt = csv.replace(/^(CANARY-3,.*),[01]$/m, '$1,');
    site.table(spoilt);
    values.push(...(spoilt.match(/-?\d+\.\d{6}/g) ?? []));
  }
  const hash = of.propose(smallStudy('canary'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  const said = [JSON.stringify(of.progress)];
  for (const { payload } of of.events.replay()) said.push(Buffer.from(payload).toString('latin1'));
  for (const site of of.sites.values()) {
    said.push(JSON.stringify(site.progress), ...site.store.ledger());
    for (const { payload } of site.store.replay()) said.push(Buffer.from(payload).toString('latin1'));
  }
  for (const file of ['result.json', 'card.md', 'bundle.json', 'study.yaml'])
    said.push(of.registered(of.registry()[0]!, `bundle/${file}`));
  const text = said.join('\n');
  expect(text).toContain('logistic');
  expect(text).not.toMatch(/CANARY/);
  expect(values.length).toBeGreaterThan(400);
  // Six decimals: what is written with more digits may begin with the same ones, what is a value on its own may not.
  expect(values.filter((value) => new RegExp(`[^\\d.]${value.replace('.', '\\.')}(?!\\d)`).test(text))).toEqual([]);
}, 60_000);

test('a reason longer than a message may carry is cut, so that it ends no connection', async () => {
  const of = await federation();
  const birch = of.site('birch');
  const study = smallStudy('long-reason');
  const known = {
    studyHash: studyHash(study),
    rosterVersion: 1,
    rosterHash: 'a'.repeat(64),
    approval: null,
    closed: null,
  } as unknown as KnownStudy;
  const reason = 'a reason of this site; '.repeat(400);
  const signingKey = keyOf('birch');
  const made = decide(birch.store, known, {
    site: 'birch',
    signingKey,
    frozen: null,
    decision: 'declined',
    reason,
    nowMs: 1,
    rule: null,
  });
  expect(() => decodeSiteFrame(encodeSiteFrame({ type: 'approval', approval: made }))).not.toThrow();
  expect(approvalIsSigned(made, ed25519PublicKey(signingKey))).toBe(true);
}, 30_000);

test('a masked input of the round before that comes again does not shut out the next one', async () => {
  const of = await federation();
  const cedar = of.site('cedar');
  const { upload } = cedar.link!;
  let before: Uint8Array | null = null;
  let repeated = 0;
  Object.assign(cedar.link!, {
    upload: async (bytes: Uint8Array) => {
      // As an agent does that was killed after its upload and learns too late that the attempt is closed.
      if (before?.length === bytes.length) {
        await upload.call(cedar.link, before).catch(() => undefined);
        repeated += 1;
      }
      before = bytes;
      return upload.call(cedar.link, bytes);
    },
  });
  const hash = of.propose(smallStudy('comes-again'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  expect(repeated).toBeGreaterThan(0);
}, 60_000);
