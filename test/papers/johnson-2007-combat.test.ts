import { describe, expect, it } from 'vitest';
import { estimateRows } from '../../harmonization/combat/estimate.site.js';
import type { CombatSpec, CovariateColumn } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { seededRandom } from '../../shared/rng.js';
import { combat, fitOf, frameOf, holdersOf, type Row, viewOf } from '../harmonization/support.js';

/**
 * W. E. Johnson, C. Li, A. Rabinovic, "Adjusting batch effects in microarray expression data using empirical Bayes
 * methods", Biostatistics 8 (2007) 118-127. One test per claim. Where the published code and the text differ, we follow
 * the code of sva and neuroCombat and say so.
 */
const BATCHES = ['alder', 'birch', 'cedar'];
const COVARIATES: CovariateColumn[] = [{ name: 'treated', levels: null }];

interface Truth {
  readonly gamma: Record<string, number[]>;
  readonly delta: Record<string, number[]>;
}

/** Y = alpha + X beta + gamma + delta * epsilon: the location and scale model of section 3.1, eq. (1). */
function modelData(seed: number, p: number, sizes: Record<string, number>): { rows: Row[]; truth: Truth } {
  const random = seededRandom('johnson 2007', seed);
  const gamma = Object.fromEntries(
    BATCHES.map((batch) => [batch, Array.from({ length: p }, () => 0.7 + 0.5 * random.normal())]),
  );
  const delta = Object.fromEntries(
    BATCHES.map((batch) => [batch, Array.from({ length: p }, () => 0.6 + random.uniform())]),
  );
  const rows = BATCHES.flatMap((site) =>
    Array.from({ length: sizes[site]! }, (_, at): Row => {
      const treated = at % 2;
      return {
        id: `${site}-${at}`,
        site,
        covariates: [treated],
        features: Array.from(
          { length: p },
          (_entry, j) => 5 + j + 2 * treated + gamma[site]![j]! + delta[site]![j]! * random.normal(),
        ),
      };
    }),
  );
  return { rows, truth: { gamma, delta } };
}

function fitted(rows: readonly Row[], covariates = ['treated']) {
  const features = rows[0]!.features.map((_, j) => `g${j}`);
  const frame = frameOf(BATCHES, features, COVARIATES);
  const fit = fitOf('combat', BATCHES);
  const spec: CombatSpec = { frame, fits: [fit], covariates, mode: 'converged' };
  const cohorts = holdersOf(rows, 'sites', features, COVARIATES);
  const { result } = runInMemory(
    combat,
    spec,
    cohorts.map((cohort) => viewOf(cohort, frame)),
  );
  const results = new Map<string, unknown>([['combat', result]]);
  const joint = result.fits[fit.id]!;
  const estimates = cohorts.map(
    (cohort) => estimateRows(cohort, new Uint8Array(cohort.n).fill(1), joint, 'converged')[0]!,
  );
  const harmonized = new Map<string, Float64Array>();
  for (const cohort of cohorts) {
    const values = viewOf(cohort, frame, results, spec).harmonized(fit);
    cohort.ids.forEach((id, row) => {
      harmonized.set(id, values.subarray(row * features.length, (row + 1) * features.length));
    });
  }
  return { joint, estimates, harmonized, cohorts };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const variance = (values: readonly number[]) => {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
};

describe('Johnson, Li and Rabinovic 2007', () => {
  const { rows } = modelData(1, 40, { alder: 30, birch: 24, cedar: 36 });
  const done = fitted(rows);

  // Section 3.2, step 1: "we constrain sum_i n_i gamma_ig = 0".
  it('batch locations, weighted by batch size, sum to zero for every feature', () => {
    for (let j = 0; j < 40; j++) {
      const sum = done.estimates.reduce((total, estimate) => total + estimate.n * estimate.gammaHat[j]!, 0);
      expect(Math.abs(sum)).toBeLessThan(1e-10);
    }
  });

  // Section 3.2, step 1: sigma_g^2 = 1/N sum_ij (Y - alpha - X beta - gamma)^2, divided by N and not by N - p.
  it('standardized data have mean zero and residual variance one over all N rows', () => {
    for (let j = 0; j < 40; j++) {
      let squares = 0;
      for (const [at, cohort] of done.cohorts.entries())
        for (let row = 0; row < cohort.n; row++) {
          const level = done.joint.grandMean[j]! + cohort.covariates[row]! * done.joint.coefficients[j]!;
          const z = (cohort.features[row * 40 + j]! - level) / Math.sqrt(done.joint.pooledVariance[j]!);
          squares += (z - done.estimates[at]!.gammaHat[j]!) ** 2;
        }
      expect(Math.abs(squares / rows.length - 1)).toBeLessThan(1e-10);
    }
  });

  // Section 3.2, step 2: gamma_bar and tau^2, and the method of moments lambda_bar = (V + 2 S^2) / S^2,
  // theta_bar = (V^3 + V S^2) / S^2, from the mean V and variance S^2 of delta.hat over features.
  it('hyperparameters are moments over the features of a batch', () => {
    for (const estimate of done.estimates) {
      const [v, s2] = [mean([...estimate.deltaHat]), variance([...estimate.deltaHat])];
      expect(estimate.gammaBar).toBeCloseTo(mean([...estimate.gammaHat]), 12);
      expect(estimate.t2).toBeCloseTo(variance([...estimate.gammaHat]), 12);
      // The text prints V + 2 S^2; with an inverse gamma of mean V and variance S^2 it is V^2 + 2 S^2, as the code has it.
      expect(estimate.aPrior).toBeCloseTo((v * v + 2 * s2) / s2, 9);
      expect(estimate.bPrior).toBeCloseTo((v ** 3 + v * s2) / s2, 9);
      // The mean of that inverse gamma is the mean of delta.hat.
      expect(estimate.bPrior / (estimate.aPrior - 1)).toBeCloseTo(v, 10);
    }
  });

  // Section 3.2, step 2, eq. (3): the posterior means are a fixed point of each other.
  it('the shrunken estimates solve both conditional equations at once', () => {
    for (const estimate of done.estimates)
      for (let j = 0; j < 40; j++) {
        const { n, t2, gammaBar, aPrior, bPrior } = estimate;
        const [gamma, delta] = [estimate.gammaStar[j]!, estimate.deltaStar[j]!];
        expect(gamma).toBeCloseTo((n * t2 * estimate.gammaHat[j]! + delta * gammaBar) / (n * t2 + delta), 12);
        const squares = (n - 1) * estimate.deltaHat[j]! + n * (estimate.gammaHat[j]! - gamma) ** 2;
        expect(delta).toBeCloseTo((bPrior + squares / 2) / (n / 2 + aPrior - 1), 12);
      }
  });

  // Section 3: EB "pools information across genes": estimates shrink towards the mean of the batch over features.
  it('every location lies between its own estimate and the mean over features, closer to it in a small batch', () => {
    for (const estimate of done.estimates)
      estimate.gammaStar.forEach((gamma, j) => {
        const [low, high] = [estimate.gammaHat[j]!, estimate.gammaBar].sort((a, b) => a - b) as [number, number];
        expect(gamma).toBeGreaterThanOrEqual(low);
        expect(gamma).toBeLessThanOrEqual(high);
      });
    const shrinkage = (size: number) => {
      const { estimates } = fitted(modelData(2, 60, { alder: 40, birch: size, cedar: 40 }).rows);
      const small = estimates[1]!;
      return mean([...small.gammaStar.keys()].map((j) => Math.abs(small.gammaStar[j]! - small.gammaHat[j]!)));
    };
    expect(shrinkage(6)).toBeGreaterThan(2 * shrinkage(60));
  });

  // Abstract: "robust to outliers in small sample sizes": closer to the truth than location and scale without EB.
  it('in small batches the shrunken location is nearer the truth than the unshrunken one, on average', () => {
    let [shrunken, raw] = [0, 0];
    for (const seed of [3, 4, 5, 6, 7, 8]) {
      const data = modelData(seed, 60, { alder: 8, birch: 8, cedar: 8 });
      const small = fitted(data.rows);
      for (const [at, batch] of BATCHES.entries()) {
        const estimate = small.estimates[at]!;
        for (let j = 0; j < 60; j++) {
          const sd = Math.sqrt(small.joint.pooledVariance[j]!);
          const centre = mean(BATCHES.map((name) => data.truth.gamma[name]![j]!));
          const want = (data.truth.gamma[batch]![j]! - centre) / sd;
          shrunken += (estimate.gammaStar[j]! - want) ** 2;
          raw += (estimate.gammaHat[j]! - want) ** 2;
        }
      }
    }
    expect(shrunken).toBeLessThan(raw);
  });

  // Section 3.2, step 3: after adjustment, batches agree in location and scale while the covariate effect stays.
  it('adjusted data lose the batch effect and keep the treatment effect of 2', () => {
    const cell = (batch: string, j: number, source: (row: Row) => ArrayLike<number>) =>
      rows.filter((row) => row.site === batch && row.covariates![0] === 0).map((row) => source(row)[j]!);
    const spread = (source: (row: Row) => ArrayLike<number>) =>
      mean(Array.from({ length: 40 }, (_, j) => variance(BATCHES.map((batch) => mean(cell(batch, j, source))))));
    const adjusted = (row: Row) => done.harmonized.get(row.id)!;
    expect(spread(adjusted)).toBeLessThan(0.35 * spread((row) => row.features));
    const ratio = (source: (row: Row) => ArrayLike<number>) =>
      mean(
        Array.from({ length: 40 }, (_, j) => {
          const variances = BATCHES.map((batch) => variance(cell(batch, j, source)));
          return Math.max(...variances) / Math.min(...variances);
        }),
      );
    expect(ratio(adjusted)).toBeLessThan(ratio((row) => row.features));
    const effects = Array.from({ length: 40 }, (_, j) => {
      const pick = (treated: number) =>
        mean(rows.filter((row) => row.covariates![0] === treated).map((row) => adjusted(row)[j]!));
      return pick(1) - pick(0);
    });
    expect(mean(effects)).toBeGreaterThan(1.9);
    expect(mean(effects)).toBeLessThan(2.1);
  });
});
