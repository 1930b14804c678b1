import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { approvalPicture } from '../../cli/approval-picture.js';
import { type LedgerEntry, ledgerEntry } from '../../shared/egress-ledger.js';
import { memorySiteStore } from '../../shared/memory-stores.js';
import { Secret } from '../../shared/secret.js';
import type { SiteStore } from '../../shared/stores.js';
import { type Study, studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { DEFAULT_POLICY } from '../../site-agent/policy.js';
import { decide, decisionGrounds, frozenCohort } from '../../site-agent/shell/decide.js';
import { removeCases } from '../../site-agent/shell/removals.js';
import { markRestored } from '../../site-agent/shell/restored.js';
import { encodeSiteRecord, knownStudies } from '../../site-agent/site-records.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';

let folder: string;
let store: SiteStore;
const place = () => ({ site: 'alder', folder, policy: DEFAULT_POLICY, minimumCases: 5, nowMs: 1 });

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-removal-'));
  store = memorySiteStore();
  writeFileSync(
    path.join(folder, 'cohort.yaml'),
    'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n',
  );
  writeFileSync(path.join(folder, 'cases.csv'), simulatedTable('alder'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function propose(study: Study): string {
  const hash = studyHash(study);
  const proposed = { type: 'proposed', rosterVersion: 1, rosterHash: 'a'.repeat(64), atMs: 1 } as const;
  store.append([encodeSiteRecord(hash, { ...proposed, document: studyDocument(study) })]);
  return hash;
}

const known = (hash: string) => knownStudies(store).find(({ studyHash }) => studyHash === hash)!;
const grounds = (hash: string) => decisionGrounds(store, known(hash), place(), {});

function approve(hash: string): void {
  const signingKey = new Secret(new Uint8Array(32).fill(3));
  const { frozen } = grounds(hash);
  decide(store, known(hash), {
    site: 'alder',
    signingKey,
    frozen,
    decision: 'approved',
    reason: '',
    nowMs: 2,
    rule: null,
  });
}

const remove = (...ids: string[]) => removeCases(store, place(), ids, ({ studyHash }) => studyHash.slice(0, 6));

describe('a patient withdraws', () => {
  it('is left out of what is approved later, and counted under a reason of its own', () => {
    const hash = propose(smallStudy('later'));
    expect(grounds(hash).cohort.cohort.n).toBe(40);
    expect(remove('alder-7', 'alder-9', 'alder-7')).toMatchObject({ added: 2, effects: [{ state: 'not begun' }] });
    const { cohort } = grounds(hash).cohort;
    expect(cohort.n).toBe(38);
    expect(cohort.ids).not.toContain('alder-7');
    expect(cohort.exclusions).toEqual([{ site: 'alder', reason: 'withdrawn by the patient', count: 2 }]);
    expect(remove('alder-9').added).toBe(0);
  });

  it('stays in a cohort that was frozen before; the study, its state and what has left are named', () => {
    const hash = propose(smallStudy('running'));
    approve(hash);
    store.append([encodeSiteRecord(hash, { type: 'started', approvals: [] })]);
    let last: LedgerEntry | null = null;
    for (const round of [1, 2]) {
      const released = { time: '', study: hash, computation: 'describe', round, attempt: 1, leaves: [], patients: 40 };
      last = ledgerEntry(last, { ...released, sha256: `${round}`.repeat(64), masked: true });
      store.appendLedger(JSON.stringify(last));
    }
    const { effects } = remove('alder-7', 'nobody');
    expect(effects).toEqual([
      { study: hash, name: hash.slice(0, 6), state: 'running', cases: 1, contributions: 2, overlaps: true },
    ]);
    expect(frozenCohort(store, known(hash), place()).cohort.ids).toContain('alder-7');
    store.append([encodeSiteRecord(hash, { type: 'closed', phase: 'published', reason: '' })]);
    expect(remove('alder-7').effects[0]).toMatchObject({ state: 'published', cases: 1 });
  });

  it('stays in what a new approval after a restore is asked for, and the picture says so', () => {
    const hash = propose(smallStudy('restored'));
    approve(hash);
    const { digest } = known(hash).cohort!;
    remove('alder-7', 'alder-9');
    markRestored(store, 3);
    const again = decisionGrounds(store, known(hash), { ...place(), restoreAccepted: true }, {});
    expect(again.cohort.cohort.n).toBe(40);
    expect(again.cohort.cohort.ids).toEqual(expect.arrayContaining(['alder-7', 'alder-9']));
    expect(again.frozen.digest).toBe(digest);
    expect(again).toMatchObject({ withdrawnSince: 2, reasons: [] });
    const { text, data } = approvalPicture(again.study, known(hash), null, 'alder', again);
    expect(text.replace(/\s+/g, ' ')).toContain(
      'patients 40 usable withdrawn 2 of these patients have withdrawn since',
    );
    expect(data).toMatchObject({ patients: 40, withdrawnSince: 2 });
    // A study that was not approved before leaves them out, as everywhere.
    const next = decisionGrounds(store, known(propose(smallStudy('next'))), place(), {});
    expect(next).toMatchObject({ withdrawnSince: 0, cohort: { cohort: { n: 38 } } });
    // A table that is no longer the approved one is not what would be used.
    writeFileSync(path.join(folder, 'cases.csv'), simulatedTable('alder', 39));
    expect(() => grounds(hash)).toThrow(expect.objectContaining({ code: 'COHORT_CHANGED' }));
  });

  it('makes the next study a few cases apart from a released one, which is refused with that reason', () => {
    approve(propose(smallStudy('first')));
    const next = propose(smallStudy('second', { seed: 8 }));
    expect(grounds(next).reasons).toEqual([]);
    remove('alder-7');
    expect(grounds(next).reasons).toEqual([
      expect.stringMatching(/differs from that of study ".{12}" by fewer than 5 cases/),
    ]);
    const enough = remove('alder-1', 'alder-2', 'alder-3', 'alder-4');
    expect(enough.effects[0]).toMatchObject({ overlaps: false });
    expect(grounds(next).reasons).toEqual([]);
  });

  it('leaves no identifier in the store, and the key of the hashes where a backup has it, readable by its owner only', () => {
    remove('alder-7');
    const text = [...store.replay()].map(({ payload }) => Buffer.from(payload).toString('latin1')).join('\n');
    expect(text).not.toContain('alder-7');
    expect(text).toMatch(/[0-9a-f]{32}/);
    const file = path.join(folder, 'keys', 'cases.key');
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(store.secretNames('')).toEqual([]);
  });

  it('refuses to judge cohorts with a new key where the old one is gone', () => {
    const first = propose(smallStudy('first'));
    approve(first);
    rmSync(path.join(folder, 'keys', 'cases.key'));
    const gone = expect.objectContaining({ code: 'STORE_SECRET_MISSING' });
    expect(() => grounds(propose(smallStudy('second')))).toThrow(gone);
    expect(() => frozenCohort(store, known(first), place())).toThrow(gone);
    expect(() => remove('alder-1')).toThrow(gone);
  });

  it('takes over the key that an earlier version kept among the erasable secrets', () => {
    const hash = propose(smallStudy('old'));
    const before = grounds(hash).frozen.cases;
    const key = Buffer.from(readFileSync(path.join(folder, 'keys', 'cases.key'), 'utf8').trim(), 'hex');
    rmSync(path.join(folder, 'keys', 'cases.key'));
    store.putSecret('', 'cases', new Secret(new Uint8Array(key)));
    expect(grounds(hash).frozen.cases).toEqual(before);
    expect(readFileSync(path.join(folder, 'keys', 'cases.key'), 'utf8').trim()).toBe(key.toString('hex'));
  });
});
