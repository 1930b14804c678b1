import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../shared/did-you-mean.js';
import { ConcordatError } from '../../shared/errors.js';
import { type Study, studyHash } from '../../shared/study.js';
import { hasPatterns, parseStudy, resolveFeatures } from '../../shared/study-parse.js';

const MINIMAL = `concordat: 1
name: small
cohort:
  endpoint: {type: binary, column: mvi}
  features: [f1]
sites: {training: [alder, birch, cedar]}
model: {type: logistic}
`;

function failure(text: string): ConcordatError {
  try {
    parseStudy(text, 'study.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(ConcordatError);
    return error as ConcordatError;
  }
  throw new Error('the study was accepted');
}

const messages = (text: string) =>
  failure(text).problems.map(({ row, column, message }) => `${row}:${column} ${message}`);

describe('a study document', () => {
  it('is read with every default written out', () => {
    const study = parseStudy(MINIMAL, 'study.yaml');
    expect(study.harmonization).toEqual({
      method: 'none',
      mode: 'converged',
      covariates: [],
      heldOut: 'calibration',
      calibrationCases: 20,
    });
    expect(study.privacy.minSites).toBe(3);
    expect(study.onMissingSite).toBe('wait');
  });

  it('has one hash whatever the order and spelling of its fields, and another for another content', () => {
    const reordered = `name: small\nmodel: {type: logistic, alpha: 1.0}\nsites:\n  training:\n    - alder\n    - birch\n    - cedar\ncohort: {features: [f1], endpoint: {column: mvi, type: binary}}\nconcordat: 1\nseed: 1\n`;
    const hash = studyHash(parseStudy(MINIMAL, 'a'));
    expect(studyHash(parseStudy(reordered, 'b'))).toBe(hash);
    expect(studyHash(parseStudy(`${MINIMAL}seed: 2\n`, 'c'))).not.toBe(hash);
  });

  it('that is no YAML is unreadable, with the place', () => {
    const error = failure('name: [a, b\nmodel: x\n');
    expect(error.code).toBe('STUDY_UNREADABLE');
    expect(error.problems[0]!.row).toBeGreaterThan(0);
    expect(failure('just text').code).toBe('STUDY_UNREADABLE');
    expect(failure('').code).toBe('STUDY_UNREADABLE');
    expect(failure('name: a\nname: b\n').problems[0]!.message).toContain('unique');
    expect(failure(`x: ${'y'.repeat(1_000_001)}`).problems[0]!.message).toContain('larger');
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
      .split('')
      .map((key, at) => `${key}: &${key} [${`*${'abcdefghij'[at]},`.repeat(9).slice(0, -1)}]`)
      .join('\n')}`;
    expect(failure(bomb).code).toBe('STUDY_UNREADABLE');
  });

  it('names unknown fields with the nearest known one, at their own place', () => {
    const text = MINIMAL.replace('type: logistic}', 'type: logistic, alfa: 1}').replace('sites:', 'quorun: 2\nsites:');
    expect(messages(text)).toEqual([
      '6:1 unknown field "quorun"; did you mean "quorum"?',
      '8:25 unknown field "alfa" in model; did you mean "alpha"?',
    ]);
    expect(messages(MINIMAL.replace('column: mvi}', 'columns: mvi}'))).toEqual([
      '4:3 cohort.endpoint.column is missing',
      '4:28 unknown field "columns" in cohort.endpoint; did you mean "column"?',
    ]);
    expect(messages(`${MINIMAL}zzzzzz: 1\n`)).toEqual(['8:1 unknown field "zzzzzz"']);
  });

  it('lists wrong types and ranges together', () => {
    const text = `${MINIMAL}seed: -1
harmonization: {method: kombat, covariates: sex}
validation: {folds: 2.5, threshold: 1.5, leaveOneSiteOut: yes}
privacy: {minimumCount: "five", showAggregate: [1]}
onMissingSite:
`;
    expect(messages(text)).toEqual([
      '8:1 seed must be at least 0',
      '9:17 harmonization.method must be one of "none", "zscore", "combat"; did you mean "combat"?',
      '9:33 harmonization.covariates must be a list, not text',
      '10:14 validation.folds must be a whole number, not a number',
      '10:26 validation.threshold must be below 1',
      '10:42 validation.leaveOneSiteOut must be true or false, not text',
      '11:11 privacy.minimumCount must be a number, not text',
      '11:49 privacy.showAggregate[1] must be text, not a whole number',
      '12:1 onMissingSite must be one of "wait", "continue"',
    ]);
    expect(messages(MINIMAL.replace('logistic', 'logistik'))).toEqual([
      '7:9 model.type must be one of "logistic", "cox", "mlp"; did you mean "logistic"?',
    ]);
  });

  it.each<[string, (text: string) => string, string]>([
    ['few sites', (t) => t.replace(', cedar', ''), 'secure aggregation needs at least 3 sites'],
    ['a site twice', (t) => t.replace('cedar]', 'alder]'), 'site "alder" is listed twice'],
    [
      'training and external',
      (t) => t.replace('cedar]', 'cedar], external: [cedar]'),
      'cannot train the model and be external',
    ],
    ['quorum', (t) => `${t}quorum: 4\n`, 'a quorum of 4 cannot be reached by 3 sites'],
    [
      'minimumCohort',
      (t) => `${t}privacy: {minimumCohort: 4}\n`,
      'minimumCohort is 4, but fewer than minimumCount (5) patients are never shown',
    ],
    ['minSites', (t) => `${t}privacy: {minSites: 9}\n`, 'minSites is 9, but the study has 3 sites'],
    [
      'showAggregate',
      (t) => `${t}privacy: {showAggregate: [aldr]}\n`,
      '"aldr" is not a site of the study; did you mean "alder"?',
    ],
    ['survival model', (t) => t.replace('logistic', 'cox'), 'a cox model needs a survival endpoint'],
    [
      'binary model',
      (t) => t.replace('{type: binary, column: mvi}', '{type: survival, time: t, event: e}'),
      'a logistic model needs a binary endpoint',
    ],
    [
      'covariates',
      (t) => `${t}harmonization: {method: combat, covariates: [sex]}\n`,
      '"sex" is not among cohort.covariates',
    ],
    ['leaveOut', (t) => `${t}validation: {leaveOut: [[elm]]}\n`, '"elm" is not a training site'],
    ['leave out all', (t) => `${t}validation: {leaveOut: [[alder, birch, cedar]]}\n`, 'nobody would be left'],
    ['leave out twice', (t) => `${t}validation: {leaveOneSiteOut: true, leaveOut: [[alder]]}\n`, 'left out twice'],
    ['model names', (t) => `${t}comparators: [{type: logistic}]\n`, 'two models are called "logistic"'],
    ['reserved name', (t) => t.replace('logistic}', 'logistic, name: combat}'), 'a computation has that name'],
    ['arms', (t) => `${t}validation: {arms: [zscore]}\n`, '"none" must be among the arms'],
    ['one fold', (t) => `${t}validation: {folds: 1}\n`, 'one fold holds out everyone'],
    ['cv without folds', (t) => `${t}validation: {folds: 0}\n`, 'lambda by cross-validation needs'],
    ['acceptance', (t) => `${t}acceptance: [{metric: auc, where: external, minimum: 0.7}]\n`, 'no external site'],
    ['outcome as feature', (t) => t.replace('[f1]', '[f1, mvi]'), 'column "mvi" cannot be both outcome and feature'],
    [
      'two roles',
      (t) => t.replace('features: [f1]', 'features: [f1]\n  covariates: [{column: mvi}]'),
      'cannot be both outcome and covariate',
    ],
    [
      'equal split',
      (t) => t.replace('features: [f1]', 'features: [f1]\n  split: {column: s, train: a, test: a}'),
      'must be different',
    ],
    [
      'levels',
      (t) => t.replace('features: [f1]', 'features: [f1]\n  covariates: [{column: sex, levels: [F, F]}]'),
      'has a level twice',
    ],
  ])('refuses fields that contradict each other: %s', (_, change, expected) => {
    expect(() => parseStudy(MINIMAL, 'study.yaml')).not.toThrow();
    const found = failure(change(MINIMAL));
    expect(found.code).toBe('STUDY_INVALID');
    expect(found.problems.map(({ message }) => message).join('\n')).toContain(expected);
    expect(found.problems[0]!.row).toBeGreaterThan(0);
  });
});

describe('feature patterns', () => {
  const study = (features: string[]): Study => {
    const base = parseStudy(MINIMAL, 'study.yaml');
    return {
      ...base,
      cohort: { ...base.cohort, features, covariates: [{ column: 'f_age' }], fold: 'f_fold', batch: 'f_scanner' },
    };
  };
  const header = ['f_id', 'f_age', 'f_b', 'mvi', 'f_a', 'f_fold', 'g_1', 'f_scanner', 'xfy'];

  it('become names in the order of the header, without columns of another role', () => {
    expect(resolveFeatures(study(['f_*']), header, ['f_id']).cohort.features).toEqual(['f_b', 'f_a']);
    expect(resolveFeatures(study(['g*', 'f_a']), header).cohort.features).toEqual(['f_a', 'g_1']);
    expect(resolveFeatures(study(['*']), header, ['f_id']).cohort.features).toEqual(['f_b', 'f_a', 'g_1', 'xfy']);
    expect(resolveFeatures(study(['*f*y']), header).cohort.features).toEqual(['xfy']);
    expect(hasPatterns(study(['f_*']))).toBe(true);
  });

  it('names without a pattern keep the study order, so the hash does not depend on a table', () => {
    const named = study(['g_1', 'f_a']);
    expect(resolveFeatures(named, header)).toEqual(named);
  });

  it('that match nothing are all named', () => {
    try {
      resolveFeatures(study(['h*', 'f_a', 'f_aa']), header);
      expect.unreachable();
    } catch (error) {
      expect((error as ConcordatError).code).toBe('STUDY_INVALID');
      expect((error as ConcordatError).problems.map(({ message }) => message)).toEqual([
        'the feature pattern "h*" matches no column of the table',
        'the table has no feature column "f_aa"; did you mean "f_a"?',
      ]);
    }
  });

  it('cannot be made slow', () => {
    const pattern = `${'*a'.repeat(100)}*b`;
    const started = performance.now();
    expect(() => resolveFeatures(study([pattern]), ['a'.repeat(5000)])).toThrow();
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('did you mean', () => {
  it('counts insertions, deletions, replacements and swaps of neighbours', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('flods', 'folds')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
    expect(editDistance('same', 'same')).toBe(0);
  });
  it('says nothing when nothing is near', () => {
    expect(nearest('combat', ['none', 'zscore'])).toBeUndefined();
    expect(nearest('treshold', ['threshold', 'folds'])).toBe('threshold');
  });
});
