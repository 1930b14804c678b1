import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Study } from '../../shared/study.js';
import { studySites } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { readCohortTable } from '../../site-agent/cohort-files.js';
import { defaultThreads, prepareCohort } from '../../site-agent/radiomics/shell/prepare-cohort.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { type PhantomSite, phantomCohort, writePhantomSite } from '../phantom-cohort.js';

/** The demo's hospitals: simulated CT of liver lesions, one scanner each. */
export const DEMO_SITES = ['alder', 'birch', 'cedar', 'dogwood', 'elm'] as const;
const CASES_PER_SITE = 72;

export function demoCohort(seed: number, casesPerSite = CASES_PER_SITE): PhantomSite[] {
  return phantomCohort({ seed, sites: DEMO_SITES, casesPerSite, modality: 'CT' });
}

/** The study that the demo proposes, features by name, and its file. */
export function demoStudy(seed: number, folder: string): Study {
  const text = studyYaml(seed);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'study.yaml'), text);
  const study = parseStudy(text, 'study.yaml');
  return resolveFeatures(study, studyFeatureNames(study.imaging!));
}

/** Extracts every site's features as its agent would, one site after the other. */
export async function extractAll(
  study: Study,
  folderOf: (site: string) => string,
  onCase: (done: number, total: number, failed: number) => void,
  totalCases: number,
): Promise<void> {
  let before = 0;
  for (const site of studySites(study)) {
    let own = 0;
    await prepareCohort(study, folderOf(site), {
      threads: defaultThreads(),
      onCase: (done, _, failed) => {
        own = done;
        onCase(before + done, totalCases, failed);
      },
    });
    before += own;
  }
}

/** All sites' rows in study terms with a `hospital` column: what nobody has in a real study, to compare with. */
export function pooledTable(study: Study, sites: readonly PhantomSite[], folderOf: (site: string) => string): string {
  const lines = [['hospital', 'patient_id', 'sex', 'age', 'mvi', ...study.cohort.features].join(',')];
  for (const site of sites) {
    const { config, table } = readCohortTable(path.join(folderOf(site.name), 'cohort.yaml'), study.imaging);
    const idAt = table.header.indexOf(config.id);
    const patients = new Map(site.patients.map((patient) => [patient.id, patient]));
    const at = study.cohort.features.map((name) => table.header.indexOf(name));
    for (const cells of table.rows) {
      const { id, sex, age, mvi } = patients.get(cells[idAt]!)!;
      const features = at.map((column) => cells[column]!.replace(',', '.'));
      lines.push([site.name, id, sex, age ?? '', mvi ?? '', ...features].join(','));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A patient whom no model saw, from image to a table that `concordat predict` takes: another lesion on the scanner of the first site. */
export async function newPatient(study: Study, seed: number, folder: string): Promise<string> {
  const [site] = demoCohort(seed + 1000, 1);
  writePhantomSite(site!, seed + 1000, folder);
  await prepareCohort(study, folder, { threads: 1 });
  const file = path.join(folder, 'new-patient.csv');
  writeFileSync(
    file,
    pooledTable(study, [site!], () => folder),
  );
  return file;
}

/** Features that describe shape and texture, the same of both phases; shape once. */
const FEATURES = [
  'arterial_original_shape_MeshVolume',
  'arterial_original_shape_Sphericity',
  'arterial_original_shape_SurfaceVolumeRatio',
  ...['arterial', 'portal-venous'].flatMap((phase) =>
    [
      'firstorder_Mean',
      'firstorder_Entropy',
      'firstorder_MeanAbsoluteDeviation',
      'glcm_Contrast',
      'glcm_Idm',
      'glszm_ZonePercentage',
    ].map((name) => `${phase}_original_${name}`),
  ),
];

function studyYaml(seed: number): string {
  return `# SIMULATED DATA: the study of the Concordat demo
concordat: 1
name: demo-hcc-mvi
title: Microvascular invasion of hepatocellular carcinoma from two-phase CT (simulated lesions)
cohort:
  endpoint: {type: binary, column: mvi}
  features:
${FEATURES.map((name) => `    - ${name}`).join('\n')}
  covariates: [{column: sex, levels: [F, M]}, {column: age, unit: years}]
imaging:
  phases: [arterial, portal-venous]
  settings:
    imageType: {Original: {}}
    featureClass: {shape: [], firstorder: [], glcm: [], glszm: []}
    setting: {binWidth: 10, resampledPixelSpacing: [2, 2, 2], interpolator: sitkBSpline}
sites: {training: [alder, birch, cedar, dogwood], external: [elm]}
harmonization: {method: combat, mode: converged, covariates: [sex, age], heldOut: calibration}
model: {type: logistic, alpha: 0.9, lambda: cv, rule: min}
comparators:
  - {type: mlp, hidden: [6], l2: 0.01, maxRounds: 15, localEpochs: 3}
# Leave-one-site-out lets totals isolate one hospital's share, so every training site declares that it accepts this.
validation: {folds: 3, leaveOneSiteOut: true, perSite: true, threshold: youden, arms: [none, combat]}
privacy: {secureAggregation: true, coordinator: malicious, minimumCount: 5, minimumCohort: 10, minSites: 3, showAggregate: [alder, birch, cedar, dogwood]}
onMissingSite: wait
quorum: 3
seed: ${seed}
`;
}
