import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { roiOf, roiOfIndices } from '../../site-agent/imaging/roi.js';
import { physicalPoint } from '../../site-agent/imaging/volume.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import { countsOf } from '../../site-agent/radiomics/ibsi/counts.js';
import { emphasisFeatures } from '../../site-agent/radiomics/ibsi/emphasis.js';
import { glcmFeatures } from '../../site-agent/radiomics/ibsi/glcm.js';
import { histogramFeatures } from '../../site-agent/radiomics/ibsi/histogram.js';
import { type IvhMode, ivhFeatures } from '../../site-agent/radiomics/ibsi/ivh.js';
import { localIntensityFeatures } from '../../site-agent/radiomics/ibsi/local-intensity.js';
import { ngtdmFeatures } from '../../site-agent/radiomics/ibsi/ngtdm.js';
import { ibsiGrid, interpolatedImage, preprocess } from '../../site-agent/radiomics/ibsi/preprocess.js';
import { discretise } from '../../site-agent/radiomics/ibsi/region-levels.js';
import { ibsiSettingsSchema } from '../../site-agent/radiomics/ibsi/settings.js';
import { intensityStatistics } from '../../site-agent/radiomics/ibsi/statistics.js';
import { testGrid, testVolume } from '../support/images.js';

const sum = (of: readonly number[]): number => of.reduce((total, value) => total + value, 0);
const mean = (of: readonly number[]): number => sum(of) / of.length;
const value = (features: FeatureSet, tag: string): number => features.get(tag)!.value!;

describe('intensity statistics', () => {
  it('equal their definitions', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = seededRandom('ibsi statistics', seed);
      const values = Array.from({ length: 5 + random.integer(200) }, () => 300 * random.uniform() - 100);
      const got = intensityStatistics(Float64Array.from(values));
      const m = mean(values);
      const central = (power: number): number =>
        mean(values.map((v) => Array.from({ length: power }, () => v - m).reduce((a, b) => a * b, 1)));
      const sorted = values.slice().sort((a, b) => a - b);
      const at = (percent: number): number => {
        const rank = (percent / 100) * (sorted.length - 1);
        const low = sorted[Math.floor(rank)]!;
        return low + (rank % 1) * (sorted[Math.ceil(rank)]! - low);
      };
      const robust = values.filter((v) => v >= at(10) && v <= at(90));
      const want = {
        mean: m,
        var: central(2),
        skew: central(3) / (central(2) * Math.sqrt(central(2))),
        kurt: central(4) / (central(2) * central(2)) - 3,
        median: at(50),
        min: sorted[0]!,
        p10: at(10),
        p90: at(90),
        max: sorted.at(-1)!,
        iqr: at(75) - at(25),
        range: sorted.at(-1)! - sorted[0]!,
        mad: mean(values.map((v) => Math.abs(v - m))),
        rmad: mean(robust.map((v) => Math.abs(v - mean(robust)))),
        medad: mean(values.map((v) => Math.abs(v - at(50)))),
        cov: Math.sqrt(central(2)) / m,
        qcod: (at(75) - at(25)) / (at(75) + at(25)),
        energy: sum(values.map((v) => v * v)),
        rms: Math.sqrt(mean(values.map((v) => v * v))),
      };
      expect([...got.keys()]).toEqual(Object.keys(want).map((name) => `stat_${name}`));
      for (const [name, wanted] of Object.entries(want))
        expect(Math.abs(value(got, `stat_${name}`) - wanted), name).toBeLessThanOrEqual(
          1e-9 * Math.abs(wanted) + 1e-12,
        );
    }
  });
});

describe('the intensity histogram', () => {
  it('has its mode next to the mean where several bins are as full, and gradients one-sided at its ends', () => {
    const features = histogramFeatures(Int32Array.of(1, 1, 1, 2, 4, 4, 4, 5, 5, 5), 6);
    // Mean 3.4: of 1, 4 and 5 the fourth bin is nearest. Counts 3 1 0 3 3 0 have gradients −2 −1.5 1 1.5 −1.5 −3.
    expect(value(features, 'ih_mode')).toBe(4);
    expect(value(features, 'ih_max_grad')).toBe(1.5);
    expect(value(features, 'ih_max_grad_g')).toBe(4);
    expect(value(features, 'ih_min_grad')).toBe(-3);
    expect(value(features, 'ih_min_grad_g')).toBe(6);
    const p = [0.3, 0.1, 0.3, 0.3];
    expect(value(features, 'ih_entropy')).toBeCloseTo(-sum(p.map((q) => q * Math.log2(q))), 12);
    expect(value(features, 'ih_uniformity')).toBeCloseTo(0.28, 12);
  });
});

/** IBSI's curve by its definition: at each stepped intensity, the part of the voxels that reach it. */
function slowIvh(values: readonly number[], mode: IvhMode, range: readonly [number | null, number | null] | null) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const [low, high] = mode.method === 'fbn' ? [least, most] : [range?.[0] ?? least, range?.[1] ?? most];
  const steps: number[] = [];
  let binned = values.slice();
  if (mode.method === 'discrete') for (let x = low; x <= high; x++) steps.push(x);
  else if (mode.method === 'fbs') {
    for (let k = 0; low + k * mode.width < high; k++) steps.push(low + (k + 0.5) * mode.width);
    binned = values.map((x) => steps[Math.min(steps.length - 1, Math.floor((x - low) / mode.width))]!);
  } else {
    for (let k = 1; k <= mode.bins; k++) steps.push(k);
    binned = values.map((x) => Math.min(mode.bins, Math.floor((mode.bins * (x - low)) / (high - low)) + 1));
  }
  const curve = steps.map((x) => ({
    x,
    fraction: (x - steps[0]!) / (steps.at(-1)! - steps[0]!),
    volume: binned.filter((b) => b >= x).length / values.length,
  }));
  const volumeAt = (percent: number): number =>
    Math.max(...curve.filter(({ fraction }) => fraction >= percent / 100 - 1e-12).map(({ volume }) => volume));
  const past = 2 * steps.at(-1)! - steps.at(-2)!;
  const intensityAt = (percent: number): number =>
    Math.min(past, ...curve.filter(({ volume }) => volume <= percent / 100).map(({ x }) => x));
  return { ivh_v10: volumeAt(10), ivh_v90: volumeAt(90), ivh_i10: intensityAt(10), ivh_i90: intensityAt(90) };
}

describe('the intensity-volume histogram', () => {
  it('equals its definition for calibrated discrete, calibrated continuous and arbitrary intensities', () => {
    const modes: IvhMode[] = [{ method: 'discrete' }, { method: 'fbs', width: 2.5 }, { method: 'fbn', bins: 40 }];
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom('ibsi ivh', seed);
      const values = Array.from({ length: 20 + random.integer(100) }, () => random.integer(90) - 30);
      for (const mode of modes)
        for (const range of [null, [-50, 70], [null, 80]] as const) {
          const kept = range === null ? values : values.filter((x) => x <= range[1]);
          const got = ivhFeatures(Float64Array.from(kept), mode, range);
          const want = slowIvh(kept, mode, range);
          for (const [tag, wanted] of Object.entries(want))
            expect(value(got, tag), `${tag} ${mode.method} ${range}`).toBeCloseTo(wanted, 10);
          expect(value(got, 'ivh_diff_v10_v90')).toBeCloseTo(want.ivh_v10 - want.ivh_v90, 10);
          expect(value(got, 'ivh_diff_i10_i90')).toBeCloseTo(want.ivh_i10 - want.ivh_i90, 10);
        }
    }
    expect(ivhFeatures(Float64Array.of(1.5, 2), { method: 'discrete' }, null).get('ivh_v10')!.reason).toMatch(/whole/);
  });
});

describe('features of a matrix', () => {
  it('of co-occurrences equal their definitions, cross entropies not simplified', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = seededRandom('ibsi glcm', seed);
      const n = 2 + random.integer(6);
      const half = Array.from({ length: n * n }, () => random.integer(4));
      const count = (i: number, j: number): number => half[i * n + j]! + half[j * n + i]!;
      const cells = Array.from({ length: n * n }, (_, k) => ({ i: Math.floor(k / n) + 1, j: (k % n) + 1 }));
      const counts = countsOf(1, (add) => {
        for (const { i, j } of cells) add(i, j, count(i - 1, j - 1));
      });
      const total = sum(Array.from(counts.n));
      const p = (i: number, j: number): number => count(i - 1, j - 1) / total;
      const over = (term: (i: number, j: number, p: number) => number): number =>
        sum(cells.map(({ i, j }) => (p(i, j) === 0 ? 0 : term(i, j, p(i, j)))));
      const px = (i: number): number => sum(Array.from({ length: n }, (_, j) => p(i, j + 1)));
      const mu = over((i, _, q) => i * q);
      const variance = over((i, _, q) => (i - mu) * (i - mu) * q);
      const group = (key: (i: number, j: number) => number): Map<number, number> => {
        const groups = new Map<number, number>();
        for (const { i, j } of cells) groups.set(key(i, j), (groups.get(key(i, j)) ?? 0) + p(i, j));
        return groups;
      };
      const about = (groups: Map<number, number>) => {
        const m = sum([...groups].map(([k, q]) => k * q));
        return {
          mean: m,
          variance: sum([...groups].map(([k, q]) => (k - m) * (k - m) * q)),
          entropy: -sum([...groups.values()].map((q) => (q > 0 ? q * Math.log2(q) : 0))),
        };
      };
      const [plus, minus] = [about(group((i, j) => i + j)), about(group((i, j) => Math.abs(i - j)))];
      const hxy = -over((_i, _j, q) => q * Math.log2(q));
      const hxy1 = -over((i, j, q) => q * Math.log2(px(i) * px(j)));
      const marginals = Array.from({ length: n }, (_, i) => px(i + 1)).filter((q) => q > 0);
      const hx = -sum(marginals.map((q) => q * Math.log2(q)));
      const hxy2 = -sum(marginals.flatMap((a) => marginals.map((b) => a * b * Math.log2(a * b))));
      const d = (i: number, j: number): number => Math.abs(i - j);
      const want: Record<string, number> = {
        joint_max: Math.max(...cells.map(({ i, j }) => p(i, j))),
        joint_avg: mu,
        joint_var: variance,
        joint_entr: hxy,
        diff_avg: minus.mean,
        diff_var: minus.variance,
        diff_entr: minus.entropy,
        sum_avg: plus.mean,
        sum_var: plus.variance,
        sum_entr: plus.entropy,
        energy: over((_i, _j, q) => q * q),
        contrast: over((i, j, q) => d(i, j) * d(i, j) * q),
        dissimilarity: over((i, j, q) => d(i, j) * q),
        inv_diff: over((i, j, q) => q / (1 + d(i, j))),
        inv_diff_norm: over((i, j, q) => q / (1 + d(i, j) / n)),
        inv_diff_mom: over((i, j, q) => q / (1 + d(i, j) * d(i, j))),
        inv_diff_mom_norm: over((i, j, q) => q / (1 + (d(i, j) / n) * (d(i, j) / n))),
        inv_var: over((i, j, q) => (i === j ? 0 : q / (d(i, j) * d(i, j)))),
        corr: over((i, j, q) => (i - mu) * (j - mu) * q) / variance,
        auto_corr: over((i, j, q) => i * j * q),
        clust_tend: over((i, j, q) => (i + j - 2 * mu) * (i + j - 2 * mu) * q),
        clust_shade: over((i, j, q) => (i + j - 2 * mu) * (i + j - 2 * mu) * (i + j - 2 * mu) * q),
        clust_prom: over((i, j, q) => {
          const s = (i + j - 2 * mu) * (i + j - 2 * mu);
          return s * s * q;
        }),
        info_corr1: (hxy - hxy1) / hx,
        info_corr2: Math.sqrt(1 - Math.exp(-2 * (hxy2 - hxy))),
      };
      const got = glcmFeatures(counts, n)!;
      expect([...got.keys()]).toEqual(Object.keys(want));
      for (const [name, wanted] of Object.entries(want)) expect(got.get(name), name).toBeCloseTo(wanted, 7);
    }
  });

  it('of runs, zones, distances and dependences equal their definitions', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = seededRandom('ibsi emphasis', seed);
      const cells = Array.from({ length: 35 }, (_, k) => ({
        i: Math.floor(k / 7) + 1,
        j: (k % 7) + 1,
        n: random.integer(5),
      })).filter(({ n }) => n > 0);
      const total = sum(cells.map(({ n }) => n));
      const counts = countsOf(1000, (add) => {
        for (const { i, j, n } of cells) add(i, j, n);
      });
      const over = (term: (i: number, j: number, p: number) => number): number =>
        sum(cells.map(({ i, j, n }) => term(i, j, n / total)));
      const rows = [1, 2, 3, 4, 5].map((i) => sum(cells.filter((cell) => cell.i === i).map(({ n }) => n)));
      const columns = [1, 2, 3, 4, 5, 6, 7].map((j) => sum(cells.filter((cell) => cell.j === j).map(({ n }) => n)));
      const squares = (of: readonly number[]): number => sum(of.map((n) => n * n));
      const [mi, mj] = [over((i, _, p) => i * p), over((_, j, p) => j * p)];
      const want = [
        over((_, j, p) => p / (j * j)),
        over((_, j, p) => p * j * j),
        over((i, _, p) => p / (i * i)),
        over((i, _, p) => p * i * i),
        over((i, j, p) => p / (i * i * j * j)),
        over((i, j, p) => (p * i * i) / (j * j)),
        over((i, j, p) => (p * j * j) / (i * i)),
        over((i, j, p) => p * i * i * j * j),
        squares(rows) / total,
        squares(rows) / (total * total),
        squares(columns) / total,
        squares(columns) / (total * total),
        total / 1000,
        over((i, _, p) => (i - mi) * (i - mi) * p),
        over((_, j, p) => (j - mj) * (j - mj) * p),
        -over((_i, _j, p) => p * Math.log2(p)),
        over((_i, _j, p) => p * p),
      ];
      for (const prefix of ['rlm', 'szm', 'dzm', 'ngl'] as const) {
        const got = [...emphasisFeatures(prefix, counts)!.values()] as number[];
        expect(got).toHaveLength(prefix === 'ngl' ? 17 : 16);
        got.forEach((one, k) => {
          expect(one, `${prefix} ${k}`).toBeCloseTo(want[k]!, 8);
        });
      }
    }
    expect(
      emphasisFeatures(
        'rlm',
        countsOf(0, () => {}),
      ),
    ).toBeNull();
  });

  it('of tone differences equal their definitions', () => {
    const rows = new Map([
      [1, { n: 6, s: 13.35 }],
      [2, { n: 2, s: 2 }],
      [4, { n: 5, s: 3.1 }],
    ]);
    const p = new Map([...rows].map(([level, { n }]) => [level, n / 13]));
    const pairs = [...rows.keys()].flatMap((i) => [...rows.keys()].map((j) => [i, j] as const));
    const [P, S] = [(i: number) => p.get(i)!, (i: number) => rows.get(i)!.s];
    const weighted = sum([...rows.keys()].map((i) => P(i) * S(i)));
    const got = ngtdmFeatures(rows)!;
    expect(got.get('coarseness')).toBeCloseTo(1 / weighted, 12);
    expect(got.get('contrast')).toBeCloseTo(
      (sum(pairs.map(([i, j]) => P(i) * P(j) * (i - j) * (i - j))) / 6) * ((13.35 + 2 + 3.1) / 13),
      12,
    );
    expect(got.get('busyness')).toBeCloseTo(weighted / sum(pairs.map(([i, j]) => Math.abs(i * P(i) - j * P(j)))), 12);
    expect(got.get('complexity')).toBeCloseTo(
      sum(pairs.map(([i, j]) => (Math.abs(i - j) * (P(i) * S(i) + P(j) * S(j))) / (P(i) + P(j)))) / 13,
      12,
    );
    expect(got.get('strength')).toBeCloseTo(
      sum(pairs.map(([i, j]) => (P(i) + P(j)) * (i - j) * (i - j))) / (13.35 + 2 + 3.1),
      12,
    );
  });
});

describe('processing before the features', () => {
  it('bins from the range’s lower end or the region’s minimum, or into a number of bins', () => {
    const values = Float64Array.of(-100, -76, -75, 0, 24.9, 50);
    expect(discretise(values, { method: 'fbs', width: 25 }, null)).toEqual({
      levels: Int32Array.of(1, 1, 2, 5, 5, 7),
      levelCount: 7,
    });
    expect(discretise(values, { method: 'fbs', width: 25 }, -500)).toEqual({
      levels: Int32Array.of(17, 17, 18, 21, 21, 23),
      levelCount: 23,
    });
    expect(discretise(values, { method: 'fbn', bins: 3 }, -500)).toEqual({
      levels: Int32Array.of(1, 1, 1, 3, 3, 3),
      levelCount: 3,
    });
    expect(discretise(values, { method: 'fbs', width: 1e-6 }, null)).toMatch(/more than 8192/);
    expect(discretise(values, { method: 'none' }, null)).toMatch(/discretisation is needed/);
    expect(discretise(Float64Array.of(3, 3), { method: 'fbn', bins: 8 }, null)).toMatchObject({ levelCount: 1 });
  });

  it('puts a value on an edge of fixed bins into the upper one, however the bins’ width is rounded', () => {
    // IBSI K15C: floor(bins · (x − min) / (max − min)) + 1. 49 · (2 / 98) is 0.99…9 in float64, 2 · 49 / 98 is 1.
    expect(discretise(Float64Array.of(0, 49, 98), { method: 'fbn', bins: 2 }, null)).toMatchObject({
      levels: Int32Array.of(1, 2, 2),
    });
    const volume = ivhFeatures(Float64Array.of(0, 49, 98), { method: 'fbn', bins: 2 }, null);
    expect(value(volume, 'ivh_v10')).toBeCloseTo(2 / 3, 12);
    for (let range = 1; range <= 100; range++)
      for (const bins of [2, 3, 6, 7, 32]) {
        const values = Float64Array.from({ length: range + 1 }, (_, x) => x - 100);
        const found = discretise(values, { method: 'fbn', bins }, null);
        const want = Int32Array.from(values, (_, x) => Math.min(bins, (bins * x - ((bins * x) % range)) / range + 1));
        expect(found).toEqual({ levels: want, levelCount: bins });
      }
  });

  it('interpolates to a grid that covers the old one and shares its centre', () => {
    const direction = [0, 1, 0, 1, 0, 0, 0, 0, -1];
    const grid = testGrid([204, 201, 60], {
      spacingMm: [0.9765625, 0.9765625, 3.0000000001],
      origin: [5, 6, 7],
      direction,
    });
    for (const spacing of [
      [2, 2, 2],
      [2, 2, null],
      [0.5, 0.7, 1],
    ] as const) {
      const found = ibsiGrid(grid, spacing);
      const centre = (of: typeof grid) =>
        physicalPoint(of, [(of.size[0] - 1) / 2, (of.size[1] - 1) / 2, (of.size[2] - 1) / 2]);
      centre(found).forEach((mm, axis) => {
        expect(mm).toBeCloseTo(centre(grid)[axis]!, 8);
      });
      expect(found.direction).toEqual(direction);
    }
    expect(ibsiGrid(grid, [2, 2, 2]).size).toEqual([100, 99, 90]);
    expect(ibsiGrid(grid, [2, 2, null]).size).toEqual([100, 99, 60]);
  });

  it('gives a ramp back as a ramp, repeats the edge beyond it, rounds where asked, and takes half-covered voxels in', () => {
    const grid = testGrid([6, 4, 4], { spacingMm: [3, 2, 2] });
    const image = testVolume(grid, Float64Array, (x) => 10 * x);
    const mask = testVolume(grid, Uint8Array, (x) => (x < 3 ? 7 : 0));
    const settings = (round: boolean) =>
      ibsiSettingsSchema.parse({ label: 7, interpolation: { spacingMm: [2, 2, 2], round } });
    const { image: got, morphological } = preprocess(image, mask, settings(false));
    // Nine voxels of 2 mm over 18 mm; centres at −0.5, 1.5, 3.5 ... mm from the first old centre.
    expect(got.size).toEqual([9, 4, 4]);
    const want = Array.from({ length: 9 }, (_, x) => Math.min(50, Math.max(0, (10 * (2 * x - 0.5)) / 3)));
    want.forEach((one, x) => {
      expect(got.data[x]).toBeCloseTo(one, 9);
    });
    expect(Array.from(preprocess(image, mask, settings(true)).image.data.subarray(0, 9))).toEqual(want.map(Math.round));
    // Half-way goes to the even number, as numpy (and MIRP) round: −3.5 and 0.5 between −4, −3 and 0, 1.
    const pairs = testVolume(testGrid([4, 1, 1], { spacingMm: [1, 2, 2] }), Float64Array, (x) => [-4, -3, 0, 1][x]!);
    const halved = preprocess(
      pairs,
      testVolume(pairs, Uint8Array, () => 7),
      settings(true),
    ).image.data;
    expect(Array.from(halved, (one) => one + 0)).toEqual([-4, 0]);
    // The region ends at 7.5 mm, between the centres at 7.5 (half of each side: in) and 9.5.
    expect(morphological.box).toEqual({ lower: [0, 0, 0], upper: [4, 3, 3] });
  });

  it('repeats the intensities at the image’s boundary before a spline, as IBSI recommends', () => {
    const row = [0, 10, 0, 0, 30, 5];
    const grid = testGrid([6, 4, 4], { spacingMm: [3, 2, 2] });
    const image = testVolume(grid, Float64Array, (x) => row[x]!);
    const interpolation = { spacingMm: [2, 2, 2], method: 'cubic' };
    const { data } = preprocess(
      image,
      testVolume(grid, Uint8Array, () => 1),
      ibsiSettingsSchema.parse({ interpolation }),
    ).image;
    // scipy 1.17.1, map_coordinates(row, (2 k − 0.5) / 3, order=3, mode='nearest'), as MIRP interpolates; mirrored the last one is 6.78.
    const want = [
      -0.9256574369615247, 5.740057222525339, 9.782980070257322, 2.431329170458069, -4.961570489100786,
      5.104330813394912, 28.066117675226486, 20.422955930063736, 2.4646883543087355,
    ];
    want.forEach((one, x) => {
      expect(data[x]).toBeCloseTo(one, 5);
    });
  });

  it('interpolates around the region alone, and its features are those of the whole image interpolated', () => {
    for (const [lower, upper] of [
      [
        [22, 19, 16],
        [26, 24, 18],
      ],
      [
        [0, 39, 0],
        [5, 43, 3],
      ],
    ] as const) {
      const random = seededRandom('ibsi crop', lower[0]);
      const grid = testGrid([50, 44, 34], { spacingMm: [1, 1, 1.5], origin: [-7, 4, 20] });
      const image = testVolume(grid, Float64Array, () => random.integer(50));
      const mask = testVolume(grid, Uint8Array, (x, y, z) =>
        [x, y, z].every((at, axis) => at >= lower[axis]! && at <= upper[axis]!) ? 1 : 0,
      );
      for (const method of ['linear', 'cubic'] as const) {
        const spacingMm: [number, number, number] = [0.9, 0.8, 1.3];
        const interpolation = { spacingMm, method, round: false };
        const settings = ibsiSettingsSchema.parse({ interpolation });
        const { image: part, morphological } = preprocess(image, mask, settings);
        const target = ibsiGrid(image, spacingMm);
        const whole = interpolatedImage(image, target, interpolation);
        const from = [0, 1, 2].map((axis) =>
          Math.round((part.origin[axis]! - target.origin[axis]!) / spacingMm[axis]!),
        );
        expect(part.data.length).toBeLessThan(whole.data.length / 2);
        const place = (k: number): number => {
          const [nx, ny] = part.size;
          const at = [k % nx, Math.floor(k / nx) % ny, Math.floor(k / (nx * ny))].map((v, axis) => v + from[axis]!);
          return at[0]! + target.size[0] * (at[1]! + target.size[1] * at[2]!);
        };
        part.data.forEach((one, k) => {
          if (Math.abs(one - whole.data[place(k)]!) > 1e-9) expect(one).toBe(whole.data[place(k)]);
        });
        const inWhole = roiOfIndices(target, morphological.indices.map(place));
        const [got, want] = [localIntensityFeatures(part, morphological), localIntensityFeatures(whole, inWhole)];
        for (const tag of ['loc_peak_loc', 'loc_peak_glob']) expect(value(got, tag)).toBeCloseTo(value(want, tag), 9);
      }
    }
  });

  it('keeps intensities within the range and within so many deviations of the whole region’s mean', () => {
    const grid = testGrid([10, 2, 1]);
    const image = testVolume(grid, Float64Array, (x, y) => (x === 9 && y === 1 ? 1000 : x));
    const mask = testVolume(grid, Uint8Array, () => 1);
    const kept = (resegmentation: object): number =>
      preprocess(image, mask, ibsiSettingsSchema.parse({ resegmentation })).intensity.indices.length;
    expect(kept({})).toBe(20);
    expect(kept({ range: [2, 6] })).toBe(10);
    expect(kept({ range: [null, 6] })).toBe(14);
    expect(kept({ sigma: 3 })).toBe(19);
    // The deviation is that of all twenty, so the range does not tighten it: 8 and 9 stay.
    expect(kept({ range: [null, 999], sigma: 3 })).toBe(19);
    expect(kept({ range: [5, null], sigma: 3 })).toBe(9);
    const { morphological } = preprocess(image, mask, ibsiSettingsSchema.parse({ resegmentation: { range: [2, 6] } }));
    expect(morphological.indices).toEqual(roiOf(mask).indices);
  });

  it('takes settings with defaults and refuses keys it does not know', () => {
    expect(ibsiSettingsSchema.parse({})).toMatchObject({ dimensions: ['3D'], discretisation: { method: 'none' } });
    expect(ibsiSettingsSchema.safeParse({ binWidth: 25 }).success).toBe(false);
    expect(ibsiSettingsSchema.safeParse({ discretisation: { method: 'fbs' } }).success).toBe(false);
    expect(ibsiSettingsSchema.safeParse({ dimensions: ['2_5D'] }).success).toBe(false);
  });
});
