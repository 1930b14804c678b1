import { describe, expect, it } from 'vitest';
import { ConcordatError, type Problem } from '../shared/errors.js';
import { cohortRows, FEATURES, type Row, resultJson, simulated, studyOf } from './study-properties-table.js';

/**
 * Bad and odd tables through the whole of `simulate`: a clear error with a code and a place, or a counted exclusion and a
 * named status in the result. Nothing may end as a programming error.
 */
const rows = cohortRows(1);
const edited = (change: (row: Row, index: number) => Partial<Row> | null): Row[] =>
  rows.flatMap((row, index) => {
    const cells = change(row, index);
    return cells === null ? [] : [{ ...row, ...cells } as Row];
  });
const at = (site: string, cells: Partial<Row> | null) => (row: Row) => (row['hospital'] === site ? cells : {});
const first = (site: string, n: number) => (row: Row) =>
  row['hospital'] === site && Number(row['id']!.slice(-3)) >= n ? null : {};

const LASSO = studyOf();
const PLAIN = studyOf({ model: '{type: logistic, lambda: 0}', harmonization: '{method: none}' });
const COX = studyOf({
  cohort: `{endpoint: {type: survival, time: days, event: died, horizon: 730}, features: [${FEATURES.join(', ')}], covariates: [{column: sex, levels: [F, M]}, {column: age}]}`,
  model: '{type: cox, lambda: 0}',
  harmonization: '{method: none}',
});
const MLP = studyOf({ model: '{type: mlp, hidden: [3], maxRounds: 4}' });
const STUDIES = { 'ComBat and lasso': LASSO, 'plain logistic': PLAIN, Cox: COX, 'ComBat and perceptron': MLP };

type Coefficients = readonly {
  readonly feature: string;
  readonly value: number | null;
  readonly status: string;
  readonly sign?: 1 | -1;
}[];

interface Result {
  readonly sites: readonly {
    readonly name: string;
    readonly role: string;
    readonly n: number;
    readonly exclusions: readonly { readonly reason: string; readonly count: unknown }[];
  }[];
  readonly model: {
    readonly converged: boolean;
    readonly n: number;
    readonly notes: readonly string[];
    readonly coefficients: Coefficients;
    readonly folds: Readonly<Record<string, { readonly coefficients: Coefficients }>>;
  };
  readonly validation: {
    readonly folds: readonly { readonly name: string; readonly sites: Record<string, Record<string, unknown>> }[];
  };
  readonly notes: readonly { readonly path: string; readonly reason: string }[];
}
const run = (study: typeof LASSO, table: readonly Row[]) => resultJson(simulated(study, table)) as unknown as Result;

function failureOf(study: typeof LASSO, table: readonly Row[]): ConcordatError {
  try {
    simulated(study, table);
  } catch (error) {
    if (error instanceof ConcordatError) return error;
    throw error;
  }
  return expect.fail('the study ran');
}

describe('studies that cannot mean anything', () => {
  it('per-site z-scores and a held-out site that stays as it is', () => {
    for (const more of [
      { harmonization: '{method: zscore, heldOut: none}' },
      { harmonization: '{method: combat, heldOut: none}', validation: '{arms: [combat, zscore]}' },
    ]) {
      try {
        studyOf(more);
        expect.fail('the study was accepted');
      } catch (error) {
        expect((error as ConcordatError).code).toBe('STUDY_INVALID');
        expect((error as ConcordatError).problems.map(({ message }) => message)).toEqual([
          'with per-site z-scores a site that is not harmonized would be scored on another scale: use calibration or transductive',
        ]);
      }
    }
    expect(studyOf({ harmonization: '{method: combat, heldOut: none}' }).harmonization.heldOut).toBe('none');
  });
});

describe('tables that cannot be used say where and why, all at once', () => {
  const where = ({ row, column, message }: Problem) => [row, column, message];

  it('text, NaN and a spreadsheet error in numbers, an unknown level, an impossible outcome', () => {
    const table = edited((_, index) => {
      if (index === 3) return { f1: 'high' };
      if (index === 4) return { f2: 'NaN' };
      if (index === 5) return { f3: '#NAME?', sex: 'female' };
      if (index === 6) return { mvi: '2' };
      return {};
    });
    const error = failureOf(LASSO, table);
    expect(error.code).toBe('COHORT_INVALID');
    expect(error.problems.map(where)).toEqual([
      [5, 'f1', 'is not a number'],
      [6, 'f2', 'is not a number (a missing value? list its text under "missing" in cohort.yaml)'],
      [7, 'sex', 'is none of the levels F, M; map local values under "values" in cohort.yaml'],
      [7, 'f3', 'is not a number (a spreadsheet error)'],
      [8, 'mvi', 'is none of the levels 0, 1; map local values under "values" in cohort.yaml'],
    ]);
    expect(JSON.stringify(error)).not.toContain('high');
  });

  it('a case that stands twice, a column that is missing, a site without rows', () => {
    const twice = failureOf(
      LASSO,
      edited((row, index) => (index === 7 ? { id: rows[2]!['id']! } : row)),
    );
    expect(twice.problems.map(where)).toEqual([[9, 'id', 'the id of row 4 stands here again']]);
    const missing = failureOf(
      LASSO,
      rows.map(({ f4: _left, ...row }) => row as Row),
    );
    expect(missing.problems.map(({ column }) => column)).toEqual(['f4']);
    expect(missing.problems[0]!.message).toContain('the table has no column "f4"');
    const absent = failureOf(LASSO, edited(at('cedar', null)));
    expect(absent.problems.map(({ message }) => message)).toEqual(['the table has no row of site "cedar"']);
  });

  it('values beyond 2^128, and what ComBat cannot fit', () => {
    expect(
      failureOf(
        LASSO,
        edited(() => ({ f3: '1e300' })),
      ).code,
    ).toBe('COHORT_VALUE_OUT_OF_RANGE');
    expect(failureOf(LASSO, edited(at('cedar', { f2: '' }))).message).toBe(
      'feature "f2" has no value in batch "cedar" of fit combat:all',
    );
    expect(
      failureOf(
        LASSO,
        edited(() => ({ sex: 'M' })),
      ).code,
    ).toBe('COHORT_COVARIATE_CONFOUNDED');
  });
});

describe('a site below the minimum cohort sits out and is named', () => {
  const small = { 'one patient': 1, 'nine patients': 9 };
  for (const [label, study] of Object.entries(STUDIES))
    for (const [size, n] of Object.entries(small))
      it(`${label}: ${size} at a training site, others as if it were not there`, () => {
        const result = run(study, edited(first('cedar', n)));
        const cedar = result.sites.find(({ name }) => name === 'cedar')!;
        const count = n < 5 ? { suppressed: true } : n;
        expect(cedar).toMatchObject({ role: 'excluded', n: 0 });
        expect(cedar.exclusions).toContainEqual({ reason: 'cohort below the minimum', count });
        // Other values of those patients change nothing: they are in no sum.
        const other = run(
          study,
          edited((row, index) => {
            const kept = first('cedar', n)(row);
            return kept !== null && row['hospital'] === 'cedar'
              ? { f1: String(index), f2: '7', age: '33', mvi: '1', died: '1' }
              : kept;
          }),
        );
        expect(other.model).toEqual(result.model);
        // Nobody is left to hold out there: the fold is in the result, without a number.
        const fold = result.validation.folds.find(({ name }) => name === 'without-cedar')!;
        expect(fold.sites['cedar']!['auc'] ?? fold.sites['cedar']!['cIndex'] ?? null).toBeNull();
      });

  it('an external site, several sites, and the ten patients that are enough', () => {
    const external = run(LASSO, edited(first('elm', 1)));
    expect(external.sites.find(({ name }) => name === 'elm')!.role).toBe('excluded');
    const two = run(
      PLAIN,
      edited((row) => first('cedar', 4)(row) && first('birch', 9)(row)),
    );
    expect(two.sites.filter(({ role }) => role === 'excluded').map(({ name }) => name)).toEqual(['birch', 'cedar']);
    expect(two.model.converged).toBe(true);
    expect(run(LASSO, edited(first('cedar', 10))).sites.every(({ role }) => role !== 'excluded')).toBe(true);
  });

  it('hides nobody: the guard does not count it among those who share a total', () => {
    const three = studyOf({
      sites: '{training: [alder, birch, cedar]}',
      harmonization: '{method: none}',
      model: '{type: logistic, lambda: 0}',
      validation: '{folds: 0}',
      privacy: '{minimumCohort: 10, minSites: 3}',
    });
    expect(simulated(three, rows, { guard: true }).run.request).toBeNull();
    try {
      simulated(three, edited(first('cedar', 9)), { guard: true });
      expect.fail('totals over two sites were released');
    } catch (error) {
      expect((error as ConcordatError).code).toBe('POLICY_GUARD_ISOLATES');
      expect((error as ConcordatError).message).toContain('alder and birch');
    }
    // Leave-one-site-out over four sites of which one sits out: everyone who is there has agreed.
    expect(simulated(PLAIN, edited(first('cedar', 9)), { guard: true }).run.request).toBeNull();
  });

  it('with nobody left to train the study ends with an error that says so, whatever the model', () => {
    const nobody = edited((row) => (row['hospital'] === 'elm' ? {} : first(row['hospital']!, 2)(row)));
    for (const study of [LASSO, PLAIN]) {
      const error = failureOf(study, nobody);
      expect(error.code).toBe('STUDY_NO_TRAINING_PATIENTS');
      expect(error.message).toContain('no training site has 10 usable cases');
      expect(error.hint).toContain('minimumCohort');
    }
  });
});

describe('odd cohorts go through, and the result says what is odd', () => {
  for (const [label, study] of Object.entries(STUDIES)) {
    it(`${label}: one outcome class at a training site and at the external site`, () => {
      for (const site of ['cedar', 'elm']) {
        const result = run(study, edited(at(site, { mvi: '0', died: '0' })));
        const name = site === 'elm' ? 'external' : 'without-cedar';
        const index = result.validation.folds.findIndex((fold) => fold.name === name);
        const metric = study === COX ? 'cIndex' : 'auc';
        expect(result.validation.folds[index]!.sites[site]![metric]).toBeNull();
        expect(result.notes).toContainEqual({
          path: `/validation/folds/${index}/sites/${site}/${metric}`,
          reason: 'not estimable: fewer than 5 patients of a class',
        });
      }
    });

    it(`${label}: nobody has the event anywhere`, () => {
      const result = run(
        study,
        edited(() => ({ mvi: '0', died: '0' })),
      );
      if (study !== MLP) expect(result.model.notes.join()).toContain('no model was fitted: no patient has the event');
    });

    it(`${label}: a feature that never varies, everywhere and at one site`, () => {
      const everywhere = run(
        study,
        edited(() => ({ f2: '3' })),
      );
      const coefficient = everywhere.model.coefficients.find(({ feature }) => feature === 'f2');
      if (study !== MLP) expect(['aliased', 'zero']).toContain(coefficient!.status);
      expect(run(study, edited(at('cedar', { f2: '3' }))).model.n).toBeGreaterThan(150);
    });
  }

  it('separation: the coefficients without a finite estimate are named, the others are numbers', () => {
    const separated = edited((row) => ({ f1: String(Number(row['age']) + (row['mvi'] === '1' ? 100 : -100)) }));
    const { model, notes } = run(PLAIN, separated);
    const infinite = model.coefficients.filter(({ status }) => status === 'infinite').map(({ feature }) => feature);
    expect(infinite).toContain('f1');
    expect(model.converged).toBe(false);
    expect(model.notes.join()).toContain('no maximum likelihood estimate exists');
    for (const [index, { status, value }] of model.coefficients.entries())
      if (status === 'infinite') {
        expect(notes.map(({ path }) => path)).toContain(`/model/coefficients/${index}/value`);
        expect(value).toBeNull();
      } else expect(value).not.toBeNull();
    // The value is null; to which side it runs is beside it, in every fold.
    const signOf = (list: Coefficients) => list.find(({ feature }) => feature === 'f1')!.sign;
    expect(signOf(model.coefficients)).toBe(1);
    expect(Object.values(model.folds).map(({ coefficients }) => signOf(coefficients))).toEqual([1, 1, 1, 1]);
    for (const { status, sign } of model.coefficients) expect(sign !== undefined).toBe(status === 'infinite');
    const mirrored = edited((row) => ({ f1: String(Number(row['age']) - (row['mvi'] === '1' ? 100 : -100)) }));
    expect(signOf(run(PLAIN, mirrored).model.coefficients)).toBe(-1);
    // A penalty makes it estimable.
    expect(run(LASSO, separated).model.converged).toBe(true);
  });

  it('a feature that repeats another is named as aliased; one that nobody measured has no coefficient', () => {
    const repeated = run(
      PLAIN,
      edited((row) => ({ f2: row['f1']! })),
    );
    expect(repeated.model.coefficients.find(({ feature }) => feature === 'f2')!.status).toBe('aliased');
    const unmeasured = run(
      PLAIN,
      edited(() => ({ f2: '' })),
    );
    expect(unmeasured.model.coefficients.find(({ feature }) => feature === 'f2')!.status).toBe('aliased');
    expect(run(PLAIN, edited(at('cedar', { f2: '' }))).model.converged).toBe(true);
  });
});
