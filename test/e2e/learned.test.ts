import { rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { type PhantomSite, phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { landmarksDigest } from '../../shared/imaging-learned.js';
import { type Study, studyHash } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { EARLIER_FOLDER } from '../../site-agent/shell/earlier-bundles.js';
import { DEADLINE_MS, FOUR_SITES, OPEN_POLICY, readResult, TestFederation } from './support.js';

const PATIENTS = 8;
/** MRI has no unit: each scanner has its own gain and offset. */
const GAINS = [
  [1, 0],
  [3.5, 40],
  [0.6, -20],
  [2, 100],
] as const;

/** Small lesions in coarse images: what is shown is the way of the values, not the features. */
const sites: PhantomSite[] = phantomCohort({
  seed: 3,
  sites: FOUR_SITES,
  casesPerSite: PATIENTS,
  modality: 'MR',
}).map((site, index) => {
  const [gain, offset] = GAINS[index]!;
  return {
    ...site,
    scanner: { ...site.scanner, spacingMm: [3.5, 3.5, 3.5], noise: 8 * gain, gain, offset },
    patients: site.patients.map((patient, at) => ({
      ...patient,
      age: 60,
      mvi: (at % 2) as 0 | 1,
      lesion: { ...patient.lesion, radiusMm: 8 },
    })),
  };
});

/** A study as a researcher writes it; `imaging` are further lines of its imaging section. */
function study(name: string, imaging: string): Study {
  const parsed = parseStudy(
    `concordat: 1
name: ${name}
cohort: {endpoint: {type: binary, column: mvi}, features: ["arterial_*"]}
sites: {training: [alder, birch, cedar], external: [dogwood]}
harmonization: {method: none}
model: {type: logistic, alpha: 0.5, lambda: 0.1}
validation: {folds: 0}
privacy: {minimumCohort: 6, minimumCount: 3}
quorum: 3
imaging:
  phases: [arterial]
  settings: {imageType: {Original: {}}, featureClass: {firstorder: [Mean]}, setting: {binWidth: 5}}
${imaging}`,
    'study.yaml',
  );
  return resolveFeatures(parsed, studyFeatureNames(parsed.imaging!));
}

it(
  'landmarks and habitats: one study learns them, the next takes the countersigned values over, and no agent takes others',
  async () => {
    const federation = await TestFederation.start(FOUR_SITES, {
      policy: () => `${OPEN_POLICY}minimumCohort: 6\nminimumCount: 3\n`,
      prepare: (name, folder) => writePhantomSite(sites.find((site) => site.name === name)!, 3, folder),
    });
    /** Publishes the study; gives the lines that a later one takes over, as the command prints them. */
    const published = async (of: Study): Promise<{ result: string; learned: () => Promise<string> }> => {
      await federation.propose(of);
      const bundle = await federation.published(of);
      const result = readResult(bundle);
      expect(result).toBe(federation.simulated(of));
      const learned = async () => {
        const printed = await federation.concordat(
          'model',
          'learned',
          bundle,
          '--consortium',
          federation.consortiumFolder,
        );
        expect(printed.status, printed.stderr).toBe(0);
        return printed.stdout;
      };
      return { result, learned };
    };
    try {
      const first = await published(study('landmarks', '  learn: {landmarks: {}}'));
      const standardize = await first.learned();
      const second = await published(
        study(
          'habitats',
          `${standardize}  learn: {habitats: {phase: arterial, count: 2, range: [0, 150], voxels: 40}}`,
        ),
      );
      const third = study('uses-both', standardize + (await second.learned()));
      const { standardize: taken, habitats } = third.imaging!;
      expect(habitats!.standardized).toBe(taken!.from.result);
      expect(third.cohort.features).toContain('arterial_habitat2_original_firstorder_Mean');
      await published(third);

      // Values that agree with their own digest, and that nobody countersigned.
      const phases = { arterial: taken!.phases['arterial']!.map((value, at) => (at === 5 ? value + 1e-9 : value)) };
      const from = { ...taken!.from, result: landmarksDigest({ ...taken!, phases }) };
      const forged = study('forged', `  standardize: ${JSON.stringify({ ...taken!, phases, from })}`);
      await federation.propose(forged);
      for (const name of FOUR_SITES)
        await federation.line(federation.site(name), /declined by policy.*study "landmarks" published other values/);
      await federation.line(federation.coordinator, /declined/);
      // A person is told the same, by a bundle that the command fetches itself.
      rmSync(path.join(federation.siteFolder('alder'), EARLIER_FOLDER), { recursive: true });
      const place = ['--dir', federation.siteFolder('alder')];
      const asked = await federation.concordat('site', 'approve', studyHash(forged), ...place, '--dry-run', '--json');
      expect(asked.status).toBe(3);
      expect(asked.stdout).toMatch(/"POLICY_STUDY_REFUSED".*study \\"landmarks\\" published other values/s);
    } finally {
      await federation.stop();
    }
  },
  2 * DEADLINE_MS,
);
