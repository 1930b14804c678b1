import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PhantomSite, phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { runSimulation } from '../../cli/simulation.js';
import { resultBytes, studyResult } from '../../coordinator/result.js';
import type { HabitatsResult } from '../../shared/computations/habitats/declaration.js';
import type { LandmarksResult } from '../../shared/computations/landmarks/declaration.js';
import { ConcordatError } from '../../shared/errors.js';
import { regionsOf } from '../../shared/imaging.js';
import { type Habitats, LANDMARK_PERCENTILES, type Standardize } from '../../shared/imaging-learned.js';
import { planStudy } from '../../shared/plan.js';
import { type Study, studyHash } from '../../shared/study.js';
import { checkStudyPlan } from '../../shared/study-check.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { LIVER_LABEL } from '../../site-agent/imaging/phantom/phantom.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { DEFAULT_POLICY, evaluateStudy } from '../../site-agent/policy.js';
import { leavesByComputation, previewLeaves } from '../../site-agent/preview.js';
import { ensureFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { canonicalImaging, imagingDigest, regionDigest } from '../../site-agent/radiomics/study-extraction.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { mergedCohort } from '../support/merged-cohort.js';

const THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const root = mkdtempSync(path.join(tmpdir(), 'concordat-learned-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SITES = ['alder', 'birch', 'cedar'];
/** MRI has no unit: each scanner has its own gain and offset. */
const GAIN: Record<string, [gain: number, offset: number]> = { alder: [1, 0], birch: [3.5, 40], cedar: [0.6, -20] };
const settings = { imageType: { Original: {} }, featureClass: { firstorder: ['Mean'] }, setting: { binWidth: 5 } };

/** A study document; `imaging` is YAML of what is added to its section. */
function study(imaging = '', more = ''): Study {
  const text = `concordat: 1
name: learned
cohort: {endpoint: {type: binary, column: mvi}, features: ["*_original_*"]}
imaging:
  phases: [arterial, portal-venous]
  settings: ${JSON.stringify(settings)}
${imaging}
sites: {training: [${SITES.join(', ')}]}
model: {type: logistic, lambda: 0, name: plain}
validation: {folds: 0}
privacy: {minimumCohort: 3, minimumCount: 3}
${more}`;
  const parsed = parseStudy(text, 'study.yaml');
  return resolveFeatures(parsed, studyFeatureNames(parsed.imaging!));
}

const sites: PhantomSite[] = phantomCohort({ seed: 3, sites: SITES, casesPerSite: 5, modality: 'MR' }).map((site) => {
  const [gain, offset] = GAIN[site.name]!;
  const patients = site.patients.map((patient, at) => ({
    ...patient,
    age: 60,
    mvi: (at % 2) as 0 | 1,
    lesion: { ...patient.lesion, radiusMm: 8 },
  }));
  return {
    ...site,
    scanner: { ...site.scanner, spacingMm: [3, 3, 3], kernelMm: 0.8, noise: 8 * gain, gain, offset },
    patients,
  };
});
beforeAll(() => {
  for (const site of sites) writePhantomSite(site, 3, path.join(root, site.name));
});

async function prepared(of: Study) {
  const cohorts = [];
  for (const site of SITES) {
    const folder = path.join(root, site);
    await ensureFeatures(of.imaging!, { folder, table: 'images.csv' }, { threads: 2, threadFile: THREAD });
    cohorts.push(loadCohort(of, path.join(folder, 'cohort.yaml'), site).cohort);
  }
  return cohorts;
}
const resultOf = (of: Study, run: ReturnType<typeof runSimulation>) =>
  JSON.parse(Buffer.from(resultBytes(studyResult(of, run))).toString('utf8'));
const problemsOf = (run: () => unknown): string[] => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.problems.map(({ message }) => message);
    throw error;
  }
  return [];
};

/** What the first study learns and those after it take over. */
let standard: Standardize;

describe('landmarks of intensities', () => {
  const learning = study('  learn: {landmarks: {within: organ, scale: [0, 100]}}');
  let landmarks: LandmarksResult;

  it('of three hospitals are those of one holder of all patients, and of their images', async () => {
    const cohorts = await prepared(learning);
    const run = runSimulation(learning, cohorts);
    landmarks = run.results.get('landmarks') as LandmarksResult;
    const pooled = runSimulation(learning, [mergedCohort(cohorts)]).results.get('landmarks') as LandmarksResult;
    const patients = sites.flatMap((site) => site.patients.map(({ id }) => ({ id, site: site.name })));
    for (const phase of learning.imaging!.phases) {
      const found = landmarks.phases[phase]!;
      expect([found.sites, found.patients]).toEqual([SITES.length, patients.length]);
      // Twin: percentiles of the liver's voxels in every file, stretched to the scale, averaged over all patients.
      const placed = patients.map(({ id, site }) => {
        const read = (name: string) => readImageFile(path.join(root, site, 'images', `${id}_${name}.nii.gz`)).data;
        const labels = read('labels');
        const liver = [...read(phase)].filter((_, at) => labels[at] === LIVER_LABEL).sort((a, b) => a - b);
        const at = (percent: number) => {
          const rank = (percent / 100) * (liver.length - 1);
          const share = rank % 1;
          return liver[Math.floor(rank)]! * (1 - share) + liver[Math.ceil(rank)]! * share;
        };
        return LANDMARK_PERCENTILES.map((percent) => (100 * (at(percent) - at(1))) / (at(99) - at(1)));
      });
      for (const k of LANDMARK_PERCENTILES.keys()) {
        const mean = placed.reduce((sum, own) => sum + own[k]!, 0) / placed.length;
        expect(found.landmarks[k]).toBeCloseTo(mean, 9);
        expect(found.landmarks[k]).toBeCloseTo(pooled.phases[phase]!.landmarks[k]!, 9);
      }
      expect([found.landmarks[0], found.landmarks.at(-1)]).toEqual([0, 100]);
    }
    standard = resultOf(learning, run).learned.standardize;
    expect(standard.from.study).toBe(studyHash(learning));
    expect(standard.phases['arterial']).toEqual([...landmarks.phases['arterial']!.landmarks]);
  }, 60_000);

  it('are taken over by a later study, whose images then have one scale', async () => {
    const plain = await prepared(study());
    const frozen = study(`  standardize: ${JSON.stringify(standard)}`);
    expect(JSON.stringify(canonicalImaging(frozen.imaging!))).toContain(standard.from.result);
    expect(imagingDigest(canonicalImaging(frozen.imaging!))).not.toBe(
      imagingDigest(canonicalImaging(study().imaging!)),
    );
    const standardized = await prepared(frozen);
    const spread = (cohorts: typeof plain) => {
      const at = cohorts[0]!.featureNames.indexOf('arterial_original_firstorder_Mean');
      const means = cohorts.map(({ features, n, featureNames: { length } }) => {
        let sum = 0;
        for (let row = 0; row < n; row++) sum += features[row * length + at]!;
        return sum / n;
      });
      return Math.max(...means) / Math.min(...means);
    };
    // Gains of 3.5 and 0.6 are gone.
    expect(spread(plain)).toBeGreaterThan(5);
    expect(spread(standardized)).toBeLessThan(1.15);
  }, 60_000);

  it('are part of the study’s hash and of the key of every cached feature', () => {
    const frozen = study(`  standardize: ${JSON.stringify(standard)}`);
    const [region] = frozen.imaging!.regions;
    const other = { ...standard, from: { ...standard.from, study: 'a'.repeat(64) } };
    const elsewhere = study(`  standardize: ${JSON.stringify(other)}`);
    expect(studyHash(elsewhere)).not.toBe(studyHash(frozen));
    const keys = [study(), frozen, elsewhere].map(({ imaging }) => regionDigest(imaging!, region!, 'arterial'));
    expect(new Set(keys).size).toBe(3);
    expect(regionDigest(frozen.imaging!, region!, 'portal-venous')).not.toBe(keys[1]);
    // What a study does not use adds nothing to its document, so its hash stays what it was.
    expect(Object.keys(study().imaging!)).not.toContain('standardize');
    expect(Object.keys(study().imaging!)).not.toContain('learn');
  });

  it('that are wrong, of another phase or missing are named', () => {
    const told = (section: unknown) => problemsOf(() => study(`  standardize: ${JSON.stringify(section)}`)).join('\n');
    const arterial = [...standard.phases['arterial']!];
    const without = { ...standard, phases: { arterial } };
    expect(told(without)).toMatch(/phase "portal-venous" has no landmarks/);
    expect(told({ ...standard, phases: { ...standard.phases, delayed: arterial } })).toMatch(/"delayed" is not among/);
    const turned = { ...standard, phases: { ...standard.phases, arterial: [...arterial].reverse() } };
    expect(told(turned)).toMatch(/must ascend/);
    const changed = { ...standard, phases: { ...standard.phases, arterial: arterial.with(5, arterial[5]! + 1e-9) } };
    expect(told(changed)).toMatch(/not those of the digest/);
    expect(told({ ...standard, within: 'foreground' })).toMatch(/not those of the digest/);
    expect(told({ ...standard, from: { study: standard.from.study } })).toMatch(/result/);
    expect(problemsOf(() => study('  learn: {landmarks: {scale: [5, 5]}}')).join()).toMatch(/end above its beginning/);
    const both = `  standardize: ${JSON.stringify(standard)}\n  learn: {landmarks: {}}`;
    expect(problemsOf(() => study(both)).join()).toMatch(/not standardized yet/);
  });

  it('of a site with too few patients are not in the sum, nor is a phase that two sites have only', async () => {
    const cohorts = await prepared(learning);
    const phases = learning.imaging!.phases.length;
    const width = LANDMARK_PERCENTILES.length;
    // Two patients of cedar keep their portal venous landmarks: fewer than the minimum count of 3.
    const gaps = cohorts.map((cohort) => {
      if (cohort.holder !== 'cedar') return cohort;
      const own = cohort.learned!.landmarks!.map((value, at) => {
        const row = Math.floor(at / (phases * width));
        return row >= 2 && Math.floor(at / width) % phases === 1 ? Number.NaN : value;
      });
      return { ...cohort, learned: { landmarks: own } };
    });
    const rounds: string[] = [];
    const run = runSimulation(learning, gaps, {
      onRound: ({ request }) => {
        if (request.instance === 'landmarks') rounds.push(request.leaves.map(({ shape }) => shape.join('x')).join());
      },
    });
    const found = run.results.get('landmarks') as LandmarksResult;
    expect(rounds).toEqual(['2x2', `1x${width}`]);
    expect(found.phases['portal-venous']).toBeNull();
    expect([...found.phases['arterial']!.landmarks]).toEqual([...landmarks.phases['arterial']!.landmarks]);
    expect(Object.keys(resultOf(learning, run).learned.standardize.phases)).toEqual(['arterial']);
  }, 60_000);

  it('never leave as they are: no patient’s landmarks are in the result', async () => {
    const cohorts = await prepared(learning);
    const text = JSON.stringify(resultOf(learning, runSimulation(learning, cohorts)));
    const own = cohorts.flatMap(({ learned }) => [...learned!.landmarks!]).filter((value) => !Number.isInteger(value));
    expect(own.length).toBeGreaterThan(100);
    for (const value of own) expect(text).not.toContain(String(value));
    expect(text).not.toContain('SIM-');
  }, 60_000);
});

describe('habitats', () => {
  const onScale = () => `  standardize: ${JSON.stringify(standard)}\n`;
  const learn = '  learn: {habitats: {phase: arterial, count: 3, range: [50, 400], voxels: 60}}';
  let habitats: Habitats;

  it('of three hospitals, on standardized images, are those of one holder of all patients', async () => {
    const learning = study(onScale() + learn);
    const cohorts = await prepared(learning);
    const run = runSimulation(learning, cohorts);
    const found = run.results.get('habitats') as HabitatsResult;
    expect(runSimulation(learning, [mergedCohort(cohorts)]).results.get('habitats')).toEqual(found);
    expect([found.sites, found.patients]).toEqual([3, cohorts.reduce((sum, { n }) => sum + n, 0)]);
    habitats = resultOf(learning, run).learned.habitats;
    expect(habitats.centroids).toHaveLength(3);
    expect(habitats.from.study).toBe(studyHash(learning));
    expect(habitats.standardized).toBe(standard.from.result);
  }, 60_000);

  it('are regions of a later study, of their phase only, which divide the lesion', async () => {
    const frozen = study(`${onScale()}  habitats: ${JSON.stringify(habitats)}`);
    const [{ featureNames, features, n }] = [(await prepared(frozen))[0]!];
    const own = featureNames.filter((name) => name.includes('habitat'));
    expect(own).toEqual([1, 2, 3].map((k) => `arterial_habitat${k}_original_firstorder_Mean`));
    const featureOf = (row: number, feature: string) =>
      features[row * featureNames.length + featureNames.indexOf(feature)]!;
    for (let row = 0; row < n; row++) {
      const means = own.map((name) => featureOf(row, name)).filter((value) => !Number.isNaN(value));
      const whole = featureOf(row, 'arterial_original_firstorder_Mean');
      expect(Math.min(...means)).toBeLessThanOrEqual(whole);
      expect(Math.max(...means)).toBeGreaterThanOrEqual(whole);
    }
    expect(JSON.stringify(canonicalImaging(frozen.imaging!))).toContain(habitats.from.result);
    const keys = regionsOf(frozen.imaging!, 'arterial').map((region) =>
      regionDigest(frozen.imaging!, region, 'arterial'),
    );
    expect(new Set(keys).size).toBe(4);
  }, 60_000);

  it('and landmarks are announced before anybody approves, as totals over all training sites', () => {
    const both = study('  learn: {landmarks: {}, habitats: {phase: arterial, range: [0, 200]}}');
    const leaves = leavesByComputation(planStudy(both));
    const kinds = ['landmarks', 'habitats'].flatMap((name) => leaves[name]!);
    expect([...new Set(kinds.map(({ kind }) => kind))]).toEqual([
      ...['landmarks.counts', 'landmarks.sums'],
      ...['habitats.sites', 'habitats.cells'],
    ]);
    for (const { visibility, contributors } of kinds) {
      expect(visibility).toBe('total');
      expect(contributors.map(({ site }) => site)).toEqual(SITES);
    }
    const own = previewLeaves(planStudy(both)).filter(({ computation }) => /landmarks|habitats/.test(computation));
    const rounds = own.flatMap((preview) => [...preview.rounds]);
    expect(checkStudyPlan(rounds, both, null)).toMatchObject({ ok: true, isolated: [] });
    const policy = { ...DEFAULT_POLICY, computations: ['describe' as const] };
    const decision = evaluateStudy(policy, both, leaves, 'alder');
    expect(JSON.stringify(decision)).toMatch(/landmarks.*habitats/);
  });

  it('that are wrong are named', () => {
    const told = (section: unknown) =>
      problemsOf(() => study(`${onScale()}  habitats: ${JSON.stringify(section)}`)).join('\n');
    expect(told({ ...habitats, radiusMm: 4 })).toMatch(/not those of the digest/);
    expect(told({ ...habitats, phase: 'delayed' })).toMatch(/"delayed" is not among phases/);
    expect(told({ ...habitats, centroids: [...habitats.centroids].reverse() })).toMatch(/must ascend/);
    expect(told({ ...habitats, standardized: 'a'.repeat(64) })).toMatch(/another scale/);
    expect(told({ ...habitats, centroids: undefined })).toMatch(/centroids/);
    const named = `${onScale()}  habitats: ${JSON.stringify(habitats)}\n  regions: [{name: habitat1, kind: lesion}]`;
    expect(problemsOf(() => study(named)).join()).toMatch(/name of a habitat/);
  });
});
