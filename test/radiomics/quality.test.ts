import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { readImage } from '../../site-agent/imaging/shell/read-file.js';
import type { Mask, Vec3 } from '../../site-agent/imaging/volume.js';
import { lesionQuality } from '../../site-agent/radiomics/quality/case-quality.js';
import { featureQuality } from '../../site-agent/radiomics/quality/feature-quality.js';
import { qualityPage } from '../../site-agent/radiomics/quality/page.js';
import { pngOf } from '../../site-agent/radiomics/quality/png.js';
import { type QualityReport, qualitySummary } from '../../site-agent/radiomics/quality/report.js';
import { thumbnailOf } from '../../site-agent/radiomics/quality/thumbnail.js';
import { writeQualityReport } from '../../site-agent/radiomics/shell/quality-report.js';
import { dicomBytes, sliceAttributes } from '../imaging/dicom-files.js';
import { testGrid, testVolume } from '../support/images.js';

/** Checksum of a PNG chunk, bit by bit as the standard's annex has it. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Pixels of a palette PNG as red, green, blue. */
function readPng(png: Uint8Array): { width: number; height: number; rgb: number[][] } {
  const file = Buffer.from(png);
  expect(file.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const named = file.subarray(at + 4, at + 8 + length);
    expect(file.readUInt32BE(at + 8 + length)).toBe(slowCrc(named));
    chunks.set(named.subarray(0, 4).toString(), named.subarray(4));
    at += 12 + length;
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'PLTE', 'IDAT', 'IEND']);
  const [width, height] = [chunks.get('IHDR')!.readUInt32BE(0), chunks.get('IHDR')!.readUInt32BE(4)];
  const rows = inflateSync(chunks.get('IDAT')!);
  const palette = chunks.get('PLTE')!;
  const rgb: number[][] = [];
  for (let y = 0; y < height; y++) {
    expect(rows[y * (width + 1)]).toBe(1);
    let level = 0;
    for (let x = 0; x < width; x++) {
      level = (level + rows[y * (width + 1) + 1 + x]!) & 255;
      rgb.push([...palette.subarray(3 * level, 3 * level + 3)]);
    }
  }
  return { width, height, rgb };
}

describe('a PNG', () => {
  it('holds the pixels that were put in', () => {
    const palette = [
      [0, 0, 0],
      [255, 255, 255],
      [200, 100, 50],
    ] as const;
    const { width, height, rgb } = readPng(pngOf(Uint8Array.of(0, 1, 2, 2, 0, 1), 3, 2, palette));
    expect([width, height]).toEqual([3, 2]);
    expect(rgb).toEqual([palette[0], palette[1], palette[2], palette[2], palette[0], palette[1]]);
  });
});

describe('a thumbnail', () => {
  const size: Vec3 = [60, 30, 4];
  const lesion = (x: number, y: number, z: number) =>
    z === 2 ? x >= 10 && x < 20 && y >= 5 && y < 11 : z === 1 && x === 10 && y === 5;
  const mask: Mask = testVolume(testGrid(size, { spacingMm: [1, 2, 5] }), Uint8Array, (x, y, z) =>
    lesion(x, y, z) ? 1 : 0,
  );
  const ct = testVolume(testGrid(size, { spacingMm: [1, 2, 5] }), Int16Array, (x, _, z) =>
    z !== 2 ? 7 : x < 30 ? -1000 : 1000,
  );

  it('shows the slice where the lesion is largest, square pixels, its outline and the soft tissue window', () => {
    const { png, ...about } = thumbnailOf(ct, mask, roiOf(mask), null);
    // 60 mm by 60 mm: four pixels a millimetre.
    expect(about).toEqual({ width: 240, height: 240, slice: 3, window: [-120, 240], windowFrom: 'CT' });
    const { rgb } = readPng(png);
    const at = (xMm: number, yMm: number) => rgb[Math.floor(4 * xMm) + 240 * Math.floor(4 * yMm)];
    const outline = [255, 196, 0];
    // The region goes from 10 to 20 mm and from 10 to 22 mm.
    expect([at(10.1, 15), at(19.9, 15), at(15, 10.1), at(15, 21.9)]).toEqual([outline, outline, outline, outline]);
    expect([at(9.8, 15), at(15, 15), at(15, 22.2)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(at(45, 30)).toEqual([255, 255, 255]);
    // Sides of the region in whole millimetres, four pixels each, corners once.
    expect(rgb.filter((pixel) => pixel[2] === 0 && pixel[0] === 255)).toHaveLength(2 * 40 + 2 * 48 - 4);
  });

  it('looks the same when the file stores left and right the other way round', () => {
    const flip = (data: ArrayLike<number>, i: number) => data[59 - (i % 60) + 60 * Math.floor(i / 60)]!;
    const turned = { origin: [59, 0, 0] as Vec3, direction: [-1, 0, 0, 0, 1, 0, 0, 0, 1] };
    const otherMask = { ...mask, ...turned, data: mask.data.map((_, i) => flip(mask.data, i)) };
    const other = { ...ct, ...turned, data: ct.data.map((_, i) => flip(ct.data, i)) };
    expect(readPng(thumbnailOf(other, otherMask, roiOf(otherMask), 'CT').png)).toEqual(
      readPng(thumbnailOf(ct, mask, roiOf(mask), 'CT').png),
    );
  });

  it('of no CT has the window of its own slice', () => {
    const mr = testVolume(testGrid(size), Float32Array, (x) => 10 * x);
    const { window, windowFrom } = thumbnailOf(mr, { ...mask, ...testGrid(size) }, roiOf(mask), 'MR');
    expect(windowFrom).toBe('image');
    expect(window[0]).toBeLessThan(20);
    expect(window[1]).toBeGreaterThan(570);
  });
});

describe('a lesion', () => {
  it('with several parts, at the border, tiny, in one slice, or of one intensity is worth a look', () => {
    const grid = testGrid([8, 8, 3], { spacingMm: [1, 1, 4] });
    const image = testVolume(grid, Int16Array, () => 5);
    const mask: Mask = testVolume(grid, Uint8Array, (x, y, z) =>
      z === 1 && ((x === 0 && y === 3) || (x === 5 && y === 7)) ? 1 : 0,
    );
    const { lesion, notes } = lesionQuality(image, mask);
    expect(lesion).toEqual({ voxels: 2, volumeMm3: 8, components: 2, touches: ['first x', 'last y'] });
    expect(notes).toEqual([
      'the mask has 2 separate parts',
      'the lesion reaches the image’s border (first x, last y)',
      'the lesion has 2 voxels only',
      'the lesion lies in one slice',
      'voxels are 4.0 times as long as wide',
      'the lesion has one intensity, 5',
    ]);
  });

  it('in good order is not', () => {
    const grid = testGrid([12, 12, 12]);
    const image = testVolume(grid, Int16Array, (x) => x);
    const mask: Mask = testVolume(grid, Uint8Array, (x, y, z) =>
      Math.min(x, y, z) > 2 && Math.max(x, y, z) < 9 ? 1 : 0,
    );
    expect(lesionQuality(image, mask)).toMatchObject({
      notes: [],
      lesion: { voxels: 216, components: 1, touches: [] },
    });
  });
});

describe('the quality of features', () => {
  const random = seededRandom('quality');
  const plain = Array.from({ length: 20 }, () => random.normal());
  const [first] = featureQuality(['plain'], [plain]);

  it('tells constants, gaps, outliers and duplicates, and leaves the rest alone', () => {
    expect(first).toMatchObject({ constant: false, missing: 0, duplicateOf: null });
    const list = featureQuality(
      ['plain', 'constant', 'gap', 'scaled', 'far', 'near', 'gap again'],
      [
        plain,
        plain.map(() => 0.1 + 0.2),
        plain.map((value, at) => (at === 3 ? null : value)),
        plain.map((value) => 4 - 1e-3 * value),
        plain.map((value, at) => (at === 5 ? 50 : value)),
        plain.map((value, at) => value + 1e-3 * (at % 2)),
        plain.map((value, at) => (at === 3 ? Number.NaN : 2 * value)),
      ],
    );
    const by = new Map(list.map((one) => [one.name, one]));
    expect(by.get('constant')).toMatchObject({ constant: true, outliers: [], duplicateOf: null });
    expect(by.get('gap')).toMatchObject({ n: 19, missing: 1, missingShare: 0.05, duplicateOf: null });
    expect(by.get('scaled')).toMatchObject({ duplicateOf: 'plain', outliers: first!.outliers });
    expect(by.get('far')!.outliers).toContain(5);
    expect(by.get('near')!.duplicateOf).toBeNull();
    expect(by.get('gap again')).toMatchObject({ missing: 1, duplicateOf: 'gap' });
  });

  it('calls an outlier what lies beyond 3.5 modified z-scores, by hand', () => {
    // Median 3, deviations 2 1 0 1 x: MAD 1, so that the bound is 3 ± 3.5 / 0.6745.
    const bound = 3.5 / 0.6745;
    const outliers = (last: number) => featureQuality(['f'], [[1, 2, 3, 4, last]])[0]!.outliers;
    expect(outliers(3 + bound - 1e-9)).toEqual([]);
    expect(outliers(3 + bound + 1e-9)).toEqual([4]);
    expect(featureQuality(['f'], [[1, 1, 1, 9]])[0]!.outliers).toEqual([]);
    expect(featureQuality(['f'], [[null, null]])[0]).toMatchObject({
      n: 0,
      missingShare: 1,
      median: null,
      constant: false,
    });
  });
});

describe('the page', () => {
  const report: QualityReport = {
    format: 'concordat-quality-1',
    madeAt: '2026-11-21T09:00:00.000Z',
    cohort: 'cohort.yaml',
    study: null,
    cases: [
      {
        case: '<script>alert(1)</script>',
        phase: 'arterial',
        timepoint: '',
        label: 1,
        status: 'excluded',
        reason: { code: 'IMAGE_UNREADABLE', message: 'a & b' },
        modality: null,
        kernel: 'B30f',
        image: null,
        lesion: null,
        notes: [],
      },
    ],
    pictures: [],
    exclusions: [{ reason: 'in the table of cases, without an image', count: 1, cases: ['"x"'] }],
    features: null,
  };

  it('counts a feature once, however many phases it was judged in', () => {
    const judged = (name: string, feature: string, constant: boolean, missing: number) => ({
      ...featureQuality([name], [[1, 2, 3]])[0]!,
      feature,
      constant,
      missing,
    });
    const list = [
      judged('arterial: a', 'a', true, 1),
      judged('portal: a', 'a', true, 0),
      judged('arterial: b', 'b', false, 2),
      judged('portal: b', 'b', false, 1),
    ];
    const both = { ...report, features: { source: 'features.csv', rows: ['1', '2', '3'], list } };
    expect(qualitySummary(both)).toMatchObject({ features: 2, constant: 1, incomplete: 2, withOutliers: 0 });
    expect(qualityPage(both, [])).toContain('features.csv: 2 features of 3 rows');
  });

  it('says first that it stays, loads nothing from elsewhere, runs nothing, and shows names as text', () => {
    const page = qualityPage(report, []);
    expect(page.slice(page.indexOf('<body>'))).toMatch(
      /^<body>\n<p class="stays"><strong>This page stays at the site\.<\/strong>/,
    );
    expect(page).toContain("default-src 'none'; img-src data:");
    expect(page).not.toMatch(/<script|https?:|<link|@import|url\(/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('IMAGE_UNREADABLE: a &amp; b');
    expect(page).toContain('&quot;x&quot;');
    expect(page).toContain('B30f');
  });
});

describe('a case that is a DICOM series', () => {
  it('has the modality and the kernel that its files state, and nothing of the patient', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'concordat-quality-'));
    try {
      mkdirSync(path.join(folder, 'ct'));
      for (const z of [0, 1, 2])
        writeFileSync(
          path.join(folder, 'ct', `${z}.dcm`),
          dicomBytes(sliceAttributes({ position: [0, 0, z], more: [[0x00181210, 'SH', 'B30f']] })),
        );
      const grid = await readImage(path.join(folder, 'ct'));
      const data = new Uint8Array(grid.data.length).fill(1, 6, 12);
      writeFileSync(path.join(folder, 'mask.nii.gz'), writeNifti({ ...grid, data }));
      writeFileSync(path.join(folder, 'images.csv'), 'case,image,mask\nc1,ct,mask.nii.gz\n');
      writeFileSync(path.join(folder, 'cases.csv'), 'id\nc1\n');
      writeFileSync(
        path.join(folder, 'cohort.yaml'),
        'concordat: 1\ntable: cases.csv\nid: id\nimages: {table: images.csv}\n',
      );
      const report = await writeQualityReport({
        cohort: path.join(folder, 'cohort.yaml'),
        out: path.join(folder, 'out'),
        threads: 1,
        at: '2026-11-21T09:00:00.000Z',
        onCase: () => undefined,
        onExtracted: () => undefined,
      });
      expect(report.cases).toMatchObject([
        {
          case: 'c1',
          status: 'ok',
          modality: 'CT',
          kernel: 'B30f',
          image: { size: [3, 2, 3], spacingMm: [0.75, 0.5, 1] },
        },
      ]);
      expect(report.pictures).toMatchObject([{ slice: 2, windowFrom: 'CT' }]);
      expect(JSON.stringify(report)).not.toMatch(/Secret|4711/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
