import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../shared/rng.js';
import { writeNifti } from '../site-agent/imaging/nifti-write.js';
import {
  PHANTOM_PHASES,
  type PhantomLesion,
  type PhantomModality,
  type PhantomScanner,
  phantomCase,
} from '../site-agent/imaging/phantom/phantom.js';

/**
 * A cohort of simulated liver lesions at several hospitals, each with its own scanner. Microvascular invasion (MVI) is likelier where the
 * lesion's surface is irregular, its texture rough and the patient old; the scanner blurs, adds noise and shifts intensities, which is what ComBat is
 * for. Nobody in it exists.
 */
export interface PhantomPatient {
  readonly id: string;
  readonly sex: 'F' | 'M';
  readonly age: number | null;
  readonly mvi: 0 | 1 | null;
  readonly lesion: PhantomLesion;
}

export interface PhantomSite {
  readonly name: string;
  readonly scanner: PhantomScanner;
  readonly patients: readonly PhantomPatient[];
  /** Local names, codes, semicolons and decimal commas, as one hospital of the demo writes its tables. */
  readonly german: boolean;
}

export interface PhantomOptions {
  readonly seed: number;
  readonly sites: readonly string[];
  /** Patients at each site, about: sites differ by up to a fifth. */
  readonly casesPerSite: number;
  readonly modality: PhantomModality;
}

/** In-plane and slice spacing, kernel, noise and offset as scanners of different makers and years differ. */
const SCANNERS: readonly Omit<PhantomScanner, 'modality'>[] = [
  { spacingMm: [1.5, 1.5, 2.5], kernelMm: 0.8, noise: 10, offset: 0, gain: 1 },
  { spacingMm: [1.7, 1.7, 3], kernelMm: 1.2, noise: 7, offset: 6, gain: 1.03 },
  { spacingMm: [1.4, 1.4, 2], kernelMm: 0.6, noise: 14, offset: -5, gain: 0.97 },
  { spacingMm: [1.6, 1.6, 2.5], kernelMm: 1, noise: 9, offset: 3, gain: 1 },
  { spacingMm: [1.8, 1.8, 3], kernelMm: 1.4, noise: 6, offset: -3, gain: 1.05 },
];
const PREVALENCE_LOGITS = [-0.9, -0.4, -0.7, -0.1, -0.5];
const SHARES = [1, 1.15, 0.9, 1.2, 0.95];
const LOGIT = { irregularity: 1.1, heterogeneity: 0.9, size: 0.4, age: 0.3 };

export function phantomCohort(options: PhantomOptions): PhantomSite[] {
  return options.sites.map((name, index): PhantomSite => {
    const random = seededRandom('phantom-cohort', options.seed, name);
    const count = Math.max(1, Math.round(options.casesPerSite * SHARES[index % SHARES.length]!));
    const patients = Array.from({ length: count }, (_, at): PhantomPatient => {
      const male = random.uniform() < 0.72;
      const age = Math.round(62 + 10 * random.normal());
      const [shape, texture, size] = [random.normal(), random.normal(), random.normal()];
      const score =
        PREVALENCE_LOGITS[index % PREVALENCE_LOGITS.length]! +
        LOGIT.irregularity * shape +
        LOGIT.heterogeneity * texture +
        LOGIT.size * size +
        (LOGIT.age * (age - 62)) / 10;
      const mvi = random.uniform() < 1 / (1 + Math.exp(-score)) ? 1 : 0;
      return {
        id: `SIM-${name}-${String(at + 1).padStart(4, '0')}`,
        sex: male ? 'M' : 'F',
        // A pathology report that never came, and an age that nobody wrote down: both are counted exclusions.
        age: at === 11 && index === 1 ? null : age,
        mvi: at === 7 && index % 2 === 0 ? null : mvi,
        lesion: {
          radiusMm: bounded(12 * Math.exp(0.15 * size), 8, 18),
          irregularity: bounded(0.1 + 0.045 * shape, 0.01, 0.22),
          heterogeneity: bounded(15 * Math.exp(0.35 * texture), 4, 45),
          grainMm: 3,
        },
      };
    });
    const scanner: PhantomScanner = { modality: options.modality, ...SCANNERS[index % SCANNERS.length]! };
    return { name, scanner, patients, german: index === 2 };
  });
}

const bounded = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/**
 * Writes one site: `images/` (a NIfTI file a phase and one of labels for each patient), `images.csv`, `cases.csv` and `cohort.yaml`.
 * `onCase` is called after each patient.
 */
export function writePhantomSite(
  site: PhantomSite,
  seed: number,
  folder: string,
  onCase: () => void = () => undefined,
): void {
  mkdirSync(path.join(folder, 'images'), { recursive: true });
  const rows: string[] = ['case,phase,image,mask,label,organ_label'];
  for (const patient of site.patients) {
    const { images, labels } = phantomCase(patient.lesion, site.scanner, seed, patient.id);
    const mask = `images/${patient.id}_labels.nii.gz`;
    writeFileSync(path.join(folder, mask), writeNifti(labels));
    for (const phase of PHANTOM_PHASES) {
      const image = `images/${patient.id}_${phase}.nii.gz`;
      writeFileSync(path.join(folder, image), writeNifti(images[phase]));
      rows.push(`${patient.id},${phase},${image},${mask},1,2`);
    }
    onCase();
  }
  writeFileSync(path.join(folder, 'images.csv'), `${rows.join('\n')}\n`);
  writeFileSync(path.join(folder, 'cases.csv'), site.german ? germanTable(site.patients) : plainTable(site.patients));
  writeFileSync(path.join(folder, 'cohort.yaml'), site.german ? GERMAN_YAML : PLAIN_YAML);
}

function plainTable(patients: readonly PhantomPatient[]): string {
  const rows = patients.map(({ id, sex, age, mvi }) => `${id},${sex},${age ?? ''},${mvi ?? ''}`);
  return `${['patient_id,sex,age,mvi', ...rows].join('\n')}\n`;
}

function germanTable(patients: readonly PhantomPatient[]): string {
  const rows = patients.map(({ id, sex, age, mvi }) =>
    [id, sex === 'F' ? 'w' : 'm', age ?? 'k.A.', mvi === null ? 'k.A.' : mvi === 1 ? 'ja' : 'nein'].join(';'),
  );
  return `${['Fallnummer;Geschlecht;Alter;Gefaessinvasion', ...rows].join('\n')}\n`;
}

const PLAIN_YAML = `# SIMULATED DATA: lesions that \`concordat phantom\` made
concordat: 1
table: cases.csv
id: patient_id
missing: ["", NA]
images: {table: images.csv}
`;

const GERMAN_YAML = `# SIMULATED DATA: lesions that \`concordat phantom\` made; a table with local names and codes
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
images: {table: images.csv}
`;
