import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type ImagingRegion, imagingSchema } from '../../shared/imaging.js';
import { LANDMARK_PERCENTILES } from '../../shared/imaging-learned.js';
import { seededRandom } from '../../shared/rng.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { acceptMask, requireAcceptedMask } from '../../site-agent/imaging/shell/accepted-mask.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Vec3, Volume } from '../../site-agent/imaging/volume.js';
import { segmentPlan } from '../../site-agent/radiomics/deep/segment.js';
import { parseSegmentSettings } from '../../site-agent/radiomics/deep/settings.js';
import { defaultSettings } from '../../site-agent/radiomics/settings.js';
import { RegionExtraction } from '../../site-agent/radiomics/shell/cohort-extraction.js';
import { learnFromCohort } from '../../site-agent/radiomics/shell/learned-extraction.js';
import { proposeMask } from '../../site-agent/radiomics/shell/propose-mask.js';
import { compiledWorker } from '../bundle/compiled-worker.js';
import { testGrid, testVolume } from '../support/images.js';
import { convolution, identityModel, meanEncoder, sha256Of, threeClasses } from './tiny-models.js';

const workerUrl = compiledWorker('site-agent/radiomics/shell/model-worker.ts');
const REGION_THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const file = (name: string) => path.join(folder, name);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-segment-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FREE = ['N', 1, 'D', 'H', 'W'];
const BASE = { view: 'volume', outside: 0, intensity: { type: 'none' }, scores: 'probability' };
const yamlOf = (changes: object) => stringify({ concordat: 1, segment: { ...BASE, ...changes } });

const SIZE: Vec3 = [9, 7, 5];
const random = seededRandom('segment');
const noise = Float32Array.from({ length: 9 * 7 * 5 }, () => random.uniform());
const image = testVolume(
  testGrid(SIZE, { spacingMm: [1, 1.5, 2] }),
  Float32Array,
  (x, y, z) => noise[x + 9 * (y + 7 * z)]!,
);

async function propose(model: Uint8Array, changes: object, source: Volume = image) {
  writeFileSync(file('image.nii.gz'), writeNifti(source));
  writeFileSync(file('model.onnx'), model);
  writeFileSync(file('settings.yaml'), yamlOf(changes));
  const proposed = await proposeMask({
    image: file('image.nii.gz'),
    model: file('model.onnx'),
    settings: file('settings.yaml'),
    out: file('mask.nii.gz'),
    at: '2026-11-21T09:00:00.000Z',
    workerUrl,
  });
  return { proposed, mask: readImageFile(file('mask.nii.gz')) };
}

describe('a proposed mask', () => {
  it('has the voxels whose probability reaches the threshold, on the image’s grid', async () => {
    const { mask, proposed } = await propose(identityModel(FREE), { threshold: 0.7, label: 3 });
    expect(mask.size).toEqual(SIZE);
    expect(Array.from(mask.data)).toEqual(Array.from(noise, (value) => (value >= 0.7 ? 3 : 0)));
    const voxels = noise.filter((value) => value >= 0.7).length;
    expect(proposed.labels).toEqual([{ label: 3, voxels, volumeMm3: 3 * voxels }]);
  });

  it('takes logits and slices, and an image whose voxels are stored otherwise', async () => {
    // Left runs to the right and the slices lie from head to feet.
    const flipped = { ...image, direction: [-1, 0, 0, 0, 1, 0, 0, 0, -1], data: noise.map((value) => value - 0.5) };
    const { mask } = await propose(
      identityModel(['N', 1, 'H', 'W']),
      { view: 'slices', scores: 'logit', threshold: 0.55 },
      flipped,
    );
    const logit = Math.log(0.55 / 0.45);
    expect(Array.from(mask.data)).toEqual(Array.from(noise, (value) => (value - 0.5 >= logit ? 1 : 0)));
  });

  it('has the label of the largest score', async () => {
    const { mask } = await propose(threeClasses(FREE, 3), { scores: 'classes' });
    // Scores 0.4 − v, 0, v − 0.6.
    expect(Array.from(mask.data)).toEqual(Array.from(noise, (value) => (value > 0.6 ? 2 : value < 0.4 ? 0 : 1)));
  });

  it('averages tiles that overlap, as a slow twin does', async () => {
    const weights = Array.from({ length: 27 }, () => random.uniform() / 10);
    const model = convolution(FREE, [3, 3, 3], weights, 1);
    const tile = [4, 3, 2] as const;
    const { mask } = await propose(model, { tile, overlap: 0.5, threshold: 0.4 });
    const [sum, count] = [new Float64Array(noise.length), new Float64Array(noise.length)];
    const at = (x: number, y: number, z: number) => x + 9 * (y + 7 * z);
    const starts = [
      [0, 2, 4, 5],
      [0, 1, 2, 3, 4],
      [0, 1, 2, 3],
    ] as const;
    for (const x0 of starts[0])
      for (const y0 of starts[1])
        for (const z0 of starts[2])
          for (let z = 0; z < tile[2]; z++)
            for (let y = 0; y < tile[1]; y++)
              for (let x = 0; x < tile[0]; x++) {
                let score = 0;
                for (let k = 0; k < 27; k++) {
                  const [a, b, c] = [x + (k % 3) - 1, y + (Math.floor(k / 3) % 3) - 1, z + Math.floor(k / 9) - 1];
                  if (a < 0 || b < 0 || c < 0 || a >= tile[0] || b >= tile[1] || c >= tile[2]) continue;
                  score += weights[k]! * noise[at(x0 + a, y0 + b, z0 + c)]!;
                }
                sum[at(x0 + x, y0 + y, z0 + z)]! += score;
                count[at(x0 + x, y0 + y, z0 + z)]!++;
              }
    const twin = Array.from(sum, (value, i) => (value / count[i]! >= 0.4 ? 1 : 0));
    expect(Array.from(mask.data)).toEqual(twin);
    expect(new Set(twin)).toEqual(new Set([0, 1]));
  });

  it('comes from a grid of the stated spacing around the image’s middle, filled up to what the model takes', () => {
    const settings = parseSegmentSettings(yamlOf({ spacingMm: [2, 2, 2], multipleOf: 4 }), 's.yaml');
    const { grid, tiles } = segmentPlan(image, settings);
    // 9 mm, 10.5 mm and 10 mm need 5, 6 and 5 voxels.
    expect(grid.size).toEqual([8, 8, 8]);
    expect(grid.origin).toEqual([4 - 7, 4.5 - 7, 4 - 7]);
    expect(tiles).toEqual([{ at: [0, 0, 0], size: [8, 8, 8] }]);
  });

  it('is read back at the image’s voxels by linear interpolation', async () => {
    const ramp = testVolume(testGrid([10, 4, 4]), Float32Array, (x) => x / 10);
    const { mask } = await propose(identityModel(FREE), { spacingMm: [2, 1, 1], threshold: 0.3 }, ramp);
    // A ramp stays one between the middles of the wider voxels, of which the first lies at 0.5.
    expect(Array.from(mask.data.slice(0, 10))).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('is refused where the scores are no map of the image', async () => {
    const refused = (model: Uint8Array, changes: object = {}) =>
      propose(model, changes).then(
        () => null,
        (error: unknown) => (error as { code: string }).code,
      );
    expect(await refused(meanEncoder(FREE))).toBe('IMAGE_MODEL_OUTPUT');
    expect(await refused(threeClasses(FREE, 3))).toBe('IMAGE_MODEL_OUTPUT');
    expect(await refused(identityModel(FREE), { scores: 'classes' })).toBe('IMAGE_MODEL_OUTPUT');
    expect(await refused(convolution(FREE, [3, 3, 3], new Array(27).fill(1)))).toBe('IMAGE_MODEL_OUTPUT');
    expect(await refused(identityModel(['N', 1, 'H', 'W']))).toBe('IMAGE_MODEL_INPUT');
    expect(await refused(identityModel(FREE), { sha256: 'b'.repeat(64) })).toBe('IMAGE_MODEL_CHANGED');
    expect(await refused(identityModel(FREE), { tile: [3, 3] })).toBe('IMAGE_SETTINGS_INVALID');
  });
});

describe('a proposal', () => {
  const codeOf = (work: () => unknown): string | null => {
    try {
      work();
      return null;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('counts for nothing until someone accepts it, and not after a change', async () => {
    const model = identityModel(FREE);
    await propose(model, {});
    const mask = file('mask.nii.gz');
    const note = () => JSON.parse(readFileSync(`${mask}.proposed.json`, 'utf8'));
    expect(note()).toMatchObject({
      status: 'proposed',
      proposedAt: '2026-11-21T09:00:00.000Z',
      model: { sha256: sha256Of(model) },
      maskSha256: sha256Of(readFileSync(mask)),
      acceptances: [],
    });
    expect(codeOf(() => requireAcceptedMask(mask))).toBe('IMAGE_MASK_NOT_ACCEPTED');
    acceptMask(mask, 'A. Reader', '2026-11-21T10:00:00.000Z');
    expect(codeOf(() => requireAcceptedMask(mask))).toBeNull();
    expect(note()).toMatchObject({ status: 'accepted', acceptances: [{ by: 'A. Reader', corrected: false }] });
    const changed = testVolume(testGrid(SIZE), Uint8Array, (x) => (x < 3 ? 1 : 0));
    writeFileSync(mask, writeNifti(changed));
    expect(codeOf(() => requireAcceptedMask(mask))).toBe('IMAGE_MASK_CHANGED');
    acceptMask(mask, 'B. Reader', '2026-11-21T11:00:00.000Z');
    expect(codeOf(() => requireAcceptedMask(mask))).toBeNull();
    expect(note().acceptances).toMatchObject([{ by: 'A. Reader' }, { by: 'B. Reader', corrected: true }]);
  });

  it('without its note, or with a damaged one, is no mask either', async () => {
    await propose(identityModel(FREE), {});
    const mask = file('mask.nii.gz');
    writeFileSync(`${mask}.proposed.json`, '{"status": "accepted"}');
    expect(codeOf(() => requireAcceptedMask(mask))).toBe('IMAGE_MASK_NOT_ACCEPTED');
    rmSync(`${mask}.proposed.json`);
    expect(codeOf(() => requireAcceptedMask(mask))).toBe('IMAGE_MASK_NOT_ACCEPTED');
    writeFileSync(file('plain.nii'), gunzipSync(readFileSync(mask)));
    expect(codeOf(() => requireAcceptedMask(file('plain.nii')))).toBe('IMAGE_MASK_NOT_ACCEPTED');
    expect(codeOf(() => acceptMask(mask, 'A. Reader', ''))).toBe('CLI_USAGE');
  });

  it('is refused by the extraction of a cohort too, before anything is taken from the cache', async () => {
    await propose(identityModel(FREE), {});
    const options = { folder, store: file('features'), threads: 1 };
    const regions = new RegionExtraction(
      { profile: 'pyradiomics', settings: defaultSettings() },
      options,
      () => 'digest',
    );
    const region = { name: 'lesion', kind: 'lesion', withinOrgan: true } as const;
    const files = { image: 'image.nii.gz', mask: 'mask.nii.gz', organ: null, organLabel: 1, label: 1 };
    const row = { ...files, lesion: '1', case: 'c', phase: '', timepoint: '', date: null, reader: '' };
    try {
      expect(await regions.of(row, region, '')).toMatchObject({
        status: 'failed',
        reason: { code: 'IMAGE_MASK_NOT_ACCEPTED' },
      });
    } finally {
      await regions.close();
    }
  });

  it('counts for nothing as an organ either, wherever one is asked for', async () => {
    await propose(identityModel(FREE), {});
    writeFileSync(file('drawn.nii.gz'), writeNifti(testVolume(testGrid(SIZE), Uint8Array, (x) => (x < 4 ? 1 : 0))));
    const files = { image: 'image.nii.gz', mask: 'drawn.nii.gz', organ: 'mask.nii.gz', organLabel: 1, label: 1 };
    const row = { ...files, lesion: '1', case: 'c', phase: 'a', timepoint: '', date: null, reader: '' };
    const options = { folder, store: file('organs'), threads: 1, threadFile: REGION_THREAD };
    const whole: ImagingRegion = { name: 'lesion', kind: 'lesion', withinOrgan: true };
    const standard = { within: 'organ' as const, landmarks: LANDMARK_PERCENTILES };
    for (const [region, measured] of [
      [{ ...whole, kind: 'ring', mm: 2 }, null],
      [{ ...whole, kind: 'dilated', mm: 2 }, null],
      [whole, standard],
    ] as const) {
      const settings = defaultSettings();
      const regions = new RegionExtraction(
        { profile: 'pyradiomics', settings },
        options,
        () => 'digest',
        () => measured,
      );
      try {
        const refused = { status: 'failed', reason: { code: 'IMAGE_MASK_NOT_ACCEPTED' } };
        expect(await regions.of(row, region, 'a')).toMatchObject(refused);
      } finally {
        await regions.close();
      }
    }
    const imaging = imagingSchema.parse({ phases: ['a'], learn: { landmarks: { within: 'organ' } } });
    const learned = async () => (await learnFromCohort(imaging, [row], options)).cases[0]!.landmarks;
    expect(await learned()).toEqual({});
    acceptMask(file('mask.nii.gz'), 'A. Reader', '2026-11-21T10:00:00.000Z');
    expect((await learned())!['a']).toHaveLength(LANDMARK_PERCENTILES.length);
  });

  it('is nothing that a mask of a person’s needs', () => {
    writeFileSync(file('drawn.nii.gz'), writeNifti(testVolume(testGrid(SIZE), Uint8Array, () => 1)));
    expect(codeOf(() => requireAcceptedMask(file('drawn.nii.gz')))).toBeNull();
    expect(codeOf(() => requireAcceptedMask(folder))).toBeNull();
    expect(codeOf(() => requireAcceptedMask(file('none.nii.gz')))).toBe('IMAGE_UNREADABLE');
  });
});
