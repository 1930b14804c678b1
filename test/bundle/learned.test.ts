import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bundleDigest } from '../../shared/bundle/bundle.js';
import { learnedIn, learnedYaml, originProblems } from '../../shared/bundle/learned.js';
import type { ConcordatError } from '../../shared/errors.js';
import { type Imaging, imagingSchema } from '../../shared/imaging.js';
import { habitatsDigest, landmarksDigest } from '../../shared/imaging-learned.js';
import { studyHash } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { bundleFiles, consortiumPublicKey, study } from './bundle-folder.js';

const phases = { arterial: [0, 11.1, 21.3, 31, 41, 51.000000000000007, 61, 71, 81, 91, 100] };
const habitatValues = {
  phase: 'arterial',
  range: [0, 200] as [number, number],
  radiusMm: 3,
  bins: 32,
  centroids: [
    [61.25, 2.1],
    [130, 3.4],
  ] as [number, number][],
  standardized: null,
};
const learned = {
  standardize: {
    within: 'organ' as const,
    phases,
    from: { study: studyHash(study), result: landmarksDigest({ within: 'organ', phases }) },
  },
  habitats: { ...habitatValues, from: { study: studyHash(study), result: habitatsDigest(habitatValues) } },
};
const result = { study: { name: study.name, hash: studyHash(study) }, learned };
const files = bundleFiles({ result });
const digest = bundleDigest(files.get('bundle.json')!);
const own = learnedIn(files);
const imagingOf = (sections: Record<string, unknown>): Imaging =>
  imagingSchema.parse({ phases: ['arterial'], ...sections });
const problemsOf = (sections: Record<string, unknown>, at = new Map([[digest, files]]), key = consortiumPublicKey) =>
  originProblems(imagingOf(sections), (wanted) => at.get(wanted) ?? null, key).join('\n');

describe('what a study takes over from an earlier one', () => {
  it('is printed so that YAML gives the same bits back, with study, bundle and digest', () => {
    const back = parse(learnedYaml(own));
    expect(back).toEqual({ standardize: own.standardize, habitats: own.habitats });
    expect(back.standardize.from).toEqual({ ...learned.standardize.from, bundle: digest });
  });

  it('is taken where the countersigned bundle has it', () => {
    expect(problemsOf({})).toBe('');
    expect(problemsOf({ standardize: own.standardize })).toBe('');
    expect(problemsOf({ habitats: own.habitats })).toBe('');
  });

  it('is refused without a bundle, with one that is not there, or that its sites did not sign', () => {
    const { standardize } = own;
    expect(problemsOf({ standardize: learned.standardize })).toMatch(/standardize .*names no bundle/);
    expect(problemsOf({ standardize }, new Map())).toMatch(/has published no bundle/);
    const unsigned = bundleFiles({ result, signers: ['alder'] });
    expect(problemsOf({ standardize }, new Map([[digest, unsigned]]))).toMatch(/not what its sites signed \(1 good/);
    const other = bundleFiles({ result: { ...result, seed: 1 } });
    expect(problemsOf({ standardize }, new Map([[digest, other]]))).toMatch(/is another one/);
    const stranger = Uint8Array.from(consortiumPublicKey).fill(7);
    expect(problemsOf({ standardize }, undefined, stranger)).toMatch(/roster is not signed by the consortium/);
  });

  it('is refused where the bundle has other values, none, or is of another study', () => {
    const changed = { arterial: phases.arterial.with(3, 31.000000001) };
    const from = { ...own.standardize!.from, result: landmarksDigest({ within: 'organ', phases: changed }) };
    expect(problemsOf({ standardize: { within: 'organ', phases: changed, from } })).toMatch(/published other values/);
    const centroids = [habitatValues.centroids[0], [131, 3.4]];
    expect(problemsOf({ habitats: { ...own.habitats, centroids } })).toMatch(/habitats .*published other values/);
    const foreign = { ...own.standardize, from: { ...own.standardize!.from, study: 'a'.repeat(64) } };
    expect(problemsOf({ standardize: foreign })).toMatch(/that of another study/);
    const none = bundleFiles({ result: { study: result.study } });
    const bundle = bundleDigest(none.get('bundle.json')!);
    const named = { ...own.standardize, from: { ...own.standardize!.from, bundle } };
    expect(problemsOf({ standardize: named }, new Map([[bundle, none]]))).toMatch(/learned nothing of the kind/);
  });

  it('is refused, and no more, where a signed result has a section of another form', () => {
    const strange = bundleFiles({ result: { ...result, learned: { standardize: { within: 'lungs' } } } });
    const bundle = bundleDigest(strange.get('bundle.json')!);
    const named = { ...own.standardize, from: { ...own.standardize!.from, bundle } };
    expect(problemsOf({ standardize: named }, new Map([[bundle, strange]]))).toMatch(/result\.json is not the result/);
  });

  it('a bundle whose result is of another study is none', () => {
    const wrong = bundleFiles({ result: { study: { name: 'x', hash: 'b'.repeat(64) }, learned } });
    expect(() => learnedIn(wrong)).toThrow(expect.objectContaining({ code: 'BUNDLE_UNREADABLE' }));
  });
});

describe('a study that would use what it learns itself', () => {
  const told = (imaging: string, features = '"arterial_*"'): string => {
    try {
      parseStudy(
        `concordat: 1
name: at-once
cohort: {endpoint: {type: binary, column: mvi}, features: [${features}]}
sites: {training: [alder, birch, cedar]}
model: {type: logistic, lambda: 0}
imaging:
  phases: [arterial]
${imaging}`,
        'study.yaml',
      );
    } catch (error) {
      return (error as ConcordatError).problems.map(({ message }) => message).join('\n');
    }
    return '';
  };
  const learn = '  learn: {habitats: {phase: arterial, range: [0, 200]}}';
  const inTwo = /one study learns .*another .*run the one that learns first.*`concordat model learned BUNDLE`/;

  it('is refused, and told how to do it in two', () => {
    expect(told(learn)).toBe('');
    expect(told(learn, 'arterial_habitat1_original_firstorder_Mean')).toMatch(inTwo);
    expect(told(learn, '"arterial_habitat*"')).toMatch(inTwo);
    expect(told(`${learn}\n  habitats: ${JSON.stringify(own.habitats)}`)).toMatch(inTwo);
    expect(told(`  learn: {landmarks: {}}\n  standardize: ${JSON.stringify(own.standardize)}`)).toMatch(inTwo);
  });
});
