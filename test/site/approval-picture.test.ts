import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { approvalPicture } from '../../cli/approval-picture.js';
import { imagingSchema } from '../../shared/imaging.js';
import { type Roster, rosterHash } from '../../shared/roster.js';
import { type Study, studyHash } from '../../shared/study.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { FOUR_SITES, simulatedTable, smallStudy } from '../e2e/support.js';
import { memberOf, rosterChain } from '../security/composed.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-picture-'));
const roster: Roster = rosterChain(FOUR_SITES.map((site) => memberOf(site)))[0]!.roster;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pictureOf(study: Study, site: string, cases = 40, more: Partial<Study> = {}) {
  writeFileSync(
    path.join(folder, 'cohort.yaml'),
    'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n',
  );
  writeFileSync(path.join(folder, 'cases.csv'), simulatedTable(site, cases));
  const cohort = loadCohort(study, path.join(folder, 'cohort.yaml'), site);
  const known = { studyHash: studyHash(study), rosterVersion: 1, rosterHash: rosterHash(roster) };
  return approvalPicture({ ...study, ...more }, known, roster, site, { cohort, withdrawnSince: 0, reasons: [] });
}

/** Lines as one text, so that a sentence may be looked for across its wrapping. */
const flat = (text: string) => text.replace(/\s+/g, ' ');

describe('what a hospital sees before it approves', () => {
  const loso = smallStudy('loso', {
    until: '2027-03-31',
    comparators: [{ type: 'mlp', maxRounds: 15 }],
    validation: { folds: 3, leaveOneSiteOut: true, threshold: 0.5 },
    privacy: { showAggregate: ['alder', 'birch', 'cedar'] },
  });

  it('says in plain words what is read, what leaves, who takes part, what shows this site, and until when', () => {
    const { text, data } = pictureOf(loso, 'alder');
    const words = flat(text);
    expect(text).toContain(studyHash(loso));
    expect(words).toContain('until 2027-03-31, end of the day (UTC); nothing leaves after that');
    expect(words).toContain('predicts mvi (yes or no)');
    expect(words).toContain('logistic (logistic regression), published; compared with mlp (neural network');
    expect(words).toContain('patients 40 usable');
    expect(words).toContain('features 3: original_size, original_contrast, original_entropy');
    expect(words).toContain('clinical mvi (outcome), age (years)');
    expect(words).toMatch(/Rounds: \d+, up to 16 of mlp, as many of logistic as it takes to converge\./);
    expect(words).toContain('Masked: the coordinator reads totals over sites, not what alder sends');
    expect(words).toMatch(/By design, as numbers of this site: describe \([^)]*site[^)]*\), .*validate \(/);
    expect(words).toContain('leave-one-site-out: all sites minus all but alder');
    expect(words).toContain('Declared in privacy.showAggregate: whoever approves agrees to that.');
    for (const member of roster.sites)
      expect(words.replaceAll(' ', '')).toContain(member.signingPublicKey.slice(0, 32));
    expect(data).toMatchObject({ until: '2027-03-31', patients: 40, sitsOut: false });
  });

  it('fits a terminal of 100 columns and ends no line in blanks', () => {
    for (const text of [pictureOf(loso, 'alder').text, pictureOf(smallStudy('plain'), 'dogwood', 6).text]) {
      expect(text.split('\n').filter((line) => [...line].length > 100)).toEqual([]);
      expect(text.split('\n').filter((line) => /\s$/.test(line))).toEqual([]);
    }
  });

  it('says that a site with too few cases will sit out and be named', () => {
    const { text, data } = pictureOf(smallStudy('few'), 'dogwood', 6);
    expect(flat(text)).toContain(
      "fewer usable cases than the study's minimum of 10: this site will sit out and be named; none of its patients enters any sum",
    );
    expect(data).toMatchObject({ sitsOut: true, patients: 0 });
  });

  it('names the study and the bundle that values are taken over from', () => {
    const landmarks = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
    const from = { study: 'a'.repeat(64), bundle: 'b'.repeat(64), result: 'c'.repeat(64) };
    const standardize = { within: 'organ', phases: { t1: landmarks }, from };
    const imaging = imagingSchema.parse({ phases: ['t1'], standardize });
    const words = flat(pictureOf(smallStudy('later'), 'alder', 40, { imaging }).text);
    expect(words).toContain(`standard landmarks of study ${'a'.repeat(12)}, bundle ${'b'.repeat(12)}`);
  });

  it('says so where nothing is masked, and where there is no last day', () => {
    const words = flat(pictureOf(smallStudy('open', { privacy: { secureAggregation: false } }), 'alder').text);
    expect(words).toContain('NOT MASKED: the coordinator reads everything that alder sends.');
    expect(words).toContain('until no last day: the approval holds until the study ends or this site withdraws');
  });
});
