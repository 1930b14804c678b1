import { describe, expect, it } from 'vitest';
import { type Extraction, extract, type Source } from '../../site-agent/radiomics/extract.js';
import { featureCsv, featureJson, featureRow } from '../../site-agent/radiomics/feature-table.js';
import { filterUnits } from '../../site-agent/radiomics/filter-units.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { radiomicsFolder, testGrid, testVolume } from '../support/images.js';
import { readGolden, readGoldenCase } from '../support/radiomics.js';

const root = radiomicsFolder();
const run = (source: Source, params: string): Extraction =>
  extract(source, parseSettings(params, 'params.yaml').settings);

/** A small textured image with a region of two labels. */
function textured(): Source {
  const grid = testGrid([12, 11, 10], { spacingMm: [1, 1.5, 2] });
  const radius = (x: number, y: number, z: number) => Math.hypot(x - 5, y - 5, z - 4.5);
  return {
    image: testVolume(grid, Int16Array, (x, y, z) => ((x * 37 + y * 91 + z * 53) % 97) + 10 * x),
    mask: testVolume(grid, Uint8Array, (x, y, z) => (radius(x, y, z) < 4 ? 1 : z === 9 ? 2 : 0)),
  };
}

describe.runIf(root !== null)('a golden extraction of PyRadiomics', () => {
  // 3D with bin count, weights and distances, one slice with filters, resampled and resegmented CT.
  it.each(['S03', 'S05', 'S06', 'S10', 'S16', 'S19', 'S20'])('%s: every feature by name, order and value', (id) => {
    const golden = readGolden(root!, id);
    const got = run(readGoldenCase(root!, golden.case), golden.paramsText);
    if (got.status !== 'ok') throw new Error(got.reason.message);
    expect([...got.features.keys()]).toEqual(Object.keys(golden.features));
    const off = Object.entries(golden.features).filter(([name, want]) => {
      const own = got.features.get(name)!.value;
      return !(Math.abs(own! - want!) <= 1e-6 * Math.abs(want!) + 1e-10);
    });
    expect(off.map(([name, want]) => `${name}: ${got.features.get(name)!.value} for ${want}`)).toEqual([]);
  });
});

describe('an extraction', () => {
  it('names features by image type, class and feature, in the order of the file', () => {
    const got = run(
      textured(),
      'imageType: {Square: {}, LoG: {sigma: [2, 3.0]}, Original: {}}\nfeatureClass: {ngtdm: [Strength, Busyness], shape: [MeshVolume], firstorder: [Mean]}',
    );
    expect(got.status === 'ok' && [...got.features.keys()]).toEqual([
      'original_shape_MeshVolume',
      ...['square', 'log-sigma-2-mm-3D', 'log-sigma-3-0-mm-3D', 'original'].flatMap((image) =>
        ['ngtdm_Strength', 'ngtdm_Busyness', 'firstorder_Mean'].map((feature) => `${image}_${feature}`),
      ),
    ]);
  });

  it('uses the settings of an image type for its features alone', () => {
    const params = 'imageType: {Original: {binWidth: 3}, Square: {}}\nfeatureClass: {firstorder: [Entropy]}';
    const both = run(textured(), params);
    const fine = run(
      textured(),
      'setting: {binWidth: 3}\nimageType: {Original: {}, Square: {}}\nfeatureClass: {firstorder: [Entropy]}',
    );
    if (both.status !== 'ok' || fine.status !== 'ok') throw new Error('no features');
    expect(both.features.get('original_firstorder_Entropy')).toEqual(fine.features.get('original_firstorder_Entropy'));
    expect(both.features.get('square_firstorder_Entropy')).not.toEqual(fine.features.get('square_firstorder_Entropy'));
  });

  it('says what it leaves out where PyRadiomics warns, and is a status where PyRadiomics stops', () => {
    const skipped = run(textured(), 'imageType: {LoG: {sigma: [40]}}\nfeatureClass: {shape2D: , firstorder: }');
    expect(skipped).toMatchObject({ status: 'ok', features: new Map() });
    expect(skipped.status === 'ok' && skipped.notes).toEqual([
      'shape2D needs force2D: true',
      expect.stringContaining('LoG with sigma 40 mm needs a larger image'),
    ]);
    expect(run(textured(), 'setting: {force2D: true}\nfeatureClass: {shape2D: }')).toMatchObject({
      status: 'failed',
      reason: { code: 'IMAGE_ROI_NOT_FLAT' },
    });
    expect(run(textured(), 'setting: {label: 9}')).toEqual({
      status: 'failed',
      reason: { code: 'IMAGE_MASK_EMPTY', message: 'the mask has no voxel with label 9; it has 1, 2' },
    });
  });

  it('gives shape2D of one slice', () => {
    const got = run(textured(), 'setting: {label: 2, force2D: true}\nfeatureClass: {shape2D: [PixelSurface]}');
    expect(got.status === 'ok' && got.features.get('original_shape2D_PixelSurface')!.value).toBeCloseTo(
      12 * 11 * 1.5,
      9,
    );
  });

  it('is done a scale of LoG at a time', () => {
    const { settings } = parseSettings('imageType: {Original: {}, LoG: {sigma: [1, 2.5]}, Wavelet: {}}', 'params.yaml');
    expect(filterUnits(settings).map(({ type, filter }) => [type, ...filter.sigmaNames])).toEqual([
      ['Original'],
      ['LoG', '1'],
      ['LoG', '2.5'],
      ['Wavelet'],
    ]);
  });
});

describe('a feature table', () => {
  const name = { case: 'a, "b"', phase: 'arterial', timepoint: '', label: 1, settingsDigest: 'd' };
  const rows = [
    featureRow(name, {
      status: 'ok',
      features: new Map([
        ['f1', { value: 0.1, code: 'ABCD' }],
        ['f2', { value: null, reason: 'one grey level' }],
        ['f3', { value: Number.POSITIVE_INFINITY }],
      ]),
      diagnostics: { 'Mask-original_VoxelNum': 7 },
      notes: [],
    }),
    featureRow(
      { ...name, case: 'c' },
      { status: 'failed', reason: { code: 'IMAGE_UNREADABLE', message: 'it ends early' } },
    ),
  ];

  it('as CSV has a column a feature, empty where there is no value', () => {
    expect(featureCsv(rows)).toBe(
      'case,phase,timepoint,label,status,reason,f1,f2,f3\n"a, ""b""",arterial,,1,ok,,0.1,,\nc,arterial,,1,failed,IMAGE_UNREADABLE: it ends early,,,\n',
    );
  });

  it('as JSON has values, IBSI codes and reasons', () => {
    expect(featureJson(rows)).toEqual([
      {
        case: 'a, "b"',
        phase: 'arterial',
        timepoint: '',
        label: 1,
        status: 'ok',
        features: {
          f1: { value: 0.1, code: 'ABCD' },
          f2: { value: null, reason: 'one grey level' },
          f3: { value: null },
        },
        diagnostics: { 'Mask-original_VoxelNum': 7 },
        settingsDigest: 'd',
      },
      {
        case: 'c',
        phase: 'arterial',
        timepoint: '',
        label: 1,
        status: 'failed',
        reason: { code: 'IMAGE_UNREADABLE', message: 'it ends early' },
        features: {},
        settingsDigest: 'd',
      },
    ]);
  });
});
