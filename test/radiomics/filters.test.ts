import { describe, expect, it } from 'vitest';
import { cropVolume } from '../../site-agent/imaging/crop.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Samples, Vec3, Volume } from '../../site-agent/imaging/volume.js';
import type { FilterSettings } from '../../site-agent/radiomics/filters/filter.js';
import { icosphere } from '../../site-agent/radiomics/filters/icosphere.js';
import { IMAGE_TYPE_FILTERS } from '../../site-agent/radiomics/filters/pyradiomics.js';
import { WAVELET_NAMES, waveletTaps } from '../../site-agent/radiomics/filters/wavelet-taps.js';
import { deviation, patternVolume, type Quoted } from '../support/pattern.js';
import { readJson, referenceFolder } from '../support/reference.js';

type ImageType = keyof typeof IMAGE_TYPE_FILTERS;
type Pixel = 'int16' | 'float32' | 'float64';

interface Case {
  readonly filter: ImageType;
  readonly size: Vec3;
  readonly spacingMm: Vec3;
  readonly pixel: Pixel;
  readonly settings: FilterSettings;
  readonly gives: readonly (Quoted & { readonly name: string; readonly pixel: Pixel })[];
}

const PIXELS = { int16: Int16Array, float32: Float32Array, float64: Float64Array };
const { cases } = readJson('test/vectors/filters.json') as { cases: Case[] };

function imageOf(c: Pick<Case, 'size' | 'pixel' | 'spacingMm'>): Volume {
  return patternVolume<Int16Array | Float32Array | Float64Array>(c.size, PIXELS[c.pixel], { spacingMm: c.spacingMm });
}

/** The ellipsoid in which LBP3D is computed. */
function roiIn(image: Volume) {
  const [nx, ny] = image.size;
  const isInside = (x: number, y: number, z: number) =>
    (x - 8) * (x - 8) + (y - 7) * (y - 7) + 2 * (z - 3) * (z - 3) < 30;
  const data = Uint8Array.from(image.data, (_, i) =>
    isInside(i % nx, Math.floor(i / nx) % ny, Math.floor(i / (nx * ny))) ? 1 : 0,
  );
  return roiOf({ ...image, data });
}

/**
 * Samples of at most 1e4: float64 to the rounding of sums and of other machines' log and exp, float32 and integers to the bit (sums of
 * them are quoted to float64 rounding).
 */
const TOLERANCE = 1e-11;

describe('PyRadiomics’ filters', () => {
  it.each(
    cases.map((c) => [`${c.filter} ${JSON.stringify(c.settings)} of ${c.pixel}, ${c.size.join(' × ')}`, c] as const),
  )('%s', (_, c) => {
    const image = imageOf(c);
    const got = [...IMAGE_TYPE_FILTERS[c.filter]({ image, roi: roiIn(image) }, c.settings)];
    expect(got.map(({ name }) => name)).toEqual(c.gives.map(({ name }) => name));
    for (const [k, quoted] of c.gives.entries()) {
      expect(got[k]!.volume.data.constructor, quoted.name).toBe(PIXELS[quoted.pixel]);
      expect(deviation(got[k]!.volume.data, quoted), quoted.name).toBeLessThan(TOLERANCE);
    }
  });

  it('cover every image type but the original in the cases above', () => {
    expect(new Set(cases.map((c) => c.filter))).toEqual(
      new Set(Object.keys(IMAGE_TYPE_FILTERS).filter((type) => type !== 'Original')),
    );
  });

  it('say why an image is left out', () => {
    const reasons: string[] = [];
    const skipped = (reason: string) => reasons.push(reason);
    const run = (size: Vec3, type: ImageType, settings: FilterSettings) =>
      [...IMAGE_TYPE_FILTERS[type]({ image: patternVolume(size, Int16Array), skipped }, settings)].map((g) => g.name);
    expect(run([3, 9, 9], 'LoG', { sigma: [1] })).toEqual([]);
    expect(run([6, 6, 6], 'LoG', { sigma: [5, 5.01, -1, 2], sigmaNames: ['5', '5.01', '-1.0', '2.0'] })).toEqual([
      'log-sigma-5-mm-3D',
      'log-sigma-2-0-mm-3D',
    ]);
    expect(run([6, 6, 6], 'LBP3D', {})).toEqual([]);
    expect(reasons).toHaveLength(4);
  });
});

describe('a deep level of the wavelet', () => {
  it('is the first level of the approximation before it, however far the levels reach around the image', () => {
    const size: Vec3 = [8, 6, 10];
    const region = { lower: [2, 1, 3], upper: [5, 4, 6] } as const;
    const settings: FilterSettings = { wavelet: 'coif1' };
    let image: Volume = patternVolume(size, Float64Array);
    const deep = [...IMAGE_TYPE_FILTERS.Wavelet({ image, region }, { ...settings, level: 12 })];
    expect(deep).toHaveLength(12 * 7 + 1);
    for (let level = 0; level < 12; level++) {
      const bands = [...IMAGE_TYPE_FILTERS.Wavelet({ image }, settings)];
      for (let k = 0; k < (level === 11 ? 8 : 7); k++)
        expect(deep[7 * level + k]!.volume.data, deep[7 * level + k]!.name).toEqual(
          cropVolume(bands[k]!.volume, region).data,
        );
      image = bands[7]!.volume;
    }
  });
});

describe('a filter on a part of the image', () => {
  const regions = [
    { lower: [0, 0, 0], upper: [4, 3, 2] },
    { lower: [5, 6, 2], upper: [11, 9, 6] },
    { lower: [16, 0, 8], upper: [16, 13, 8] },
  ] as const;
  const settings: FilterSettings = { sigma: [1, 2.5], level: 2, startLevel: 1, wavelet: 'db3' };

  it.each(Object.keys(IMAGE_TYPE_FILTERS) as ImageType[])('%s gives the bits of the whole', (type) => {
    for (const pixel of ['int16', 'float32'] as const) {
      const image = imageOf({ size: [17, 14, 9], spacingMm: [0.8, 0.75, 3], pixel });
      const roi = roiIn(image);
      const whole = [...IMAGE_TYPE_FILTERS[type]({ image, roi }, settings)];
      expect(whole.length).toBeGreaterThan(0);
      for (const region of regions) {
        const part = [...IMAGE_TYPE_FILTERS[type]({ image, roi, region }, settings)];
        expect(part).toEqual(whole.map(({ name, volume }) => ({ name, volume: cropVolume<Samples>(volume, region) })));
      }
    }
  });
});

describe('intensities', () => {
  it('keep zero and their sign, and the range of the image', () => {
    const image = { ...patternVolume([2, 2, 1], Int16Array), data: Int16Array.from([-100, 0, 25, 64]) };
    const values = (type: ImageType) => [...[...IMAGE_TYPE_FILTERS[type]({ image }, {})][0]!.volume.data];
    expect(values('SquareRoot')).toEqual([-100, 0, 50, 80]);
    expect(values('Square').map((v) => Math.round(v * 1e9) / 1e9)).toEqual([100, 0, 6.25, 40.96]);
    expect(values('Logarithm')[0]).toBeCloseTo(-100, 12);
    expect(values('Logarithm')[1]).toBe(0);
    expect(values('Exponential')[1]).toBe(1);
    expect(values('Exponential')[0]).toBeCloseTo(0.01, 12);
  });
});

describe('wavelet taps', () => {
  it('know 106 wavelets and no other', () => {
    expect(WAVELET_NAMES).toHaveLength(106);
    expect(new Set(WAVELET_NAMES).size).toBe(106);
    for (const name of ['db39', 'sym1', 'coif18', 'bior1.2', 'gaus1', '', 'constructor', 'rdb2'])
      expect(() => waveletTaps(name)).toThrow(expect.objectContaining({ code: 'IMAGE_SETTINGS_INVALID' }));
  });

  it.each(WAVELET_NAMES)(
    '%s reconstructs: low-passes sum to √2 and are biorthogonal to their shifts by two',
    (name) => {
      const {
        decompositionLow: d,
        reconstructionLow: r,
        decompositionHigh: h,
        reconstructionHigh: g,
      } = waveletTaps(name);
      const sum = (taps: readonly number[]) => taps.reduce((a, b) => a + b, 0);
      // The discrete Meyer wavelet is cut off at 62 taps, so it neither sums nor is orthogonal quite.
      const digits = name === 'dmey' ? 2 : 7;
      expect(sum(d)).toBeCloseTo(Math.SQRT2, digits);
      expect(sum(r)).toBeCloseTo(Math.SQRT2, digits);
      expect(sum(h)).toBeCloseTo(0, digits);
      expect(sum(g)).toBeCloseTo(0, digits);
      const last = d.length - 1;
      for (let shift = -last + 1; shift < last; shift += 2) {
        let product = 0;
        for (let k = 0; k <= last; k++) product += (d[k] ?? 0) * (r[last - k + shift] ?? 0);
        expect(product, `shift ${shift}`).toBeCloseTo(shift === 0 ? 1 : 0, digits);
      }
    },
  );

  const folder = referenceFolder('CONCORDAT_REFERENCE', 'radiomics/wavelets');
  it.skipIf(folder === null)('are those of PyWavelets 1.1.1, to the bit', () => {
    const reference = readJson(folder!, 'pywt_1.1.1_filters.json') as Record<string, Record<string, number[]>>;
    expect(Object.keys(reference).sort()).toEqual([...WAVELET_NAMES].sort());
    for (const [name, taps] of Object.entries(reference)) {
      const got = waveletTaps(name);
      const plain = (filter: readonly number[]) => filter.map((tap) => tap + 0);
      expect(plain(got.decompositionLow), name).toEqual(plain(taps.dec_lo!));
      expect(plain(got.decompositionHigh), name).toEqual(plain(taps.dec_hi!));
      expect(plain(got.reconstructionLow), name).toEqual(plain(taps.rec_lo!));
      expect(plain(got.reconstructionHigh), name).toEqual(plain(taps.rec_hi!));
    }
  });
});

describe('an icosphere', () => {
  it.each([
    [0, 12],
    [1, 42],
    [2, 162],
  ])('cut %i times has %i vertices on its sphere, adding up to zero', (subdivisions, count) => {
    const vertices = icosphere(subdivisions, 2.5);
    expect(vertices).toHaveLength(count);
    const lengths = vertices.map(([x, y, z]) => Math.sqrt(x * x + y * y + z * z));
    expect(Math.max(...lengths.map((length) => Math.abs(length - 2.5)))).toBeLessThan(1e-14);
    for (const axis of [0, 1, 2]) expect(vertices.reduce((sum, vertex) => sum + vertex[axis]!, 0)).toBeCloseTo(0, 12);
    expect(new Set(vertices.map((vertex) => vertex.map((v) => v.toFixed(9)).join())).size).toBe(count);
  });
});
