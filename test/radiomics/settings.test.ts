import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { studyHash } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { readStudyDocument, studyDocument } from '../../shared/study-signatures.js';
import { defaultSettings, inPython, parseSettings } from '../../site-agent/radiomics/settings.js';
import { canonicalSettings, differingSettings, settingsDigest } from '../../site-agent/radiomics/settings-digest.js';
import { studyExtraction } from '../../site-agent/radiomics/study-extraction.js';

const parse = (text: string) => parseSettings(text, 'params.yaml');

/** PyRadiomics' example for MRI with 3 mm slices, as it is published. */
const EXAMPLE_MR = `
setting:
  normalize: true
  normalizeScale: 100
  interpolator: 'sitkBSpline'
  resampledPixelSpacing: [2, 2, 2]
  binWidth: 5
  voxelArrayShift: 300
  label: 1
imageType:
  Original: {}
  LoG:
    sigma: [2.0, 3, 4.5]
    binWidth: 1.5
  Wavelet: {}
featureClass:
  shape:
  glcm: # a list leaves out the others
    - 'Contrast'
    - 'Autocorrelation'
  firstorder: []
`;

function problemsOf(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ConcordatError);
    expect((error as ConcordatError).code).toBe('IMAGE_SETTINGS_INVALID');
    return (error as ConcordatError).problems.map((problem) => problem.message);
  }
  return [];
}

describe('a PyRadiomics parameter file', () => {
  it('works as it is: order of the file, defaults, settings of one image type over those of all', () => {
    const { settings, notes } = parse(EXAMPLE_MR);
    expect(notes).toEqual([]);
    expect(settings.preprocessing).toMatchObject({
      normalize: true,
      normalizeScale: 100,
      resampledPixelSpacing: [2, 2, 2],
      interpolator: 'sitkBSpline',
      padDistance: 5,
      minimumROIDimensions: 2,
    });
    expect(settings.imageTypes.map(({ type, classes }) => [type, classes.binWidth])).toEqual([
      ['Original', 5],
      ['LoG', 1.5],
      ['Wavelet', 5],
    ]);
    expect(settings.imageTypes[1]!.filter.sigmaNames).toEqual(['2.0', '3', '4.5']);
    expect(settings.imageTypes[2]!.classes.voxelArrayShift).toBe(300);
    expect(settings.featureClasses.map(({ name }) => name)).toEqual(['shape', 'glcm', 'firstorder']);
    expect(settings.featureClasses[1]!.features).toEqual(['Contrast', 'Autocorrelation']);
    expect(settings.featureClasses[2]!.features).toHaveLength(18);
  });

  it('with nothing in it means the defaults', () => {
    const { settings } = parse('');
    expect(settings.imageTypes.map(({ type }) => type)).toEqual(['Original']);
    expect(settings.featureClasses.map(({ name }) => name)).toContain('shape2D');
    expect(defaultSettings().featureClasses.map(({ name }) => name)).not.toContain('shape2D');
    expect(settings.preprocessing).toEqual(defaultSettings().preprocessing);
  });

  it('takes empty values as not given, SimpleITK’s numbers of interpolators, and an empty interpolator as no resampling', () => {
    const { settings, notes } = parse(
      'setting: {binCount: , weightingNorm: null, interpolator: 2}\nimageType: {Original: }',
    );
    expect(settings.preprocessing.interpolator).toBe('sitkLinear');
    expect(settings.imageTypes[0]!.classes).toMatchObject({ binCount: null, weightingNorm: null });
    expect(notes).toEqual([]);
    const off = parse('setting: {resampledPixelSpacing: [1, 1, 1], interpolator: null}');
    expect(off.settings.preprocessing.interpolator).toBeNull();
    expect(off.notes).toEqual(['setting.resampledPixelSpacing has no effect: setting.interpolator is empty']);
  });

  it('says what has no effect, in PyRadiomics neither', () => {
    const { notes } = parse('imageType:\n  LoG: {padDistance: 3}\nfeatureClass: {glcm: [Dissimilarity, Contrast]}');
    expect(notes).toEqual([
      'imageType.LoG.padDistance has no effect: it is a setting of the whole extraction',
      'imageType.LoG has no sigma: it gives no features',
      'featureClass.glcm: Dissimilarity is deprecated in PyRadiomics and has no value there',
    ]);
  });

  it('is checked wholly: all problems at once, each naming its key and the nearest known one', () => {
    const problems = problemsOf(`
setting: {binwidth: 25, force2Ddimension: 3, interpolator: sitkBsplin, resegmentMode: relativ}
imageType: {LOG: {sigma: [1]}, Wavelet: {levle: 1}, Original: {label: 2}}
featureClass: {glcm: [Contrst], shapes: }
voxelSettings: {}
`);
    expect(problems).toEqual([
      'unknown field "binwidth" in setting; did you mean "binWidth"?',
      'setting.force2Ddimension must be at most 2',
      expect.stringMatching(
        /^setting\.interpolator is not accepted: the interpolator "sitkBsplin" is not supported.*; did you mean "sitkBSpline"\?$/,
      ),
      'setting.resegmentMode must be one of "absolute", "relative", "sigma"; did you mean "relative"?',
      'unknown field "LOG" in imageType; did you mean "LoG"?',
      'unknown field "levle" in imageType.Wavelet; did you mean "level"?',
      expect.stringMatching(/^featureClass\.glcm\[1\] must be one of .*; did you mean "Contrast"\?$/),
      'unknown field "shapes" in featureClass; did you mean "shape"?',
      'unknown field "voxelSettings"; did you mean "voxelSetting"?',
    ]);
    expect(problemsOf('setting: {resampledPixelSpacing: [1, 1], label_channel: 2}')).toHaveLength(2);
    expect(problemsOf('setting: [1')).toHaveLength(1);
    expect(problemsOf('imageType: {Wavelet: {wavelet: coif71}}')).toEqual([
      'imageType.Wavelet.wavelet is not accepted: no discrete wavelet is called "coif71"; did you mean "coif1"?',
    ]);
    expect(problemsOf('imageType: {Wavelet: {wavelet: morl}}')).toHaveLength(1);
  });

  it('names LoG images as Python writes the number', () => {
    expect(['1', '1.0', '1.50', '.5', '2e0'].map(inPython)).toEqual(['1', '1.0', '1.5', '0.5', '2.0']);
  });
});

describe('the settings’ digest', () => {
  const digestOf = (text: string): string => settingsDigest(canonicalSettings(parse(text).settings));

  it('is equal for files that compute the same, whatever their order and their written defaults', () => {
    expect(digestOf('setting: {binWidth: 25, label: 1}\nimageType: {Original: {}, Square: {}}')).toBe(
      digestOf('imageType: {Square: {level: 3}, Original: {binWidth: 25.0}}\nsetting: {additionalInfo: false}'),
    );
    expect(digestOf('')).not.toBe(digestOf('setting: {binWidth: 24}'));
    expect(settingsDigest(canonicalSettings(parse('').settings, 'ibsi'))).not.toBe(digestOf(''));
  });

  it('that differs is explained by the settings that differ', () => {
    const canonical = (text: string) => canonicalSettings(parse(text).settings);
    const differences = differingSettings(
      canonical('imageType: {Original: {}, LoG: {sigma: [1, 2]}}'),
      canonical('imageType: {Original: {binWidth: 10}, Square: {}}\nsetting: {resampledPixelSpacing: [1, 1, 1]}'),
    );
    expect(differences.map(({ setting }) => setting)).toEqual([
      'imageType.LoG',
      'imageType.Original.binWidth',
      'imageType.Square',
      'preprocessing.resampledPixelSpacing',
    ]);
    expect(differences[1]).toEqual({ setting: 'imageType.Original.binWidth', here: '25', there: '10' });
    expect(differences[0]!.there).toBeNull();
    expect(differingSettings(canonical(''), canonical(''))).toEqual([]);
  });
});

describe('the settings of a study', () => {
  const studyOf = (settings: string) =>
    parseStudy(
      `concordat: 1
name: sigmas
cohort: {endpoint: {type: binary, column: mvi}, features: [f]}
imaging: {phases: [arterial], settings: ${settings}}
sites: {training: [alder, birch, cedar]}
model: {type: logistic}
`,
      'study.yaml',
    );
  const namesOf = (study: ReturnType<typeof studyOf>) => {
    const { settings } = studyExtraction(study.imaging!);
    return 'imageTypes' in settings ? settings.imageTypes.map(({ filter }) => [filter.sigma, filter.sigmaNames]) : [];
  };

  it('name LoG images as the same parameter file does, also once the study has travelled', () => {
    const LOG = '{imageType: {LoG: {sigma: [1.0, 1, 2.50, 3.]}}}';
    const study = studyOf(LOG);
    const expected = [
      [
        [1, 1, 2.5, 3],
        ['1.0', '1', '2.5', '3.0'],
      ],
    ];
    expect(parse(LOG).settings.imageTypes.map(({ filter }) => [filter.sigma, filter.sigmaNames])).toEqual(expected);
    expect(namesOf(study)).toEqual(expected);
    const received = readStudyDocument(studyDocument(study), studyHash(study));
    expect(namesOf(received)).toEqual(expected);
    expect(studyHash(studyOf('{imageType: {LoG: {sigma: [1]}}}'))).not.toBe(
      studyHash(studyOf('{imageType: {LoG: {sigma: [1.0]}}}')),
    );
    // What every image type takes, and what stands elsewhere and is no sigma.
    expect(namesOf(studyOf('{setting: {sigma: [4.0], binWidth: 25.0}, imageType: {LoG: {}}}'))).toEqual([
      [[4], ['4.0']],
    ]);
    expect(() => namesOf(studyOf('{imageType: {LoG: {sigma: [wide]}}}'))).toThrow(/sigma/);
  });
});
