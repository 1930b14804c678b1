import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pause, programFile } from '../../cli/demo/processes.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { ConcordatError } from '../../shared/errors.js';
import { toHex } from '../../shared/hex.js';
import { passphraseProvider } from '../../shared/key-vault.js';
import { Secret } from '../../shared/secret.js';
import type { SiteStore } from '../../shared/stores.js';
import { studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { type ApprovalRule, type ApproverKey, approverIsSigned } from '../../site-agent/approvers.js';
import { initSite } from '../../site-agent/keys.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { type ApproverDecision, signForSite } from '../../site-agent/shell/approver-decide.js';
import { makeApproverKey, readApproverKey } from '../../site-agent/shell/approver-key.js';
import { decide, decisionGrounds } from '../../site-agent/shell/decide.js';
import { acceptHistory, historyOf, markRestored, resumedDigest } from '../../site-agent/shell/restored.js';
import { encodeSiteRecord, type KnownStudy, knownStudies } from '../../site-agent/site-records.js';
import { openSiteStore } from '../../site-agent/store.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';

/** A hospital lets named persons approve, two of them if it likes. */
const person = (name: string, fill: number): ApproverKey => ({ name, seed: new Secret(new Uint8Array(32).fill(fill)) });
const ADA = person('Ada Example', 1);
const BEN = person('Ben Example', 2);
const EVE = person('Eve Elsewhere', 3);
const publicKeyOf = ({ seed }: ApproverKey) => toHex(ed25519PublicKey(seed));
const ruleOf = (required: number, ...persons: ApproverKey[]): ApprovalRule => ({
  approvers: persons.map((key) => ({ name: key.name, publicKey: publicKeyOf(key) })),
  required,
});
const TWO = ruleOf(2, ADA, BEN);
const STUDY = smallStudy('named');
const HASH = studyHash(STUDY);
const SITE_KEY = new Secret(new Uint8Array(32).fill(9));

let folder: string;
let store: SiteStore;

function proposeTo(to: SiteStore): void {
  const proposed = { type: 'proposed', rosterVersion: 1, rosterHash: 'a'.repeat(64), atMs: 1 } as const;
  to.append([encodeSiteRecord(HASH, { ...proposed, document: studyDocument(STUDY) })]);
}

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-approvers-'));
  writeFileSync(
    path.join(folder, 'cohort.yaml'),
    'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n',
  );
  writeFileSync(path.join(folder, 'cases.csv'), simulatedTable('alder'));
  store = openSiteStore(folder);
  proposeTo(store);
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const known = (): KnownStudy => knownStudies(store)[0]!;
const policy = parsePolicy('concordat: 1\npreset: standard\n', 'policy.yaml');
const frozen = () => decisionGrounds(store, known(), { site: 'alder', folder, policy, nowMs: 1 }, {}).frozen;

function sign(key: ApproverKey, rule: ApprovalRule = TWO, over: Partial<ApproverDecision> = {}): number {
  const by = {
    site: 'alder',
    key,
    decision: 'approved',
    cohortDigest: frozen().digest,
    nowMs: 1_000,
    ...over,
  } as const;
  return signForSite(store, known(), rule, by);
}

const decideAs = (decision: 'approved' | 'declined', rule: ApprovalRule = TWO) =>
  decide(store, known(), {
    site: 'alder',
    signingKey: SITE_KEY,
    frozen: frozen(),
    decision,
    reason: '',
    nowMs: 2_000,
    rule,
  });

function codeOf(act: () => unknown): string {
  try {
    act();
    return 'ok';
  } catch (error) {
    return error instanceof ConcordatError ? error.code : String(error);
  }
}

describe('named approvers', () => {
  it('the site approves when the second of them has signed, also after a restart in between', () => {
    expect(codeOf(() => decideAs('approved'))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(sign(ADA)).toBe(1);
    expect(codeOf(() => decideAs('approved'))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(known().approval).toBeNull();
    store.close();
    store = openSiteStore(folder);
    expect(known().approvers).toMatchObject([
      { name: ADA.name, decision: 'approved', at: '1970-01-01T00:00:01.000Z', publicKey: publicKeyOf(ADA) },
    ]);
    expect(sign(BEN)).toBe(0);
    const approval = decideAs('approved');
    expect(known().approval).toEqual(approval);
    expect(JSON.stringify(approval)).not.toContain('Example');
    expect(codeOf(() => sign(BEN))).toBe('SITE_ALREADY_DECIDED');
  });

  it('one is enough where the policy asks for one', () => {
    const one = ruleOf(1, ADA, BEN);
    expect(sign(BEN, one)).toBe(0);
    expect(decideAs('approved', one).decision).toBe('approved');
  });

  it('a crash between the last signature and the decision needs nobody to sign again', () => {
    sign(ADA);
    sign(BEN);
    const before = known().approvers;
    expect(sign(BEN)).toBe(0);
    expect(known().approvers).toEqual(before);
    expect(decideAs('approved').decision).toBe('approved');
  });

  it('refuses a second signature of the same person', () => {
    sign(ADA);
    expect(codeOf(() => sign(ADA))).toBe('POLICY_APPROVER_REPEATED');
    expect(known().approvers).toHaveLength(1);
  });

  it('refuses who is not named, and who is named with another key', () => {
    expect(codeOf(() => sign(EVE))).toBe('POLICY_APPROVER_UNKNOWN');
    expect(codeOf(() => sign(person(ADA.name, 7)))).toBe('POLICY_APPROVER_UNKNOWN');
    expect(known().approvers).toEqual([]);
  });

  it('refuses a signature over another cohort than the first, until somebody starts over', () => {
    sign(ADA);
    const table = readFileSync(path.join(folder, 'cases.csv'), 'utf8').trimEnd().split('\n');
    writeFileSync(path.join(folder, 'cases.csv'), `${table.slice(0, -1).join('\n')}\n`);
    expect(codeOf(() => sign(BEN))).toBe('POLICY_APPROVAL_OTHER_COHORT');
    expect(sign(BEN, TWO, { startOver: true })).toBe(1);
    expect(known().approvers.map(({ name }) => name)).toEqual([BEN.name]);
    expect(sign(ADA)).toBe(0);
    expect(decideAs('approved').decision).toBe('approved');
  });

  it('refuses to go on where the approvers were changed after the first signature', () => {
    sign(ADA);
    for (const changed of [ruleOf(2, ADA, BEN, EVE), ruleOf(2, ADA, EVE), ruleOf(1, ADA, BEN)]) {
      expect(codeOf(() => sign(BEN, changed))).toMatch(/POLICY_APPROVER(S_CHANGED|_UNKNOWN)/);
      expect(codeOf(() => decideAs('approved', changed))).toBe('POLICY_APPROVAL_INCOMPLETE');
    }
    expect(codeOf(() => sign(EVE, ruleOf(2, ADA, EVE)))).toBe('POLICY_APPROVERS_CHANGED');
    // Another order is the same rule.
    expect(sign(BEN, ruleOf(2, BEN, ADA))).toBe(0);
  });

  it('counts no signature that was changed in the store, or is of another study, site or roster', () => {
    sign(ADA);
    const [signed] = known().approvers;
    const subject = { site: 'alder', ...known() };
    expect(approverIsSigned(subject, signed!)).toBe(true);
    for (const other of [{ site: 'birch' }, { studyHash: 'b'.repeat(64) }, { rosterVersion: 2 }, { rosterHash: 'b' }])
      expect(approverIsSigned({ ...subject, ...other }, signed!)).toBe(false);
    const forged = { ...signed!, name: BEN.name, publicKey: publicKeyOf(BEN) };
    store.append([encodeSiteRecord(HASH, { type: 'approverSigned', signed: forged, startsOver: false })]);
    expect(known().approvers).toHaveLength(2);
    expect(codeOf(() => decideAs('approved'))).toBe('POLICY_APPROVAL_INCOMPLETE');
  });

  it('any one of them may decline, and then nobody approves', () => {
    sign(ADA);
    expect(codeOf(() => decideAs('declined'))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(codeOf(() => sign(EVE, TWO, { decision: 'declined', cohortDigest: '' }))).toBe('POLICY_APPROVER_UNKNOWN');
    expect(sign(BEN, TWO, { decision: 'declined', cohortDigest: '' })).toBe(0);
    expect(codeOf(() => sign(BEN))).toBe('SITE_ALREADY_DECIDED');
    expect(codeOf(() => sign(ADA, TWO, { startOver: true }))).toBe('SITE_ALREADY_DECIDED');
    expect(decideAs('declined').decision).toBe('declined');
  });

  it('a decline stands also where another person started over in the same moment', () => {
    sign(ADA);
    const before = known();
    sign(ADA, TWO, { decision: 'declined', cohortDigest: '' });
    // Ben's command had read the store before the decline was in it.
    const by = { site: 'alder', key: BEN, cohortDigest: frozen().digest, nowMs: 1_000, startOver: true } as const;
    expect(codeOf(() => signForSite(store, before, TWO, { ...by, decision: 'approved' }))).toBe('SITE_ALREADY_DECIDED');
    expect(known().approvers.map(({ name, decision }) => [name, decision])).toEqual([
      [ADA.name, 'approved'],
      [ADA.name, 'declined'],
    ]);
    expect(codeOf(() => sign(ADA))).toBe('SITE_ALREADY_DECIDED');
    expect(codeOf(() => decideAs('approved'))).toBe('SITE_ALREADY_DECIDED');
    // Under approvers without Ada her decline holds nobody up.
    const others = ruleOf(2, BEN, EVE);
    expect(sign(EVE, others, { startOver: true })).toBe(1);
    expect(sign(BEN, others)).toBe(0);
    expect(decideAs('approved', others).decision).toBe('approved');
  });
});

describe('two commands at the same instant', () => {
  const now = (before: KnownStudy, decision: 'approved' | 'declined') =>
    decide(store, before, {
      site: 'alder',
      signingKey: SITE_KEY,
      frozen: frozen(),
      decision,
      reason: '',
      nowMs: 3_000,
      rule: null,
    });
  const decisions = () => [...store.replay({ study: HASH })].filter(({ type }) => type === 'decided');

  it('one approves and one declines what both had read as open: one of them is told, and one decision is written', () => {
    for (const [first, second] of [
      ['approved', 'declined'],
      ['declined', 'approved'],
    ] as const) {
      const before = known();
      const approval = now(before, first);
      expect(codeOf(() => now(before, second))).toBe('SITE_ALREADY_DECIDED');
      expect(known().approval).toEqual(approval);
      expect(decisions()).toHaveLength(1);
      store.close();
      rmSync(path.join(folder, 'site.db'));
      for (const file of ['site.db-wal', 'site.db-shm']) rmSync(path.join(folder, file), { force: true });
      store = openSiteStore(folder);
      proposeTo(store);
    }
  });

  it('one person signs in two windows: once', () => {
    const before = known();
    const by = { site: 'alder', key: ADA, decision: 'approved', cohortDigest: frozen().digest, nowMs: 1 } as const;
    expect(signForSite(store, before, TWO, by)).toBe(1);
    expect(codeOf(() => signForSite(store, before, TWO, by))).toBe('POLICY_APPROVER_REPEATED');
    expect(known().approvers).toHaveLength(1);
  });

  it('real processes: one is held between reading and writing, the other does not get in between', async () => {
    const other = mkdtempSync(path.join(os.tmpdir(), 'concordat-at-once-'));
    await initSite(other, 'alder');
    const theirs = openSiteStore(other);
    proposeTo(theirs);
    theirs.close();
    // The first command stops where it makes the study's key: it has read that nothing is decided, and has written nothing.
    const [ready, go] = ['ready', 'go'].map((name) => JSON.stringify(path.join(other, name)));
    const hold = `import crypto from 'node:crypto'; import { existsSync, writeFileSync } from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module'; const honest = crypto.randomBytes;
      crypto.randomBytes = (size) => { if (size === 32) { writeFileSync(${ready}, '');
        while (!existsSync(${go})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); } return honest(size); };
      syncBuiltinESMExports();`;
    const hook = `--import=data:text/javascript,${encodeURIComponent(hold)}`;
    const decline = (reason: string, before: readonly string[] = []) =>
      new Promise<string>((resolve) => {
        const args = ['site', 'decline', HASH.slice(0, 12), '--dir', other, '--reason', reason, '--json'];
        execFile(process.execPath, [...before, programFile(), ...args], (_, stdout) => resolve(stdout));
      });
    const first = decline('no time', [hook]);
    for (const end = Date.now() + 40_000; !existsSync(path.join(other, 'ready')); ) {
      expect(Date.now()).toBeLessThan(end);
      await pause(20);
    }
    const second = decline('no interest');
    // Without a lock it is done before the first goes on; with one it waits for that.
    await Promise.race([second, pause(3_000)]);
    writeFileSync(path.join(other, 'go'), '');
    expect(await first).toContain('no time');
    expect(await second).toContain('SITE_ALREADY_DECIDED');
    const after = openSiteStore(other);
    expect([...after.replay({ study: HASH })].filter(({ type }) => type === 'decided')).toHaveLength(1);
    after.close();
    rmSync(other, { recursive: true, force: true });
  }, 90_000);
});

describe('going on after a restore', () => {
  const digest = () => resumedDigest(store, frozen().digest);
  const goOn = (rule: ApprovalRule | null) =>
    acceptHistory(store, known(), { site: 'alder', cohortDigest: frozen().digest, rule });
  const resumed = (key: ApproverKey) => sign(key, TWO, { decision: 'resumed', cohortDigest: digest() });

  it('needs as many persons as the approval did, each for this restore', () => {
    expect(codeOf(() => resumed(ADA))).toBe('STUDY_WRONG_PHASE');
    sign(ADA);
    sign(BEN);
    decideAs('approved');
    markRestored(store, 5_000);
    expect(codeOf(() => goOn(TWO))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(resumed(ADA)).toBe(1);
    expect(codeOf(() => resumed(ADA))).toBe('POLICY_APPROVER_REPEATED');
    expect(codeOf(() => goOn(TWO))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(historyOf(store, HASH)).toBe('unknown');
    // Restored once more: what was signed for the first time counts no more.
    markRestored(store, 6_000);
    expect(resumed(BEN)).toBe(1);
    expect(codeOf(() => goOn(TWO))).toBe('POLICY_APPROVAL_INCOMPLETE');
    expect(resumed(ADA)).toBe(0);
    goOn(TWO);
    expect(historyOf(store, HASH)).toBe('accepted');
    expect(known().approval?.decision).toBe('approved');
  });
});

describe('approval in policy.yaml', () => {
  const parse = (approval: string, more = '') =>
    parsePolicy(`concordat: 1\n${more}approval: ${approval}\n`, 'policy.yaml');
  const [ada, ben] = [ADA, BEN].map((key) => `{name: ${key.name}, publicKey: ${publicKeyOf(key)}}`);

  it('names persons and how many must sign', () => {
    expect(parse(`{approvers: [${ada}, ${ben}], required: 2}`).approval).toEqual(TWO);
    expect(parse(`{approvers: [${ada}]}`).approval?.required).toBe(1);
  });

  it.each([
    ['automatic approval beside it', `{approvers: [${ada}]}`, 'automaticApproval: true\n'],
    ['more signatures than persons', `{approvers: [${ada}], required: 2}`, ''],
    ['three signatures', `{approvers: [${ada}, ${ben}], required: 3}`, ''],
    ['one person twice', `{approvers: [${ada}, ${ada}], required: 2}`, ''],
    ['one key for two names', `{approvers: [${ada}, {name: B, publicKey: ${publicKeyOf(ADA)}}], required: 2}`, ''],
    ['nobody', '{approvers: []}', ''],
    ['a key that is none', '{approvers: [{name: A, publicKey: abc}]}', ''],
  ])('refuses %s', (_, approval, more) => {
    expect(codeOf(() => parse(approval, more))).toBe('POLICY_INVALID');
  });
});

describe('the key of an approver', () => {
  const unasked = () => Promise.reject(new Error('nobody should be asked'));

  it('lies in a file for its owner only, and is read by nobody where others may read it', async () => {
    const file = path.join(folder, 'ada.key');
    const publicKey = makeApproverKey(file, ADA.name, null);
    const key = await readApproverKey(file, unasked);
    expect([key.name, publicKeyOf(key)]).toEqual([ADA.name, publicKey]);
    expect(codeOf(() => makeApproverKey(file, ADA.name, null))).toBe('ENROLL_KEYS_EXIST');
    if (process.platform === 'win32') return;
    chmodSync(file, 0o640);
    await expect(readApproverKey(file, unasked)).rejects.toMatchObject({ code: 'STORE_KEYS_EXPOSED' });
  });

  it('is sealed by a passphrase, and opened by no other', async () => {
    const file = path.join(folder, 'ben.key');
    const publicKey = makeApproverKey(file, BEN.name, passphraseProvider('correct horse', { N: 1024 }));
    const opened = await readApproverKey(file, async () => passphraseProvider('correct horse'));
    expect(publicKeyOf(opened)).toBe(publicKey);
    expect(readFileSync(file, 'utf8')).not.toContain(toHex(opened.seed.reveal()));
    await expect(readApproverKey(file, async () => passphraseProvider('battery'))).rejects.toMatchObject({
      code: 'STORE_KEYS_WRONG',
    });
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"publicKey": "../, '"publicKey": "00'));
    await expect(readApproverKey(file, async () => passphraseProvider('correct horse'))).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    });
  });
});

describe('the commands', () => {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const run = (...args: string[]) => {
    const done = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
    return { status: done.status, out: done.stdout, err: done.stderr };
  };
  const json = (...args: string[]) => JSON.parse(run('--json', ...args).out) as Record<string, unknown>;

  it('two persons approve, each with their own key, and the site shows who signed when', async () => {
    if (!existsSync(main)) throw new Error('dist/cli/main.js is missing: run `npm run build` first');
    await initSite(folder, 'alder');
    const keys = ['Ada Example', 'Ben Example'].map((name, at) => {
      const made = json('site', 'approver', 'init', name, '--out', `person-${at}.key`);
      return `{name: ${name}, publicKey: ${String(made['publicKey'])}}`;
    });
    writeFileSync(
      path.join(folder, 'policy.yaml'),
      `concordat: 1\npreset: standard\nsecureAggregation: optional\napproval: {required: 2, approvers: [${keys}]}\n`,
    );
    const approve = ['site', 'approve', HASH.slice(0, 12), '--dir', '.', '--yes'];
    const as = (name: string, at: number) => [...approve, '--as', name, '--approver-key', `person-${at}.key`];
    const error = (...args: string[]) => (json(...args)['error'] as { code: string }).code;
    expect(error(...approve)).toBe('POLICY_APPROVER_UNKNOWN');
    expect(error(...as('Ben Example', 0))).toBe('POLICY_APPROVER_UNKNOWN');
    expect(error('site', 'decline', HASH.slice(0, 12), '--dir', '.', '--reason', 'no')).toBe('POLICY_APPROVER_UNKNOWN');
    const first = run(...as('Ada Example', 0));
    expect(first).toMatchObject({ status: 0, out: expect.stringContaining('What leaves') });
    expect(first.out).toContain('Signed as Ada Example. Another approver must sign before anything is sent.');
    expect(run('site', 'studies', '--dir', '.').out).toMatch(
      /waiting for another approver[\s\S]*Ada Example +approved +20\d\d-/,
    );
    expect(error(...as('Ada Example', 0))).toBe('POLICY_APPROVER_REPEATED');
    expect(run(...as('Ben Example', 1)).out).toContain('Approved and signed.');
    const [study] = json('site', 'status', '--dir', '.')['studies'] as Record<string, unknown>[];
    expect(study).toMatchObject({
      state: 'approved',
      approvers: [
        { name: 'Ada Example', decision: 'approved', valid: true },
        { name: 'Ben Example', decision: 'approved', valid: true },
      ],
    });
  }, 60_000);
});
