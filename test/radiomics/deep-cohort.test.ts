import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { extractCohortFiles } from '../../cli/extract-cohort.js';
import { extractOne } from '../../cli/extract-one.js';
import { checkEncoders } from '../../cli/study-encoders.js';
import { ConcordatError } from '../../shared/errors.js';
import { imagingContradictions, imagingSchema } from '../../shared/imaging.js';
import { encodersOf } from '../../shared/imaging-deep.js';
import { landmarksDigest } from '../../shared/imaging-learned.js';
import { readTable } from '../../site-agent/cohort-files.js';
import type { Mask } from '../../site-agent/imaging/volume.js';
import { caseFeatureNames } from '../../site-agent/radiomics/case-features.js';
import { defaultSettings } from '../../site-agent/radiomics/settings.js';
import { RegionExtraction } from '../../site-agent/radiomics/shell/cohort-extraction.js';
import type { Encoders } from '../../site-agent/radiomics/shell/encoders.js';
import { ensureFeatures, readFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { standardImage } from '../../site-agent/radiomics/standard-image.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { testGrid, testVolume } from '../support/images.js';
import {
  encoder,
  how,
  MODEL,
  OTHER_MODEL,
  PATCH,
  putModel,
  SETTINGS,
  type TinyRow,
  tinyImage,
  tinyMask,
  twin,
  WEIGHTS,
  writeTinySite,
} from './deep-sites.js';
import { slowCentre, slowEncoding } from './slow-patch.js';
import { meanEncoder, sha256Of } from './tiny-models.js';

const root = mkdtempSync(path.join(tmpdir(), 'concordat-deep-cohort-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const PHASES = ['arterial', 'portal-venous'];
const imagingOf = (changes: object = {}) =>
  imagingSchema.parse({
    phases: PHASES,
    timepoints: ['before', 'after'],
    settings: SETTINGS,
    regions: [
      { name: 'lesion', kind: 'lesion' },
      { name: 'ring2', kind: 'ring', mm: 2 },
    ],
    difference: [['portal-venous', 'arterial']],
    delta: { from: 'before', to: 'after', kind: 'absolute' },
    deep: [encoder()],
    ...changes,
  });

/** One case with two phases at two times; one with an unreadable image; one with two lesions. */
const rows: TinyRow[] = ['one', 'broken', 'two'].flatMap((id) =>
  ['before', 'after'].flatMap((timepoint) =>
    PHASES.flatMap((phase) => {
      const at = { case: id, phase, timepoint, date: timepoint === 'before' ? '2026-01-02' : '2026-03-04' };
      const bad = id === 'broken' && phase === 'arterial' && timepoint === 'after';
      const image = bad ? null : tinyImage(`${id} ${phase} ${timepoint}`, 20);
      const lesion = { ...at, image, mask: tinyMask(timepoint === 'after' ? 1 : 0) };
      return id === 'two' ? [{ ...lesion, label: 2 }, lesion] : [lesion];
    }),
  ),
);
function site(name: string, model: Uint8Array | null = MODEL): { folder: string; table: string } {
  const folder = path.join(root, name);
  writeTinySite(
    folder,
    rows,
    ['one', 'broken', 'two'].map((id) => ({ id })),
  );
  if (model !== null) putModel(folder, model);
  return { folder, table: 'images.csv' };
}
const rowOf = (id: string, phase: string, timepoint: string) =>
  rows.find((row) => row.case === id && row.phase === phase && row.timepoint === timepoint && (row.label ?? 1) === 1)!;
const twinOf = (id: string, phase: string, timepoint: string) => {
  const { image, mask } = rowOf(id, phase, timepoint);
  return twin(image!, mask);
};
const failure = (run: Promise<unknown>) =>
  run.then(
    () => null,
    (error: unknown) => error as ConcordatError,
  );
const cacheOf = (folder: string) => {
  const cache = path.join(folder, 'features', 'cache');
  return new Map(readdirSync(cache).map((name) => [name, statSync(path.join(cache, name)).mtimeMs]));
};

describe('deep features of a study’s images', () => {
  const imaging = imagingOf();
  const place = site('study');

  it('are features like the others: by phase, time point, difference and delta, equal to a slow twin', async () => {
    const { rows: found } = await ensureFeatures(imaging, place, { ...how, threads: 2 });
    expect(found.map(({ case: id, status }) => [id, status])).toEqual([
      ['one', 'ok'],
      ['broken', 'partial'],
      ['two', 'ok'],
    ]);
    const names = studyFeatureNames(imaging);
    expect([...found[0]!.features.keys()]).toEqual(names);
    expect(names.filter((name) => name.includes('ring2_deep'))).toEqual([]);
    expect(names.filter((name) => name.includes('deep_tiny_')).length).toBe(3 * (4 + 2 + 2));
    const near = (row: number, name: string, expected: readonly number[]) => {
      for (const [at, value] of expected.entries())
        expect(found[row]!.features.get(`${name}_deep_tiny_${at}`)?.value, `${name} ${at}`).toBeCloseTo(value, 5);
    };
    for (const [row, id] of [
      [0, 'one'],
      [2, 'two'],
    ] as const)
      for (const phase of PHASES)
        for (const timepoint of ['before', 'after']) near(row, `${timepoint}_${phase}`, twinOf(id, phase, timepoint));
    const [a, p] = PHASES.map((phase) => twinOf('one', phase, 'before'));
    near(
      0,
      'before_portal-venous-minus-arterial',
      p!.map((value, at) => value - a![at]!),
    );
    const after = twinOf('one', 'arterial', 'after');
    near(
      0,
      'delta_arterial',
      after.map((value, at) => value - a![at]!),
    );
    expect(found[1]!.reason).toMatch(/^after arterial lesion: IMAGE_/);
    expect(found[1]!.features.get('before_arterial_deep_tiny_0')!.value).not.toBeNull();
    expect(readFeatures(imaging, place).header.slice(3)).toEqual(names);
  });

  it('of several lesions follow the study’s rule', async () => {
    const [volumes, all] = ['volume-weighted', 'all'].map((lesions) => imagingOf({ lesions }));
    const { image, mask } = rowOf('two', 'arterial', 'before');
    const [large, small] = [twin(image!, mask, 1), twin(image!, mask, 2)];
    const voxels = [1, 2].map((label) => mask.data.filter((value) => value === label).length);
    const weighted = (await ensureFeatures(volumes!, place, how)).rows[2]!.features;
    const every = (await ensureFeatures(all!, place, how)).rows[2]!.features;
    for (let at = 0; at < 3; at++) {
      const mean = (large[at]! * voxels[0]! + small[at]! * voxels[1]!) / (voxels[0]! + voxels[1]!);
      const name = `before_arterial_deep_tiny_${at}`;
      expect(weighted.get(name)!.value).toBeCloseTo(mean, 5);
      expect(every.get(`${name}_min`)!.value).toBeCloseTo(Math.min(large[at]!, small[at]!), 5);
      expect(every.get(`${name}_mean`)!.value).toBeCloseTo((large[at]! + small[at]!) / 2, 5);
    }
  });

  it('are taken from the cache; another model or window costs only what depends on it', async () => {
    const own = site('cached');
    await ensureFeatures(imaging, own, how);
    const before = cacheOf(own.folder);
    await ensureFeatures(imaging, own, how);
    expect(cacheOf(own.folder)).toEqual(before);
    // Two regions and one encoder on the lesion: a third of the entries is deep.
    const deepEntries = before.size / 3;
    putModel(own.folder, OTHER_MODEL);
    const other = imagingOf({ deep: [encoder({ sha256: sha256Of(OTHER_MODEL) })] });
    const { rows: negative } = await ensureFeatures(other, own, how);
    const changed = cacheOf(own.folder);
    expect(changed.size - before.size).toBe(deepEntries);
    for (const [name, time] of before) expect(changed.get(name)).toBe(time);
    const [expected] = twinOf('one', 'arterial', 'before');
    expect(negative[0]!.features.get('before_arterial_deep_tiny_0')!.value).toBeCloseTo(-expected!, 5);
    // Other settings of the other features leave the deep ones as they are.
    const settings = { ...SETTINGS, featureClass: { firstorder: ['Median'] } };
    await ensureFeatures(imagingOf({ deep: other.deep, settings }), own, how);
    expect(cacheOf(own.folder).size - changed.size).toBe(2 * deepEntries);
    // Under the first model's settings the table is asked for again, and the error says what differs.
    const wanted = () => readFeatures(imagingOf({ deep: [encoder({ intensity: { type: 'none' } })] }), own);
    expect(wanted).toThrow(/other settings than the study's/);
    try {
      wanted();
    } catch (error) {
      const said = (error as ConcordatError).problems.map(({ message }) => message).join('\n');
      expect(said).toMatch(/imaging\.deep\.tiny\.intensity\.type: the study says "none", .* "window"/);
    }
  });

  it('go on where an encoder fails on a region: its features are missing, with the reason', async () => {
    const own = site('failing');
    const { sha256: _, ...settings } = imaging.deep![0]!;
    const failing = {
      encoder: {
        settings: { ...settings, sha256: 'f'.repeat(64) },
        featuresOf: () => Promise.reject(new ConcordatError('IMAGE_MODEL_FAILED', 'onnxruntime cannot run the model')),
      },
      count: 3,
    };
    const encoders = { of: () => [failing] } as unknown as Encoders;
    const regions = new RegionExtraction(
      { profile: 'pyradiomics', settings: defaultSettings() },
      { folder: own.folder, store: path.join(own.folder, 'features'), encoders, ...how },
      () => 'digest',
    );
    const [region] = imaging.regions;
    const image = { image: 'images/0.nii', mask: 'images/0-mask.nii', label: 1, organ: null, organLabel: 1 };
    const kept = await regions.of(
      { ...rowOf('one', 'arterial', 'before'), ...image, date: null, reader: '' } as never,
      region!,
      'arterial',
    );
    await regions.close();
    expect(kept).toMatchObject({ status: 'ok', lacking: [{ code: 'IMAGE_MODEL_FAILED' }] });
    const features = kept.status === 'ok' ? new Map(kept.features) : new Map();
    expect(features.get('deep_tiny_2')).toEqual({ value: null, reason: 'the encoder gave nothing for this region' });
    expect(features.get('original_firstorder_Mean')!.value).not.toBeNull();
    expect(cacheOf(own.folder).size).toBe(1);
  });
});

describe('a site without the study’s encoder', () => {
  const imaging = imagingOf();

  it('is told which digest is wanted and where the file goes, before any image is read', async () => {
    const place = site('without', null);
    const error = (await failure(ensureFeatures(imaging, place, how)))!;
    expect(error.code).toBe('IMAGE_MODEL_MISSING');
    expect(error.message).toBe(`no model file here is the study's encoder "tiny" (SHA-256 ${sha256Of(MODEL)})`);
    expect(error.problems).toEqual([
      {
        file: 'models/tiny.onnx',
        message: `put encoder "tiny" here, beside cohort.yaml: the file with the SHA-256 ${sha256Of(MODEL)}`,
      },
    ]);
    expect(readdirSync(path.join(place.folder, 'features'))).toEqual([]);
    // A file with the digest does, whatever its name, where cohort.yaml names it.
    writeFileSync(path.join(place.folder, 'from-usb.bin'), MODEL);
    const [row] = (await ensureFeatures(imaging, { ...place, models: ['from-usb.bin'] }, how)).rows;
    expect(row!.status).toBe('ok');
  });

  it('or with other bytes under its name is told both digests; so is whoever checks the study beside such a file', async () => {
    const place = site('other', OTHER_MODEL);
    const error = (await failure(ensureFeatures(imaging, place, how)))!;
    expect(error.code).toBe('IMAGE_MODEL_CHANGED');
    expect(error.message).toContain(sha256Of(OTHER_MODEL));
    expect(error.message).toContain(sha256Of(MODEL));
    const study = { imaging } as Parameters<typeof checkEncoders>[0];
    expect((await failure(checkEncoders(study, place.folder)))!.code).toBe('IMAGE_MODEL_CHANGED');
    expect(await checkEncoders(study, root)).toMatchObject([{ name: 'tiny', file: null, digest: null }]);
  });

  it('or with one that does not give what the study says is told so, before any image is read', async () => {
    const place = site('unfit');
    const code = async (changes: object) =>
      (await failure(ensureFeatures(imagingOf({ deep: [encoder(changes)] }), place, how)))?.code;
    expect(await code({ features: 4 })).toBe('IMAGE_MODEL_OUTPUT');
    expect(await code({ channels: 2 })).toBe('IMAGE_MODEL_INPUT');
    expect(await code({ size: [2, 2, 2] })).toBe('IMAGE_MODEL_FAILED');
    expect(readdirSync(path.join(place.folder, 'features'))).toEqual(['files.json']);
    const study = { imaging: imagingOf({ deep: [encoder({ features: 4 })] }) } as Parameters<typeof checkEncoders>[0];
    expect((await failure(checkEncoders(study, place.folder)))!.message).toBe(
      'encoder "tiny" gives 3 features, the study says 4',
    );
  });
});

describe('concordat extract --cohort --deep', () => {
  it('adds an encoder’s features to every row, and takes them from the cache of a study with the same encoder', async () => {
    const { folder } = site('plain');
    await ensureFeatures(imagingOf(), { folder, table: 'images.csv' }, how);
    const before = cacheOf(folder);
    const { features: _, ...plain } = encoder({ encoder: 'models/tiny.onnx' });
    writeFileSync(path.join(folder, 'deep.yaml'), stringify({ concordat: 1, deep: plain }));
    writeFileSync(path.join(folder, 'params.yaml'), stringify(SETTINGS));
    const extract = (more: object = {}) =>
      extractCohortFiles({
        cohort: path.join(folder, 'cohort.yaml'),
        params: path.join(folder, 'params.yaml'),
        profile: 'pyradiomics',
        onCase: () => undefined,
        out: path.join(folder, 'out.csv'),
        ...how,
        ...more,
      });
    const outcome = await extract({ deep: path.join(folder, 'deep.yaml') });
    expect([outcome.rows, outcome.failed]).toEqual([rows.length, 1]);
    const table = readTable(path.join(folder, 'out.csv'));
    expect(table.header.slice(6)).toEqual(['original_firstorder_Mean', 'deep_tiny_0', 'deep_tiny_1', 'deep_tiny_2']);
    for (const [at, cells] of table.rows.entries()) {
      const { image, mask, label } = rows[at]!;
      if (image === null) {
        expect(cells.slice(4)).toEqual(['failed', expect.stringMatching(/^IMAGE_/), '', '', '', '']);
        continue;
      }
      const expected = twin(image, mask, label);
      for (let k = 0; k < 3; k++) expect(Number(cells[7 + k])).toBeCloseTo(expected[k]!, 5);
    }
    // Only the other features have a digest of their own here.
    expect(cacheOf(folder).size - before.size).toBe(rows.length - 1);
    expect((await extract()).digest).not.toBe(outcome.digest);
    putModel(folder, meanEncoder(['N', 1, 'D', 'H', 'W']));
    const changed = await failure(extract({ deep: path.join(folder, 'deep.yaml') }));
    expect(changed!.code).toBe('IMAGE_MODEL_CHANGED');
  });
});

describe('the encoders of a study document', () => {
  const problemsOf = (changes: object) =>
    imagingContradictions(imagingOf(changes)).map(({ path: at, message }) => [at.join('.'), message]);

  it('contradict it by name and place', () => {
    expect(problemsOf({})).toEqual([]);
    expect(problemsOf({ deep: [encoder({ regions: ['rim'] }), encoder({ size: [4, 3] })] })).toEqual([
      ['deep.0.regions.0', '"rim" is not among regions'],
      ['deep.1.name', 'two encoders are called "tiny"'],
      ['deep.1.size', 'volume takes 3 lengths'],
    ]);
    expect(problemsOf({ regions: [{ name: 'ring2', kind: 'ring', mm: 2 }] })).toEqual([
      ['deep.0', 'no region of the study is the lesion itself: say with `regions` which the encoder is run on'],
    ]);
    expect(() => imagingOf({ deep: [encoder({ sha256: 'latest' })] })).toThrow(/64 hexadecimal/);
    expect(() => imagingOf({ deep: [encoder({ encoder: 'https://example.org/m.onnx' })] })).toThrow(/encoder/);
  });

  it('run on the lesion, or on the regions that they name, and never on habitats', () => {
    const habitat = { name: 'habitat1', kind: 'habitat' };
    const [lesion, ring] = [
      { name: 'whole', kind: 'lesion' },
      { name: 'ring2', kind: 'ring' },
    ];
    const deep = [encoder(), encoder({ name: 'around', regions: ['ring2', 'whole'] })] as never;
    const named = (region: { name: string; kind: string }) => encodersOf({ deep }, region).map(({ name }) => name);
    expect([lesion!, ring!, habitat].map(named)).toEqual([['tiny', 'around'], ['around'], []]);
    const names = caseFeatureNames(imagingOf({ timepoints: [], delta: undefined, difference: [], deep }), ['f']);
    expect(names.filter((name) => name.startsWith('arterial_'))).toEqual([
      'arterial_f',
      'arterial_deep_tiny_0',
      'arterial_deep_tiny_1',
      'arterial_deep_tiny_2',
      'arterial_ring2_f',
      ...[0, 1, 2].map((at) => `arterial_ring2_deep_around_${at}`),
    ]);
  });
});

describe('deep features of standardized images', () => {
  it('are of the image on the study’s standard scale', async () => {
    const landmarks = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
    const section = { within: 'foreground', phases: { arterial: landmarks, 'portal-venous': landmarks } } as const;
    const from = { study: 'a'.repeat(64), result: landmarksDigest({ ...section, phases: { ...section.phases } }) };
    const window = { centre: 50, width: 100 };
    const imaging = imagingOf({
      standardize: { ...section, from },
      deep: [encoder({ intensity: { type: 'window', ...window } })],
    });
    const place = site('standard');
    const [row] = (await ensureFeatures(imaging, place, how)).rows;
    const { image, mask } = rowOf('one', 'arterial', 'before');
    const seen = standardImage(image!, null, { within: 'foreground', landmarks });
    const expected = slowEncoding(seen, slowCentre(mask), { ...PATCH, window }, WEIGHTS);
    for (const [at, value] of expected.entries())
      expect(row!.features.get(`before_arterial_deep_tiny_${at}`)!.value).toBeCloseTo(value, 5);
    expect(new Set(expected.map((value) => value.toFixed(3))).size).toBe(3);
  });
});

describe('deep features of a mask on another grid', () => {
  it('are of the mask as it is taken to the image, where the other features are', async () => {
    const folder = path.join(root, 'coarse');
    const image = tinyImage('coarse', 20);
    // Twice as wide along two axes: every voxel is four of the image's.
    const coarse = testGrid([7, 6, 9], { spacingMm: [2, 3, 2], origin: [-2.5, 7.75, 20] });
    const inside = (x: number, y: number, z: number) => (x > 1 && x < 5 && y > 1 && y < 4 && z > 2 && z < 7 ? 1 : 0);
    const mask: Mask = testVolume(coarse, Uint8Array, inside);
    const fine: Mask = testVolume(image, Uint8Array, (x, y, z) => inside(x >> 1, y >> 1, z));
    writeTinySite(folder, [{ case: 'one', phase: 'arterial', image, mask }], [{ id: 'one' }]);
    putModel(folder);
    const settings = { ...SETTINGS, setting: { correctMask: true } };
    const imaging = imagingSchema.parse({ phases: ['arterial'], settings, deep: [encoder()] });
    const { rows: found } = await ensureFeatures(imaging, { folder, table: 'images.csv' }, how);
    const { features: _, ...plain } = encoder({ encoder: 'models/tiny.onnx' });
    writeFileSync(path.join(folder, 'deep.yaml'), stringify({ concordat: 1, deep: plain }));
    const alone = (resampleMask: boolean) =>
      extractOne({
        image: path.join(folder, 'images/0.nii'),
        mask: path.join(folder, 'images/0-mask.nii'),
        deep: path.join(folder, 'deep.yaml'),
        profile: 'pyradiomics',
        name: { case: '1', phase: '', timepoint: '' },
        resampleMask,
        threads: 1,
        progress: () => undefined,
      });
    expect((await alone(false)).failure).toMatchObject({ code: 'IMAGE_GRID_MISMATCH' });
    const [row] = (await alone(true)).document as [{ features: Record<string, { value: number }> }];
    for (const [at, value] of twin(image, fine).entries()) {
      expect(found[0]!.features.get(`arterial_deep_tiny_${at}`)!.value).toBeCloseTo(value, 5);
      expect(row.features[`deep_tiny_${at}`]!.value).toBeCloseTo(value, 5);
    }
  });
});
