import { describe, expect, it } from 'vitest';
import type { FittedModel, Frame, ModelResult, ValidateSpec } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { validateCoordinator } from '../../shared/computations/validate/advance.coordinator.js';
import { validateSite } from '../../shared/computations/validate/contribute.site.js';
import { validateDeclaration } from '../../shared/computations/validate/declaration.js';
import type { Metric, ValidateResult, ValidationFold } from '../../shared/computations/validate/result.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import type { Fit } from '../../shared/fits.js';
import { calibrate, wilsonInterval } from '../../shared/metrics/index.js';
import { seededRandom } from '../../shared/rng.js';
import { delongBySquare } from '../twins/auc.js';
import { concordanceBySquare } from '../twins/concordance.js';
import { coxTwin } from '../twins/cox.js';
import { bySite, fitsOf, frameOf, momentsOf, type Patient, simulateTable, viewsOf } from './fedavg-table.js';

const halves = { declaration: validateDeclaration, site: validateSite, coordinator: validateCoordinator };
const TRAINING = ['alder', 'birch', 'cedar', 'dogwood'];
const EXTERNAL = ['elm', 'fir', 'gum'];
const HAZARD = 0.35;
const sizes = { alder: 70, birch: 55, cedar: 48, dogwood: 62, elm: 60, fir: 50, gum: 44 };

/** Every fit gets its own coefficients, so that a score by the wrong fit cannot pass. */
function modelOf(fits: readonly Fit[]): ModelResult {
  const models = fits.map((fit): [string, FittedModel] => {
    const random = seededRandom('validate model', fit.id);
    const beta = Float64Array.from([0.3, 0.9, -0.1, 0.1, -0.1, 0.05], (value) => value + 0.2 * random.normal());
    return [fit.id, { type: 'linear', intercept: 0.2 + 0.1 * random.normal(), beta }];
  });
  // All that validation reads of a summary: the baseline of a survival model.
  const summaries = Object.fromEntries(fits.map(({ id }) => [id, { baseline: { hazardAtHorizon: HAZARD } }]));
  return {
    type: 'logistic',
    models: Object.fromEntries(models),
    summaries: summaries as unknown as ModelResult['summaries'],
  };
}

function setUp(patients: readonly Patient[], options: Partial<ValidateSpec> = {}, frameOptions: Partial<Frame> = {}) {
  const cells = frameOptions.cells ?? 3;
  const frame: Frame = { ...frameOf(TRAINING, EXTERNAL, 3, cells), ...frameOptions };
  const fits = fitsOf(
    frame,
    'none',
    TRAINING.map((site) => [site]),
  );
  const moments = momentsOf(frame, fits, patients);
  const model = modelOf(fits);
  const spec: ValidateSpec = {
    frame,
    fits,
    models: [{ name: 'logistic', type: 'logistic', covariates: true }],
    threshold: 'youden',
    perSite: true,
    hasSplit: false,
    ...options,
  };
  const results = new Map<string, unknown>([
    ['moments', moments],
    ['logistic', model],
  ]);
  const run = (holders: readonly (readonly Patient[])[]) =>
    runInMemory(halves, spec, viewsOf(frame, holders, results), results);
  /** Score of one patient under one fit, from the table and the model's numbers alone. */
  const score = (patient: Patient, fit: string): number => {
    const { mean, sd } = moments.fits[fit]!;
    const dummy = (level: number) => (Number.isNaN(patient.sex) ? Number.NaN : Number(patient.sex === level));
    const raw = [...patient.x, dummy(1), dummy(2), patient.age];
    const own = model.models[fit]!;
    if (own.type !== 'linear') throw new Error('linear');
    return raw.reduce(
      (sum, value, j) => sum + (Number.isNaN(value) ? 0 : own.beta[j]! * ((value - mean[j]!) / sd[j]!)),
      own.intercept,
    );
  };
  return { spec, run, score };
}

function foldNamed(result: ValidateResult, name: string): ValidationFold {
  return result.folds.find((fold) => fold.name === name)!;
}

function numberOf(metric: Metric | undefined): number {
  if (metric === undefined || metric === null || 'suppressed' in metric) return Number.NaN;
  return metric.value;
}

const probability = (score: number) => 1 / (1 + Math.exp(-score));
const all = { sizes, cells: 3, missing: true, calibrationSites: [...TRAINING, ...EXTERNAL] };

describe('a binary endpoint', () => {
  const patients = simulateTable(7, all);
  const { spec, run, score } = setUp(patients);
  const { result, rounds } = run(bySite(patients));

  it('has one fold per held-out site, all of them together, external sites and cross-validation', () => {
    expect(result.folds.map((fold) => [fold.name, fold.evaluates])).toEqual([
      ...TRAINING.map((site) => [`without-${site}`, 'procedure']),
      ['leave-one-site-out', 'procedure'],
      ['external', 'model'],
      ['cross-validation', 'procedure'],
    ]);
    // Count, histogram, evaluation, and a handful of Newton steps.
    expect(rounds).toBeGreaterThan(4);
    expect(rounds).toBeLessThan(12);
  });

  it('metrics at a held-out site equal those from the table, its calibration cases left out', () => {
    for (const site of TRAINING) {
      const own = patients.filter((patient) => patient.site === site && patient.calibration === 0);
      const scores = own.map((patient) => score(patient, `none:without-${site}`));
      const y = own.map((patient) => patient.y);
      const got = foldNamed(result, `without-${site}`).sites[site]!;
      const twin = delongBySquare(scores, y);
      expect(numberOf(got['n'])).toBe(own.length);
      expect(numberOf(got['events'])).toBe(y.filter((value) => value === 1).length);
      expect(Math.abs(numberOf(got['auc']) - twin.auc)).toBeLessThan(1e-12);
      const auc = got['auc'] as { low: number; high: number };
      expect(Math.abs(auc.low - (twin.auc - 1.959963984540054 * Math.sqrt(twin.variance)))).toBeLessThan(1e-12);
      const brier = scores.reduce((sum, s, i) => sum + (probability(s) - y[i]!) * (probability(s) - y[i]!), 0);
      expect(Math.abs(numberOf(got['brier']) - brier / own.length)).toBeLessThan(1e-12);
      const calibration = calibrate(Float64Array.from(scores), Uint8Array.from(y))!;
      expect(Math.abs(numberOf(got['calibrationSlope']) - calibration.slope)).toBeLessThan(1e-9);
      expect(Math.abs(numberOf(got['calibrationIntercept']) - calibration.inTheLarge)).toBeLessThan(1e-9);
      const threshold = result.thresholds.find((entry) => entry.outer === `without-${site}`)!.value;
      const positives = own.filter((patient, i) => patient.y === 1 && probability(scores[i]!) >= threshold).length;
      const events = y.filter((value) => value === 1).length;
      expect(got['sensitivity']).toEqual(wilsonInterval(positives, events));
    }
  });

  it('pooled over folds is pair-weighted within sites, with the jackknife interval of the same pairs', () => {
    const rows = patients.filter((patient) => TRAINING.includes(patient.site) && patient.calibration === 0);
    const twin = concordanceBySquare(
      rows.map((patient) => ({
        score: score(patient, `none:without-${patient.site}`),
        time: 1 - patient.y,
        event: patient.y,
        stratum: TRAINING.indexOf(patient.site),
      })),
    );
    const pooled = foldNamed(result, 'leave-one-site-out').pooled['auc'] as { value: number; high: number };
    expect(Math.abs(pooled.value - twin.value)).toBeLessThan(1e-12);
    // The twin differentiates numerically: good to about 1e-9.
    expect(Math.abs(pooled.high - (twin.value + 1.959963984540054 * twin.se))).toBeLessThan(1e-7);
    expect(foldNamed(result, 'leave-one-site-out').pooled['calibrationSlope']).toBeNull();
    expect(result.notes.some((note) => note.path === '/validation/folds/4/pooled/calibrationSlope')).toBe(true);
  });

  it('external sites are scored by one frozen model: pooled calibration equals the fit on all their rows', () => {
    const rows = patients.filter((patient) => EXTERNAL.includes(patient.site) && patient.calibration === 0);
    const scores = Float64Array.from(rows, (patient) => score(patient, 'none:all'));
    const want = calibrate(
      scores,
      Uint8Array.from(rows, (patient) => patient.y),
    )!;
    const { pooled } = foldNamed(result, 'external');
    expect(numberOf(pooled['n'])).toBe(rows.length);
    expect(Math.abs(numberOf(pooled['calibrationSlope']) - want.slope)).toBeLessThan(1e-9);
    expect(Math.abs(numberOf(pooled['calibrationIntercept']) - want.inTheLarge)).toBeLessThan(1e-9);
    expect(result.pooledFold).toBe('external');
    expect(result.pooled).toEqual(pooled);
    expect(Object.keys(result.sites).sort()).toEqual([...TRAINING, ...EXTERNAL]);
  });

  it('cross-validation forms pairs inside a cell only, scored by the fit that held it out', () => {
    const rows = patients.filter((patient) => patient.site === 'birch');
    const twin = concordanceBySquare(
      rows.map((patient) => ({
        score: score(patient, `none:all/${patient.cell}`),
        time: 1 - patient.y,
        event: patient.y,
        stratum: patient.cell,
      })),
    );
    const got = foldNamed(result, 'cross-validation').sites['birch']!['auc'] as { value: number; low: number };
    expect(Math.abs(got.value - twin.value)).toBeLessThan(1e-12);
    expect(Math.abs(got.low - (twin.value - 1.959963984540054 * twin.se))).toBeLessThan(1e-7);
  });

  it('thresholds are Youden edges of out-of-fold predictions of that fold’s training patients', () => {
    const threshold = result.thresholds.find((entry) => entry.outer === 'without-cedar')!;
    const rows = patients.filter((patient) => TRAINING.includes(patient.site) && patient.site !== 'cedar');
    expect(threshold.bins).toBe(Math.floor(rows.length / 10));
    const predictions = rows.map((patient) => probability(score(patient, `none:without-cedar/${patient.cell}`)));
    const index = (t: number) => {
      const share = (label: number) =>
        rows.filter((patient, i) => patient.y === label && predictions[i]! >= t).length /
        rows.filter((patient) => patient.y === label).length;
      return share(1) - share(0);
    };
    const edges = Array.from({ length: threshold.bins! + 1 }, (_, edge) => edge / threshold.bins!);
    expect(index(threshold.value)).toBeCloseTo(Math.max(...edges.map(index)), 12);
    expect(Math.max(...predictions.map(index)) - threshold.youden!).toBeLessThanOrEqual(threshold.bound! + 1e-12);
  });

  it('gives the same result whoever holds the rows', () => {
    for (const holders of [[patients], [patients.slice(0, 125), patients.slice(125)]]) {
      const other = run(holders).result;
      const difference = maximalDifference(other, result);
      // Sums of squares and Newton terms are added in another order; everything else is whole numbers.
      expect(difference).toBeLessThan(1e-9);
    }
  });

  it('declares single sites as visible and survives the wire', () => {
    const start = validateCoordinator.start(spec, new Map([['logistic', modelOf(spec.fits)]]));
    expect(start.broadcast.phase).toBe('count');
    const units = start.broadcast.units;
    const thresholds = Object.fromEntries(spec.fits.map((fit) => [`logistic/none/${fit.outer}`, 0.5]));
    const leaves = validateDeclaration.leaves(spec, { phase: 'evaluate', units, thresholds });
    for (const leaf of leaves) expect(leaf.visibility).toBe(leaf.contributors.length < 3 ? 'site' : 'total');
    expect(new Set(leaves.map((leaf) => leaf.name)).size).toBe(leaves.length);
    expect(decodeDocument(encodeDocument(result))).toEqual(result);
  });
});

function maximalDifference(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b);
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
    expect(Object.keys(a)).toEqual(Object.keys(b));
    const other = b as Record<string, unknown>;
    return Math.max(0, ...Object.entries(a).map(([key, value]) => maximalDifference(value, other[key])));
  }
  expect(a).toEqual(b);
  return 0;
}

describe('what cannot be estimated or shown', () => {
  const patients = simulateTable(7, all).filter((patient, _, table) => {
    const earlier = table.filter((other) => other.site === patient.site && other.id < patient.id);
    const scored = (rows: Patient[]) => rows.filter((other) => other.calibration === 0);
    // birch keeps three patients that are scored; cedar three events.
    if (patient.site === 'birch') return patient.calibration === 1 || scored(earlier).length < 3;
    if (patient.site === 'cedar' && patient.y === 1)
      return scored(earlier.filter((other) => other.y === 1)).length < 3 && patient.calibration === 0;
    return true;
  });
  const { run } = setUp(patients);
  const { result } = run(bySite(patients));

  it('a site of three patients is suppressed, and not to be had by subtraction either', () => {
    const birch = foldNamed(result, 'without-birch').sites['birch']!;
    for (const name of ['n', 'events', 'auc', 'brier', 'sensitivity', 'specificity'])
      expect(birch[name]).toEqual({ suppressed: true });
    const pooled = foldNamed(result, 'leave-one-site-out');
    const others = ['alder', 'dogwood'].map((site) => numberOf(pooled.sites[site]!['n']));
    expect(numberOf(pooled.pooled['n'])).toBe(others[0]! + others[1]!);
    expect(result.notes.some((note) => note.reason.startsWith('2 of 4 sites are not in the sums'))).toBe(true);
  });

  it('fewer events than minimumCount: they are suppressed, and all that would tell them, but not n', () => {
    const { n, ...outcome } = foldNamed(result, 'without-cedar').sites['cedar']!;
    expect(numberOf(n)).toBe(patients.filter((row) => row.site === 'cedar' && row.calibration === 0).length);
    expect(Object.keys(outcome)).toHaveLength(7);
    for (const metric of Object.values(outcome)) expect(metric).toEqual({ suppressed: true });
  });

  it('fewer than five events where that many may be shown: AUC not estimable and listed', () => {
    const { result: shown } = setUp(patients, {}, { minimumCount: 1 }).run(bySite(patients));
    const cedar = foldNamed(shown, 'without-cedar').sites['cedar']!;
    expect(cedar['auc']).toBeNull();
    expect(numberOf(cedar['events'])).toBe(3);
    expect(numberOf(cedar['brier'])).toBeGreaterThan(0);
    const path = '/validation/folds/2/sites/cedar/auc';
    expect(shown.notes).toContainEqual({ path, reason: expect.stringContaining('fewer than 5') as string });
  });

  it('an AUC of 1 is listed, not averaged', () => {
    const separated = simulateTable(7, all).map((patient) =>
      patient.site === 'dogwood' ? { ...patient, x: [0, patient.y === 1 ? 30 : -30, 0] } : patient,
    );
    const own = setUp(separated);
    const { result: listed } = own.run(bySite(separated));
    const dogwood = foldNamed(listed, 'without-dogwood').sites['dogwood']!;
    expect(dogwood['auc']).toBeNull();
    expect(dogwood['calibrationSlope']).toBeNull();
    const rest = separated.filter(
      (patient) => ['alder', 'birch', 'cedar'].includes(patient.site) && patient.calibration === 0,
    );
    const twin = concordanceBySquare(
      rest.map((patient) => ({
        score: own.score(patient, `none:without-${patient.site}`),
        time: 1 - patient.y,
        event: patient.y,
        stratum: TRAINING.indexOf(patient.site),
      })),
    );
    const pooled = foldNamed(listed, 'leave-one-site-out').pooled['auc'];
    expect(Math.abs(numberOf(pooled) - twin.value)).toBeLessThan(1e-12);
  });

  it('without per-site numbers nothing of a single site leaves', () => {
    const table = simulateTable(7, all);
    const own = setUp(table, { perSite: false });
    const start = validateCoordinator.start(own.spec, new Map([['logistic', modelOf(own.spec.fits)]]));
    const broadcast = { phase: 'evaluate', units: start.broadcast.units, thresholds: {} } as const;
    for (const leaf of validateDeclaration.leaves(own.spec, broadcast))
      expect(leaf.contributors.length).toBeGreaterThan(2);
    const { result: totals } = own.run(bySite(table));
    expect(foldNamed(totals, 'external').sites).toEqual({});
    expect(numberOf(foldNamed(totals, 'external').pooled['auc'])).toBeGreaterThan(0.5);
  });
});

describe('other studies', () => {
  it('a fixed threshold and no inner folds: no histogram round, no cross-validation', () => {
    const patients = simulateTable(7, { ...all, cells: 1 });
    const { run } = setUp(patients, { threshold: 0.4 }, { cells: 1 });
    const { result } = run(bySite(patients));
    expect(result.folds.map((fold) => fold.name)).not.toContain('cross-validation');
    expect(new Set(result.thresholds.map((entry) => entry.value))).toEqual(new Set([0.4]));
    const apparent = setUp(patients, {}, { cells: 1 }).run(bySite(patients)).result;
    expect(apparent.notes.some((note) => note.reason.includes('apparent predictions'))).toBe(true);
  });

  it('a split: test rows of training sites by the frozen model', () => {
    const patients = simulateTable(7, { ...all, test: true });
    const { run, score } = setUp(patients, { hasSplit: true });
    const got = foldNamed(run(bySite(patients)).result, 'split');
    const own = patients.filter((patient) => patient.site === 'alder' && patient.train === 0);
    expect(got.evaluates).toBe('model');
    expect(numberOf(got.sites['alder']!['n'])).toBe(own.length);
    const twin = delongBySquare(
      own.map((patient) => score(patient, 'none:all')),
      own.map((patient) => patient.y),
    );
    expect(Math.abs(numberOf(got.sites['alder']!['auc']) - twin.auc)).toBeLessThan(1e-12);
  });

  it('a single external site: its own metrics are the pooled ones, and nothing is sent twice', () => {
    const patients = simulateTable(7, all).filter((patient) => !['fir', 'gum'].includes(patient.site));
    const { spec, run } = setUp(patients, { threshold: 0.5 }, { external: ['elm'] });
    const external = foldNamed(run(bySite(patients)).result, 'external');
    expect(external.pooled).toEqual(external.sites['elm']);
    const units = [{ model: 'logistic', arm: 'none' }] as const;
    const leaves = validateDeclaration.leaves(spec, { phase: 'evaluate', units, thresholds: {} });
    expect(leaves.filter(({ name }) => name.includes('external')).map(({ kind }) => kind)).toEqual([
      'validate.metrics.external',
    ]);
  });

  it('too few patients for a histogram: 0.5, and a note says so', () => {
    const few = { alder: 6, birch: 5, cedar: 4, dogwood: 4, elm: 30, fir: 30, gum: 30 };
    const patients = simulateTable(9, { sizes: few, cells: 3 });
    const { result } = setUp(patients).run(bySite(patients));
    const threshold = result.thresholds.find((entry) => entry.outer === 'all')!;
    expect(threshold).toMatchObject({ source: 'default', value: 0.5, bins: null });
    expect(result.notes.some((note) => note.reason.startsWith('threshold of logistic/none/all'))).toBe(true);
  });

  it('nobody to evaluate: one round and an empty list', () => {
    const patients = simulateTable(7, { ...all, cells: 1 });
    const own = setUp(patients, { threshold: 0.4 }, { cells: 1, external: [] });
    const fits = own.spec.fits.filter((fit) => fit.outer === 'all');
    const views = viewsOf(own.spec.frame, [patients], new Map());
    const { result, rounds } = runInMemory(
      halves,
      { ...own.spec, fits },
      views,
      new Map([['logistic', modelOf(fits)]]),
    );
    expect(rounds).toBe(1);
    expect(result).toMatchObject({ folds: [], pooledFold: null });
  });

  it('a survival endpoint: C-index, and calibration of the frozen model in a few rounds more', () => {
    const patients = simulateTable(7, all);
    const { run, score } = setUp(patients, {}, { endpoint: { type: 'survival', unit: 'days', horizon: null } });
    const { result, rounds } = run(bySite(patients));
    expect(rounds).toBeGreaterThan(2);
    expect(rounds).toBeLessThan(10);
    const twinOf = (rows: Patient[]) =>
      concordanceBySquare(
        rows.map((patient) => ({
          score: score(patient, 'none:all'),
          time: patient.time,
          event: patient.event,
          stratum: EXTERNAL.indexOf(patient.site),
        })),
      );
    const rows = patients.filter((patient) => EXTERNAL.includes(patient.site) && patient.calibration === 0);
    const external = foldNamed(result, 'external');
    const elm = rows.filter((patient) => patient.site === 'elm');
    expect(Math.abs(numberOf(external.sites['elm']!['cIndex']) - twinOf(elm).value)).toBeLessThan(1e-12);
    const pooled = external.pooled['cIndex'] as { value: number; low: number };
    expect(Math.abs(pooled.value - twinOf(rows).value)).toBeLessThan(1e-12);
    expect(Math.abs(pooled.low - (twinOf(rows).value - 1.959963984540054 * twinOf(rows).se))).toBeLessThan(1e-7);
    expect(external.pooled).not.toHaveProperty('brier');

    // Slope: the Cox model of the score alone, by its definition, every site with its own risk sets.
    const slopeOf = (own: Patient[]) => {
      const twinRows = own.map((patient) => ({
        time: patient.time,
        event: patient.event,
        stratum: patient.site,
        x: [score(patient, 'none:all')],
      }));
      let slope = 0;
      for (let step = 0; step < 12; step++) {
        const { gradient, information } = coxTwin(twinRows, [slope], 'efron');
        slope += gradient[0]! / information[0]![0]!;
      }
      return { slope, se: 1 / Math.sqrt(coxTwin(twinRows, [slope], 'efron').information[0]![0]!) };
    };
    for (const [got, own] of [
      [external.sites['elm']!['calibrationSlope'], slopeOf(elm)],
      [external.pooled['calibrationSlope'], slopeOf(rows)],
    ] as const) {
      expect(Math.abs(numberOf(got) - own.slope)).toBeLessThan(1e-9);
      expect(Math.abs((got as { low: number }).low - (own.slope - 1.959963984540054 * own.se))).toBeLessThan(1e-9);
    }
    // Folds judge the procedure: each has its own model, so their scores are not on one scale.
    expect(foldNamed(result, 'leave-one-site-out').pooled['calibrationSlope']).toBeNull();
    expect(numberOf(foldNamed(result, 'without-cedar').sites['cedar']!['calibrationSlope'])).not.toBeNaN();
  });

  it('with a horizon: Brier score and observed over expected risk, at each site and over the sites of one model', () => {
    const horizon = 20;
    const patients = simulateTable(7, all);
    const endpoint = { type: 'survival', unit: 'days', horizon } as const;
    const { run, score } = setUp(patients, {}, { endpoint });
    const { result } = run(bySite(patients));
    const external = foldNamed(result, 'external');
    let [brier, observed, expected, total] = [0, 0, 0, 0];
    for (const site of EXTERNAL) {
      const own = patients.filter((patient) => patient.site === site && patient.calibration === 0);
      // Kaplan-Meier by its definition: of events for the risk, of censorings (after events of the same time) for the weights.
      const curve = (until: number, includes: boolean, kind: number) =>
        [...new Set(own.map(({ time }) => time))]
          .filter((time) => (includes ? time <= until : time < until))
          .reduce((product, time) => {
            const dead = own.filter((row) => row.time === time && row.event === 1).length;
            const lost = own.filter((row) => row.time === time && row.event === 0).length;
            const atRisk = own.filter((row) => row.time >= time).length;
            return product * (kind === 1 ? 1 - dead / atRisk : 1 - lost / (atRisk - dead || 1));
          }, 1);
      const survives = (patient: Patient) => Math.exp(-HAZARD * Math.exp(score(patient, 'none:all')));
      const errors = own.map((patient) => {
        const s = survives(patient);
        if (patient.time > horizon) return ((1 - s) * (1 - s)) / curve(horizon, true, 0);
        return patient.event === 1 ? (s * s) / curve(patient.time, false, 0) : 0;
      });
      const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
      const risk = sum(own.map((patient) => 1 - survives(patient)));
      const died = own.length * (1 - curve(horizon, true, 1));
      const got = external.sites[site]!;
      expect(Math.abs(numberOf(got['brier']) - sum(errors) / own.length)).toBeLessThan(1e-12);
      expect(Math.abs(numberOf(got['observedExpected']) - died / risk)).toBeLessThan(1e-12);
      [brier, observed, expected, total] = [brier + sum(errors), observed + died, expected + risk, total + own.length];
    }
    expect(Math.abs(numberOf(external.pooled['brier']) - brier / total)).toBeLessThan(1e-12);
    expect(Math.abs(numberOf(external.pooled['observedExpected']) - observed / expected)).toBeLessThan(1e-12);
    for (const name of ['brier', 'observedExpected'])
      expect(foldNamed(result, 'cross-validation').pooled[name]).toBeNull();
    expect(result.notes.some(({ reason }) => reason.startsWith('absolute risk is pooled only over sites'))).toBe(true);
  });

  it('a horizon that nobody reaches leaves absolute risk undefined, with a note', () => {
    const patients = simulateTable(7, all);
    const endpoint = { type: 'survival', unit: 'days', horizon: 1e6 } as const;
    const { result } = setUp(patients, {}, { endpoint }).run(bySite(patients));
    const index = result.folds.findIndex(({ name }) => name === 'external');
    const external = result.folds[index]!;
    for (const metrics of [external.pooled, external.sites['elm']!]) {
      expect(metrics['brier']).toBeNull();
      expect(metrics['observedExpected']).toBeNull();
    }
    const path = `/validation/folds/${index}/pooled/observedExpected`;
    expect(result.notes).toContainEqual({ path, reason: expect.stringContaining('nobody is followed') as string });
  });
});
