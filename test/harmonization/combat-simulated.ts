import { expect } from 'vitest';
import type { CombatSpec, CovariateColumn } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { seededRandom } from '../../shared/rng.js';
import { combat, fitOf, frameOf, holdersOf, type Row, viewOf } from './support.js';

export const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
export const COVARIATES: CovariateColumn[] = [
  { name: 'age', levels: null },
  { name: 'etiology', levels: ['HBV', 'HCV', 'other'] },
];

export interface Options {
  readonly p?: number;
  readonly gaps?: boolean;
  readonly scanners?: boolean;
}

/** Multi-site data with location and scale effects per batch, feature scales from 1e-12 to 1e12, case mix by site. */
export function simulated(seed: number, { p = 6, gaps = false, scanners = false }: Options = {}): Row[] {
  const random = seededRandom('combat properties', seed);
  const scales = [1e-12, 1e12, 1, 1e-5, 1e8, 30, 1, 1];
  return SITES.flatMap((site, index) => {
    const size = 14 + random.integer(12);
    const effects = ['GE', 'Siemens'].map(() =>
      Array.from({ length: p }, () => ({ shift: random.normal(), spread: Math.exp(0.4 * random.normal()) })),
    );
    return Array.from({ length: size }, (_, at): Row => {
      const age = 50 + 5 * index + 8 * random.normal();
      const etiology = random.integer(3);
      const scanner = scanners && at % 2 === 1 ? 1 : 0;
      const features = Array.from({ length: p }, (_, j) => {
        if (gaps && random.uniform() < 0.12 && at > 5) return Number.NaN;
        const { shift, spread } = effects[scanner]![j]!;
        return scales[j]! * (10 + shift + 0.03 * age + 0.4 * (etiology === 1 ? 1 : 0) + spread * random.normal());
      });
      return {
        id: `${site}-${String(at).padStart(3, '0')}`,
        site,
        ...(scanners ? { batch: scanner === 1 ? 'Siemens' : 'GE' } : {}),
        features,
        covariates: [age, etiology],
        y: random.integer(2),
        cell: at % 3,
        calibration: at < 8,
      };
    });
  });
}

export const names = (p: number) => Array.from({ length: p }, (_, j) => `f${String(j + 1).padStart(3, '0')}`);

export function setUp(rows: readonly Row[], how: 'sites' | 'one', mod = true, fits = [fitOf('combat', SITES)]) {
  const features = names(rows[0]!.features.length);
  const frame = frameOf(SITES, features, COVARIATES, { cells: 3 });
  const spec: CombatSpec = { frame, fits, covariates: mod ? ['age', 'etiology'] : [], mode: 'converged' };
  const cohorts = holdersOf(rows, how, features, COVARIATES);
  const { result, rounds } = runInMemory(
    combat,
    spec,
    cohorts.map((cohort) => viewOf(cohort, frame)),
  );
  const results = new Map<string, unknown>([['combat', result]]);
  const harmonized = new Map<string, number[]>();
  for (const cohort of cohorts) {
    const values = viewOf(cohort, frame, results, spec).harmonized(fits[0]!);
    cohort.ids.forEach((id, row) => {
      harmonized.set(id, [...values.subarray(row * features.length, (row + 1) * features.length)]);
    });
  }
  return { frame, spec, fits, cohorts, result, results, rounds, harmonized, features };
}

export function sdsOf(rows: readonly Row[]): number[] {
  return rows[0]!.features.map((_, j) => {
    const values = rows.map((row) => row.features[j]!).filter((value) => !Number.isNaN(value));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  });
}

export function worst(
  rows: readonly Row[],
  a: (row: Row, at: number) => readonly number[],
  b: (row: Row, at: number) => readonly number[],
) {
  const sds = sdsOf(rows);
  let most = 0;
  rows.forEach((row, at) => {
    const [left, right] = [a(row, at), b(row, at)];
    left.forEach((value, j) => {
      expect(Number.isNaN(value)).toBe(Number.isNaN(right[j]!));
      if (!Number.isNaN(value)) most = Math.max(most, Math.abs(value - right[j]!) / sds[j]!);
    });
  });
  return most;
}

export const design = (row: Row) => [
  row.covariates![0]!,
  row.covariates![1] === 1 ? 1 : 0,
  row.covariates![1] === 2 ? 1 : 0,
];
