import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { type Fit, fitContributors, fitId } from '../../shared/fits.js';
import { seededRandom } from '../../shared/rng.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { EMPTY_GUARD, type GuardRules, guardDecision, guardRequest, ownAtoms } from '../../site-agent/guard.js';

/**
 * Known leak: the Gram matrix of a site with no more patients than columns. Leave-one-site-out totals subtract to one
 * site's X'X; the whole-number part of it, counts of patients who share yes-or-no columns, has one solution in zeros and
 * ones when the site is small, and that solution gives every other column of every patient by linear algebra.
 */
const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const BINARY = 7;
const CONTINUOUS = 5;
const COLUMNS = BINARY + CONTINUOUS;

/** A constant, the outcome and yes-or-no covariates, then measurements: n x COLUMNS. */
function patients(site: string, n: number): Matrix {
  const random = seededRandom('gram attacker', site);
  return new Matrix(
    Array.from({ length: n }, () =>
      Array.from({ length: COLUMNS }, (_, column) => {
        if (column === 0) return 1;
        return column < BINARY ? Number(random.uniform() < 0.5) : random.normal();
      }),
    ),
  );
}

const gram = (rows: Matrix) => rows.transpose().mmul(rows);
const sum = (matrices: readonly Matrix[]) => matrices.reduce((total, matrix) => Matrix.add(total, matrix));

/** All ways to write a matrix of shared counts as n patients' zeros and ones, up to their order; gives up beyond `limit`. */
function binaryRows(shared: Matrix, n: number, limit = 2): number[][][] {
  const found: number[][][] = [];
  const left = shared.to2DArray().map((row) => row.map(Math.round));
  const row = (pattern: number) =>
    Array.from({ length: BINARY }, (_, bit) => (bit === 0 ? 1 : (pattern >> (bit - 1)) & 1));
  const take = (pattern: number[], sign: 1 | -1) => {
    let fits = true;
    for (let i = 0; i < BINARY; i++)
      for (let j = 0; j < BINARY; j++)
        if (pattern[i] === 1 && pattern[j] === 1) {
          left[i]![j]! -= sign;
          if (left[i]![j]! < 0) fits = false;
        }
    return fits;
  };
  const descend = (chosen: number[][], from: number): void => {
    if (found.length >= limit) return;
    if (chosen.length === n) {
      if (left.every((line) => line.every((entry) => entry === 0))) found.push([...chosen]);
      return;
    }
    for (let pattern = from; pattern < 2 << (BINARY - 2); pattern++) {
      const candidate = row(pattern);
      if (take(candidate, 1)) descend([...chosen, candidate], pattern);
      take(candidate, -1);
    }
  };
  descend([], 0);
  return found;
}

/** The measurements of every patient from the site's Gram matrix and its zeros and ones. */
function measurements(matrix: Matrix, binary: number[][]): Matrix {
  const known = new Matrix(binary).transpose();
  const cross = matrix.subMatrix(0, BINARY - 1, BINARY, COLUMNS - 1);
  return new SingularValueDecomposition(known, { autoTranspose: true }).solve(cross);
}

/** Rows in an order of their own, for comparison. */
const sorted = (rows: Matrix) =>
  rows
    .to2DArray()
    .sort((a, b) => (a.join() < b.join() ? -1 : 1))
    .flat();

function leaves(momentColumns: number): TensorSpec[] {
  const outers = [[], ...SITES.map((site) => [site])];
  return outers.map((heldOut): TensorSpec => {
    const outer = heldOut.length === 0 ? 'all' : `without-${heldOut[0]}`;
    const left = SITES.filter((site) => !heldOut.includes(site));
    const fit: Fit = { id: fitId('combat', outer, null), arm: 'combat', outer, inner: null, sites: left, heldOut };
    return {
      name: `${fit.id}/gram`,
      kind: 'combat.gram',
      shape: [COLUMNS, COLUMNS],
      bound: 1000,
      ring: 128,
      fractionBits: 80,
      contributors: fitContributors(fit, 1),
      visibility: 'total',
      momentColumns,
      fold: outer,
      meaning: 'test',
    };
  });
}

/** What the guard of birch, with that many patients, says to all totals of leave-one-site-out. */
function birchSays(n: number, rules: Partial<GuardRules>): string {
  const own = { site: 'birch', atoms: ownAtoms('s', 1, new Array<number>(n).fill(0), new Uint8Array(n).fill(1)) };
  const given: GuardRules = { minSites: 3, showAggregate: [], minimumCohort: 5, own, ...rules };
  const decision = guardDecision(EMPTY_GUARD, guardRequest(leaves(COLUMNS), SITES, 's', 1), given);
  return decision.ok ? 'ok' : decision.code;
}

describe('the Gram matrix of a small site', () => {
  const n = 6;
  const cohorts = new Map(SITES.map((site) => [site, patients(site, site === 'birch' ? n : 40)]));
  const totalOf = (sites: readonly string[]) => sum(sites.map((site) => gram(cohorts.get(site)!)));

  it('with the guard off gives every patient: outcome, covariates and measurements', () => {
    // What the coordinator holds: the total of all sites and the one without birch.
    const isolated = Matrix.sub(totalOf(SITES), totalOf(SITES.filter((site) => site !== 'birch')));
    const solutions = binaryRows(isolated.subMatrix(0, BINARY - 1, 0, BINARY - 1), n);
    expect(solutions).toHaveLength(1);
    const rows = measurements(isolated, solutions[0]!);
    const truth = cohorts.get('birch')!;
    const got = sorted(new Matrix(solutions[0]!.map((binary, row) => [...binary, ...rows.getRow(row)])));
    for (const [at, value] of sorted(truth).entries()) expect(Math.abs(got[at]! - value)).toBeLessThan(1e-8);
  });

  it('with the guard on is refused: undeclared for the isolation, declared for n <= p', () => {
    expect(birchSays(n, {})).toBe('POLICY_GUARD_ISOLATES');
    expect(birchSays(n, { showAggregate: SITES })).toBe('POLICY_GUARD_TOO_FEW');
    expect(birchSays(COLUMNS, { showAggregate: SITES })).toBe('POLICY_GUARD_TOO_FEW');
    expect(birchSays(COLUMNS + 1, { showAggregate: SITES })).toBe('ok');
  });

  it('of more patients than columns does not determine them, even for who is told all zeros and ones', () => {
    const large = patients('birch', 40);
    const guessed = measurements(gram(large), large.subMatrix(0, 39, 0, BINARY - 1).to2DArray());
    const truth = large.subMatrix(0, 39, BINARY, COLUMNS - 1);
    // Each patient's five measurements: not one of the forty is met.
    const missed = truth
      .to2DArray()
      .map((row, at) => Math.max(...row.map((value, j) => Math.abs(value - guessed.get(at, j)))));
    expect(Math.min(...missed)).toBeGreaterThan(0.05);
    // And not by bad luck: another cohort with the same zeros and ones has the same matrix.
    const other = sameGram(large);
    const difference = Matrix.sub(gram(other), gram(large)).norm('frobenius');
    expect(difference).toBeLessThan(1e-9 * gram(large).norm('frobenius'));
    expect(Matrix.sub(other, large).norm('frobenius')).toBeGreaterThan(1);
  });
});

/** Another cohort with the same zeros and ones and the same Gram matrix: measurements mirrored where the binary part is blind. */
function sameGram(rows: Matrix): Matrix {
  const binary = rows.subMatrix(0, rows.rows - 1, 0, BINARY - 1);
  const { leftSingularVectors: u } = new SingularValueDecomposition(binary, { autoTranspose: true });
  // A direction over patients that no yes-or-no column sees: a random one less its part in their span.
  const random = seededRandom('gram mirror');
  const start = Matrix.columnVector(Array.from({ length: rows.rows }, () => random.normal()));
  const span = u.subMatrix(0, rows.rows - 1, 0, BINARY - 1);
  const free = Matrix.sub(start, span.mmul(span.transpose().mmul(start)));
  const unit = Matrix.mul(free, 1 / free.norm('frobenius'));
  const mirrored = Matrix.sub(rows, Matrix.mul(unit.mmul(unit.transpose().mmul(rows)), 2));
  return mirrored;
}
