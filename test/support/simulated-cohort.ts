import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../shared/rng.js';

/**
 * A multi-scanner hepatocellular carcinoma cohort drawn from a seed. Nobody in it exists. Each of twenty radiomics
 * features is y = location + scale * (sex and age effects + gamma_site + delta_site * biology), the model that ComBat
 * undoes (Johnson et al. 2007); microvascular invasion (MVI) follows a sparse logistic model of the biology, with
 * another prevalence at every site. One hospital writes German column names, semicolons and decimal commas.
 */
export interface SimulatedSite {
  readonly name: string;
  readonly role: 'training' | 'external';
  readonly casesCsv: string;
  readonly cohortYaml: string;
}

export interface SimulatedCohort {
  readonly seed: number;
  readonly sites: readonly SimulatedSite[];
  /** All sites' rows in study terms, with a `hospital` column: for `concordat simulate`. */
  readonly pooledCsv: string;
  /** The score that generated each outcome, by case id: what no model can beat on average. */
  readonly truth: readonly {
    readonly site: string;
    readonly id: string;
    readonly score: number;
    readonly mvi: number;
  }[];
  readonly studyYaml: string;
}

/** [PyRadiomics name, location, scale, how much the scanner matters, coefficient of MVI per standard deviation]. */
const FEATURES: readonly (readonly [string, number, number, number, number])[] = [
  ['original_shape_MeshVolume', 42000, 12000, 0.2, 0],
  ['original_shape_Sphericity', 0.62, 0.06, 0.2, -0.9],
  ['original_shape_SurfaceVolumeRatio', 0.21, 0.05, 0.2, 0],
  ['original_shape_Maximum2DDiameterSlice', 48, 12, 0.2, 0.7],
  ['original_firstorder_Energy', 3.1e9, 6e8, 1, 0],
  ['original_firstorder_Mean', 92, 14, 1, 0],
  ['original_firstorder_Entropy', 3.9, 0.35, 1, 1.1],
  ['original_firstorder_Kurtosis', 3.6, 0.6, 1, 0],
  ['original_firstorder_10Percentile', 51, 16, 1, 0],
  ['original_firstorder_MeanAbsoluteDeviation', 24, 5, 1, 0],
  ['original_glcm_Contrast', 9.5, 2, 1, 0],
  ['original_glcm_Correlation', 0.52, 0.09, 1, 0],
  ['original_glcm_Idm', 0.38, 0.05, 1, -0.8],
  ['original_glcm_JointEnergy', 0.011, 0.0025, 1, 0],
  ['original_glcm_ClusterShade', -35, 60, 1, 0],
  ['original_glcm_ClusterProminence', 8200, 1700, 1, 0],
  ['original_glrlm_RunLengthNonUniformity', 15500, 3900, 1, 0],
  ['original_glrlm_GrayLevelNonUniformity', 640, 140, 1, 0],
  ['original_glszm_ZonePercentage', 0.29, 0.05, 1, 0.6],
  ['original_ngtdm_Coarseness', 0.00062, 0.00014, 1, 0],
];

const SITES = [
  { name: 'alder', role: 'training', cases: 128, intercept: -1.1, german: false },
  { name: 'birch', role: 'training', cases: 152, intercept: -0.5, german: false },
  { name: 'cedar', role: 'training', cases: 116, intercept: -0.8, german: true },
  { name: 'dogwood', role: 'training', cases: 158, intercept: -0.1, german: false },
  { name: 'elm', role: 'external', cases: 120, intercept: -0.6, german: false },
] as const;

/** Features in blocks of five share a factor, as texture features do. */
const BLOCK = 5;
const SHARED_VARIANCE = 0.3;
const SCANNER_SHIFT = 0.8;
const AGE_ON_MVI = 0.3;
const MISSING_RATE = 0.008;

interface Patient {
  readonly id: string;
  readonly sex: 'F' | 'M';
  readonly age: number | null;
  readonly mvi: 0 | 1 | null;
  readonly features: readonly (number | null)[];
}

export function simulateCohort(seed: number): SimulatedCohort {
  const shared = seededRandom('demo-cohort', seed);
  const covariateEffects = FEATURES.map(() => ({ sex: 0.3 * shared.normal(), age: 0.2 * shared.normal() }));
  const truth: { site: string; id: string; score: number; mvi: number }[] = [];
  const pooled: string[] = [
    ['hospital', 'patient_id', 'sex', 'age', 'mvi', ...FEATURES.map(([name]) => name)].join(','),
  ];
  const sites = SITES.map((site): SimulatedSite => {
    const random = seededRandom('demo-cohort', seed, site.name);
    const scanner = FEATURES.map(([, , , weight]) => ({
      gamma: weight * SCANNER_SHIFT * random.normal(),
      delta: Math.exp(weight * 0.25 * random.normal()),
    }));
    const patients = Array.from({ length: site.cases }, (_, index): Patient => {
      const id = `SIM-${site.name}-${String(index + 1).padStart(4, '0')}`;
      const male = random.uniform() < 0.72 ? 1 : 0;
      const age = Math.round(62 + 10 * random.normal());
      const ageScaled = (age - 62) / 10;
      const blocks = Array.from({ length: Math.ceil(FEATURES.length / BLOCK) }, () => random.normal());
      const biology = FEATURES.map(
        (_, feature) =>
          Math.sqrt(SHARED_VARIANCE) * blocks[Math.floor(feature / BLOCK)]! +
          Math.sqrt(1 - SHARED_VARIANCE) * random.normal(),
      );
      const score = FEATURES.reduce(
        (sum, entry, feature) => sum + entry[4] * biology[feature]!,
        AGE_ON_MVI * ageScaled,
      );
      const mvi = random.uniform() < 1 / (1 + Math.exp(-(site.intercept + score))) ? 1 : 0;
      truth.push({ site: site.name, id, score, mvi });
      const features = FEATURES.map(([, location, scale], feature) => {
        const effect = covariateEffects[feature]!;
        const { gamma, delta } = scanner[feature]!;
        const standard = effect.sex * male + effect.age * ageScaled + gamma + delta * biology[feature]!;
        return random.uniform() < MISSING_RATE ? null : Number((location + scale * standard).toPrecision(7));
      });
      // A pathology report that never came, and an age that nobody wrote down: both are counted exclusions.
      const noOutcome = index === 17 && site.name !== 'elm';
      const noAge = index === 41 && site.name === 'birch';
      return { id, sex: male === 1 ? 'M' : 'F', age: noAge ? null : age, mvi: noOutcome ? null : mvi, features };
    });
    for (const patient of patients) pooled.push(`${site.name},${plainCells(patient).join(',')}`);
    return {
      name: site.name,
      role: site.role,
      casesCsv: site.german ? germanTable(patients) : plainTable(patients),
      cohortYaml: site.german ? GERMAN_YAML : PLAIN_YAML,
    };
  });
  return { seed, sites, pooledCsv: `${pooled.join('\n')}\n`, truth, studyYaml: studyYaml(seed) };
}

/** Writes `<site>/cases.csv`, `<site>/cohort.yaml`, `pooled.csv`, `study.yaml` and a README that says what this is. */
export function writeSimulatedCohort(cohort: SimulatedCohort, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const site of cohort.sites) {
    mkdirSync(join(folder, site.name), { recursive: true });
    writeFileSync(join(folder, site.name, 'cases.csv'), site.casesCsv);
    writeFileSync(join(folder, site.name, 'cohort.yaml'), site.cohortYaml);
  }
  writeFileSync(join(folder, 'pooled.csv'), cohort.pooledCsv);
  writeFileSync(join(folder, 'study.yaml'), cohort.studyYaml);
  writeFileSync(
    join(folder, 'README.txt'),
    `SIMULATED DATA (seed ${cohort.seed}). No row describes a person. Made by \`concordat demo\`.\n`,
  );
}

function cellOf(value: number | string | null): string {
  return value === null ? '' : String(value);
}

function plainCells({ id, sex, age, mvi, features }: Patient): string[] {
  return [id, sex, cellOf(age), cellOf(mvi), ...features.map(cellOf)];
}

function plainTable(patients: readonly Patient[]): string {
  const header = ['patient_id', 'sex', 'age', 'mvi', ...FEATURES.map(([name]) => name)];
  return `${[header, ...patients.map(plainCells)].map((cells) => cells.join(',')).join('\n')}\n`;
}

function germanTable(patients: readonly Patient[]): string {
  const header = ['Fallnummer', 'Geschlecht', 'Alter', 'Gefaessinvasion', ...FEATURES.map(([name]) => name)];
  const rows = patients.map(({ id, sex, age, mvi, features }) => [
    id,
    sex === 'F' ? 'w' : 'm',
    age === null ? 'k.A.' : String(age),
    mvi === null ? 'k.A.' : mvi === 1 ? 'ja' : 'nein',
    ...features.map((value) => cellOf(value).replace('.', ',')),
  ]);
  return `${[header, ...rows].map((cells) => cells.join(';')).join('\n')}\n`;
}

const PLAIN_YAML = `# SIMULATED DATA for the Concordat demo
concordat: 1
table: cases.csv
id: patient_id
missing: ["", NA]
`;

const GERMAN_YAML = `# SIMULATED DATA for the Concordat demo: a table with local names, codes and decimal commas
concordat: 1
table: cases.csv
id: Fallnummer
separator: ";"
decimal: ","
missing: ["", k.A.]
columns: {sex: Geschlecht, age: Alter, mvi: Gefaessinvasion}
values:
  sex: {w: F, m: M}
  mvi: {ja: 1, nein: 0}
`;

function studyYaml(seed: number): string {
  return `# SIMULATED DATA: the study of the Concordat demo
concordat: 1
name: demo-hcc-mvi
title: Microvascular invasion of hepatocellular carcinoma from CT radiomics (simulated cohort)
cohort:
  endpoint: {type: binary, column: mvi}
  features: ["original_*"]
  covariates: [{column: sex, levels: [F, M]}, {column: age, unit: years}]
sites: {training: [alder, birch, cedar, dogwood], external: [elm]}
harmonization: {method: combat, mode: converged, covariates: [sex, age], heldOut: calibration}
model: {type: logistic, alpha: 0.9, lambda: cv, rule: min}
comparators:
  - {type: mlp, hidden: [6], l2: 0.01, maxRounds: 15, localEpochs: 3}
# Leave-one-site-out lets totals isolate one hospital's share, so every training site declares that it accepts this.
validation: {folds: 4, leaveOneSiteOut: true, perSite: true, threshold: youden, arms: [none, combat]}
privacy: {secureAggregation: true, coordinator: malicious, minimumCount: 5, minimumCohort: 10, minSites: 3, showAggregate: [alder, birch, cedar, dogwood]}
onMissingSite: wait
quorum: 3
seed: ${seed}
`;
}
