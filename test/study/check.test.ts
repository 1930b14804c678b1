import { describe, expect, it } from 'vitest';
import { studyCheckText } from '../../cli/format-site.js';
import { planStudy } from '../../shared/plan.js';
import type { Study } from '../../shared/study.js';
import { checkStudyPlan } from '../../shared/study-check.js';
import { parseStudy } from '../../shared/study-parse.js';
import { previewLeaves } from '../../site-agent/preview.js';
import { simulateCohort } from '../support/simulated-cohort.js';

const demo = parseStudy(simulateCohort(1).studyYaml.replace('"original_*"', 'f1, f2, f3, f4'), 'study.yaml');
const TRAINING = ['alder', 'birch', 'cedar', 'dogwood'];

function check(study: Study, counts: Record<string, number[]> | null = null) {
  return checkStudyPlan(
    previewLeaves(planStudy(study)).flatMap(({ rounds }) => [...rounds]),
    study,
    counts,
  );
}

function changed(change: { privacy?: Partial<Study['privacy']>; validation?: Partial<Study['validation']> }): Study {
  return {
    ...demo,
    privacy: { ...demo.privacy, ...change.privacy },
    validation: { ...demo.validation, ...change.validation },
  };
}

describe('study check', () => {
  it('finds that leave-one-site-out shows every training site, and that the demo declares it', () => {
    const result = check(demo);
    expect(result.ok).toBe(true);
    const byTotals = result.isolated.filter(({ byDesign }) => !byDesign);
    expect(byTotals.map(({ sites, declared }) => [sites, declared])).toEqual(TRAINING.map((site) => [[site], true]));
    const onPurpose = result.isolated.filter(({ byDesign }) => byDesign);
    expect(onPurpose.map(({ sites }) => sites)).toEqual([...TRAINING, 'elm'].map((site) => [site]));
    expect(onPurpose.flatMap(({ kinds }) => kinds).every((kind) => /^(validate|describe)\./.test(kind))).toBe(true);
    // Four features, sex, age and the intercept: 8 cases in each of four cells, but minimumCohort wants 10.
    expect(result.isolated[0]!.casesNeeded).toBe(40);
    expect(studyCheckText(result)).toContain('declared');
  });

  it('names who has not declared it', () => {
    const result = check(changed({ privacy: { showAggregate: ['alder', 'birch'] } }));
    expect(result.ok).toBe(false);
    expect(result.isolated.flatMap(({ undeclared }) => undeclared)).toEqual(['cedar', 'dogwood']);
    expect(studyCheckText(result)).toContain('NOT DECLARED by cedar');
  });

  it('counts moment columns into the cases that a site needs', () => {
    const wide: Study = {
      ...demo,
      cohort: { ...demo.cohort, features: Array.from({ length: 30 }, (_, at) => `f${at}`) },
    };
    // 30 features, sex, age, intercept: more than 33 cases in a cell, four cells.
    expect(check(wide).isolated[0]!.casesNeeded).toBe(34 * 4);
    expect(check({ ...wide, validation: { ...wide.validation, folds: 2 } }).isolated[0]!.casesNeeded).toBe(34 * 2);
  });

  it('with counts, says whose guard would refuse', () => {
    const counts = Object.fromEntries([...TRAINING, 'elm'].map((site) => [site, [30, 30, 30, 30]]));
    expect(check(demo, counts).ok).toBe(true);
    const result = check(demo, { ...counts, cedar: [30, 30, 30, 9] });
    expect(result.ok).toBe(false);
    expect(result.isolated.flatMap(({ tooFew }) => tooFew)).toEqual(['cedar']);
    expect(studyCheckText(result)).toContain('TOO FEW');
  });

  it('finds nothing where nobody is left out, and pairs where pairs are', () => {
    const byTotals = (study: Study) => check(study).isolated.filter(({ byDesign }) => !byDesign);
    expect(byTotals(changed({ validation: { leaveOneSiteOut: false } }))).toEqual([]);
    const pairs = byTotals(changed({ validation: { leaveOneSiteOut: false, leaveOut: [['alder', 'birch']] } }));
    // The two that are left fill their own tensors alone, and what they lack of everyone is the two that were left out.
    expect(pairs.map(({ sites }) => sites)).toEqual([
      ['alder', 'birch'],
      ['cedar', 'dogwood'],
    ]);
  });
});
