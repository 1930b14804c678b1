import { type Cohort, rowsOfFit, type SiteView } from '../../shared/cohort.site.js';
import { predictorTable } from '../../shared/computations/design.site.js';
import { type Frame, type MomentsResult, predictorsOf } from '../../shared/computations/frame.js';
import { type Arm, type Fit, fitId } from '../../shared/fits.js';
import { seededRandom } from '../../shared/rng.js';

/** One simulated patient; `x` are features (NaN = missing), `sex` and `age` clinical covariates. */
export interface Patient {
  readonly site: string;
  readonly id: string;
  readonly x: readonly number[];
  readonly sex: number;
  readonly age: number;
  readonly y: number;
  readonly time: number;
  readonly event: number;
  readonly cell: number;
  readonly calibration: number;
  readonly train: number;
}

export interface TableOptions {
  readonly sizes: Readonly<Record<string, number>>;
  readonly features?: number;
  readonly cells?: number;
  readonly calibrationSites?: readonly string[];
  readonly missing?: boolean;
  readonly test?: boolean;
}

export function simulateTable(seed: number, options: TableOptions): Patient[] {
  const random = seededRandom('fedavg table', seed);
  const features = options.features ?? 3;
  return Object.entries(options.sizes).flatMap(([site, size], siteIndex) =>
    Array.from({ length: size }, (_, i): Patient => {
      const x = Array.from({ length: features }, () => random.normal() + 0.2 * siteIndex);
      const risk = 1.4 * x[0]! * x[0]! - 1.2 + 0.8 * (x[1] ?? 0);
      const y = random.uniform() < 1 / (1 + Math.exp(-risk)) ? 1 : 0;
      const gap = options.missing === true && random.uniform() < 0.1;
      return {
        site,
        id: `${site}-${String(i).padStart(4, '0')}`,
        x: gap ? x.with(0, Number.NaN) : x,
        sex: options.missing === true && random.uniform() < 0.1 ? Number.NaN : random.integer(3),
        age: 50 + 10 * random.normal(),
        y,
        time: Math.ceil((-Math.log(1 - random.uniform()) * 30) / Math.exp(risk / 2)),
        event: random.uniform() < 0.7 ? 1 : 0,
        cell: random.integer(options.cells ?? 1),
        calibration: options.calibrationSites?.includes(site) === true && i % 4 === 0 ? 1 : 0,
        train: options.test === true && i % 5 === 0 ? 0 : 1,
      };
    }),
  );
}

export function frameOf(training: string[], external: string[], features: number, cells: number): Frame {
  return {
    training,
    external,
    features: Array.from({ length: features }, (_, i) => `f${i}`),
    covariates: [
      { name: 'sex', levels: ['F', 'M', 'X'] },
      { name: 'age', levels: null },
    ],
    endpoint: { type: 'binary' },
    cells,
    seed: 11,
    minimumCount: 5,
    minimumCohort: 10,
    minSites: 3,
  };
}

export function fitsOf(frame: Frame, arm: Arm, groups: readonly string[][]): Fit[] {
  const inner = frame.cells > 1 ? [null, ...Array.from({ length: frame.cells }, (_, cell) => cell)] : [null];
  return [[], ...groups].flatMap((heldOut) => {
    const outer = heldOut.length === 0 ? 'all' : `without-${heldOut.join('+')}`;
    const sites = frame.training.filter((site) => !heldOut.includes(site));
    return inner.map((cell) => ({
      id: fitId(arm, outer, cell),
      arm,
      outer,
      inner: cell,
      sites,
      heldOut: [...heldOut],
    }));
  });
}

export function cohortOf(frame: Frame, patients: readonly Patient[], holder: string): Cohort {
  const rows = [...patients].sort((a, b) => (a.site === b.site ? (a.id < b.id ? -1 : 1) : a.site < b.site ? -1 : 1));
  const sites = [...new Set(rows.map((row) => row.site))];
  const siteOf = Int32Array.from(rows, (row) => sites.indexOf(row.site));
  return {
    holder,
    sites,
    siteOf,
    n: rows.length,
    ids: rows.map((row) => row.id),
    featureNames: frame.features,
    features: Float64Array.from(rows.flatMap((row) => row.x)),
    covariateColumns: frame.covariates,
    covariates: Float64Array.from(rows.flatMap((row) => [row.sex, row.age])),
    outcome:
      frame.endpoint.type === 'binary'
        ? { type: 'binary', y: Uint8Array.from(rows, (row) => row.y) }
        : {
            type: 'survival',
            time: Float64Array.from(rows, (row) => row.time),
            event: Uint8Array.from(rows, (row) => row.event),
          },
    batchNames: sites,
    batchOf: siteOf,
    stratumNames: sites,
    stratumOf: siteOf,
    cellOf: Int32Array.from(rows, (row) => row.cell),
    calibration: Uint8Array.from(rows, (row) => row.calibration),
    train: Uint8Array.from(rows, (row) => row.train),
    exclusions: [],
  };
}

/** Plain means and standard deviations (1/n) of observed values over each fit's rows, from all patients at once. */
export function momentsOf(frame: Frame, fits: readonly Fit[], patients: readonly Patient[]): MomentsResult {
  const cohort = cohortOf(frame, patients, 'everyone');
  const predictors = predictorsOf(frame, true);
  const table = predictorTable(cohort, cohort.features, predictors);
  const entries = fits.map((fit) => {
    const member = rowsOfFit(cohort, fit);
    const columns = predictors.map((_, j) =>
      [...member.keys()].flatMap((row) => {
        const value = table[row * predictors.length + j]!;
        return member[row] === 1 && !Number.isNaN(value) ? [value] : [];
      }),
    );
    const mean = columns.map((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
    const sd = columns.map((values, j) =>
      Math.sqrt(values.reduce((sum, value) => sum + (value - mean[j]!) * (value - mean[j]!), 0) / values.length),
    );
    const n = member.reduce((sum, value) => sum + value, 0);
    return [fit.id, { n, mean: Float64Array.from(mean), sd: Float64Array.from(sd) }] as const;
  });
  return { fits: Object.fromEntries(entries) };
}

/** One view per holder; features are taken as they are, whatever the arm. */
export function viewsOf(
  frame: Frame,
  holders: readonly (readonly Patient[])[],
  results: ReadonlyMap<string, unknown>,
): SiteView[] {
  return holders.map((patients, index) => {
    const cohort = cohortOf(frame, patients, `holder-${index}`);
    return { cohort, results, harmonized: () => cohort.features.slice(), memo: new Map() };
  });
}

export function bySite(patients: readonly Patient[]): Patient[][] {
  return [...new Set(patients.map((patient) => patient.site))].map((site) =>
    patients.filter((patient) => patient.site === site),
  );
}
