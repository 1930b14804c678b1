import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { seededRandom } from '../../shared/rng.js';
import { patientAxes } from '../../site-agent/imaging/patient-axes.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Mask, Vec3, Volume } from '../../site-agent/imaging/volume.js';
import { deepFeatures } from '../../site-agent/radiomics/deep/encode.js';
import { largestSlice, patchOf } from '../../site-agent/radiomics/deep/patch.js';
import { RUNTIME } from '../../site-agent/radiomics/deep/runtime.js';
import {
  canonicalEncoder,
  type DeepSettings,
  deepDigest,
  parseDeepSettings,
} from '../../site-agent/radiomics/deep/settings.js';
import { DeepEncoder } from '../../site-agent/radiomics/shell/deep-encoder.js';
import { lostModel } from '../../site-agent/radiomics/shell/model-thread.js';
import { compiledWorker } from '../bundle/compiled-worker.js';
import { testGrid, testVolume } from '../support/images.js';
import { slowSample } from './slow-patch.js';
import { convolution, identityModel, meanEncoder, sha256Of, twoAndTwo } from './tiny-models.js';

const worker = compiledWorker('site-agent/radiomics/shell/model-worker.ts');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-deep-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BASE = {
  name: 'tiny',
  encoder: 'encoder.onnx',
  sha256: '0'.repeat(64),
  view: 'volume',
  spacingMm: [1, 1, 1],
  size: [4, 3, 2],
  outside: -1000,
  intensity: { type: 'none' },
};
const settingsOf = (changes: object = {}): DeepSettings =>
  parseDeepSettings(stringify({ concordat: 1, deep: { ...BASE, ...changes } }), 'deep.yaml');

const SIZE: Vec3 = [12, 11, 9];
const GRID = testGrid(SIZE, { spacingMm: [1, 1.5, 2], origin: [-3, 7, 20] });
const random = seededRandom('deep');
const noise = Float64Array.from({ length: 12 * 11 * 9 }, () => Math.round(100 * random.normal()));
const image = testVolume(GRID, Int16Array, (x, y, z) => noise[x + 12 * (y + 11 * z)]!);
const mask: Mask = testVolume(GRID, Uint8Array, (x, y, z) =>
  Math.abs(x - 6) + Math.abs(y - 5) + 2 * Math.abs(z - 4) <= 4 ? 1 : 0,
);

describe('a standard patch', () => {
  it('of a volume is the image at a grid around the centre of mass, left fastest, then back, then head', () => {
    const settings = settingsOf({ spacingMm: [1.25, 0.75, 2.5], size: [5, 4, 3] });
    const { values, shape } = patchOf(image, roiOf(mask), settings);
    expect(shape).toEqual([1, 1, 3, 4, 5]);
    // The region is symmetric around voxel (6, 5, 4).
    const centre = [-3 + 6, 7 + 1.5 * 5, 20 + 2 * 4] as const;
    let at = 0;
    for (let z = -1; z <= 1; z++)
      for (let y = -1.5; y <= 1.5; y++)
        for (let x = -2; x <= 2; x++, at++) {
          const point: Vec3 = [centre[0] + 1.25 * x, centre[1] + 0.75 * y, centre[2] + 2.5 * z];
          expect(values[at]).toBeCloseTo(slowSample(image, point, -1000), 9);
        }
  });

  it('is the same however the file stores its voxels', () => {
    const settings = settingsOf({ size: [6, 5, 4], spacingMm: [1, 1, 1] });
    // Axes in the order head, left, back, with left running to the right: the same points in space.
    const [nx, ny, nz] = SIZE;
    const turned = (volume: Volume) => ({
      size: [nz, nx, ny] as Vec3,
      spacingMm: [2, 1, 1.5] as Vec3,
      origin: [-3 + (nx - 1), 7, 20] as Vec3,
      direction: [0, -1, 0, 0, 0, 1, 1, 0, 0],
      data: Int16Array.from({ length: nx * ny * nz }, (_, i) => {
        const [z, x, y] = [i % nz, nx - 1 - (Math.floor(i / nz) % nx), Math.floor(i / (nz * nx))];
        return volume.data[x + nx * (y + ny * z)]!;
      }),
    });
    const other = turned(image);
    const otherMask = { ...turned(mask), data: Uint8Array.from(turned(mask).data) };
    expect(patientAxes(other)).toMatchObject({ axis: [1, 2, 0], sense: [-1, 1, 1] });
    for (const view of ['volume', 'largest-slice', 'orthogonal']) {
      const own = view === 'volume' ? settings : settingsOf({ view, size: [5, 5], spacingMm: [0.8, 0.8] });
      const [one, two] = [patchOf(image, roiOf(mask), own), patchOf(other, roiOf(otherMask), own)];
      expect(two.shape).toEqual(one.shape);
      one.values.forEach((value, at) => {
        expect(two.values[at]).toBeCloseTo(value, 8);
      });
    }
  });

  it('of an oblique image keeps the image’s own planes', () => {
    const [c, s] = [Math.cos(0.4), Math.sin(0.4)];
    const oblique = { ...image, direction: [c, -s, 0, s, c, 0, 0, 0, 1] };
    const { direction, axis } = patientAxes(oblique);
    expect(axis).toEqual([0, 1, 2]);
    expect(direction).toEqual(oblique.direction);
    const settings = settingsOf({ spacingMm: [1, 1.5, 2], size: [3, 3, 1] });
    const region = roiOf({ ...mask, direction: oblique.direction });
    expect(Array.from(patchOf(oblique, region, settings).values, Math.round)).toEqual(
      Array.from(patchOf(image, roiOf(mask), settings).values, Math.round),
    );
  });

  it('takes the axial slice with most voxels, the lowest of equal ones, and centres on the region there', () => {
    // Slices 2 and 5 have four voxels each, slice 3 has one.
    const spots = [
      [2, 2, 2],
      [3, 2, 2],
      [2, 3, 2],
      [3, 3, 2],
      [9, 9, 3],
      [8, 8, 5],
      [9, 8, 5],
      [8, 9, 5],
      [9, 9, 5],
    ];
    const spotted: Mask = testVolume(GRID, Uint8Array, (x, y, z) =>
      spots.some((spot) => spot[0] === x && spot[1] === y && spot[2] === z) ? 1 : 0,
    );
    expect(largestSlice(roiOf(spotted), patientAxes(GRID)).slice).toBe(2);
    const settings = settingsOf({ view: 'largest-slice', size: [2, 2], spacingMm: [1, 1.5] });
    const at = (x: number, y: number, z: number) => noise[x + 12 * (y + 11 * z)]!;
    const found = patchOf(image, roiOf(spotted), settings);
    expect(found.shape).toEqual([1, 1, 2, 2]);
    expect(Array.from(found.values)).toEqual([at(2, 2, 2), at(3, 2, 2), at(2, 3, 2), at(3, 3, 2)]);
  });

  it('takes three planes as channels, axial, coronal and sagittal', () => {
    const settings = settingsOf({ view: 'orthogonal', size: [3, 3], spacingMm: [1, 1] });
    const { values, shape } = patchOf(image, roiOf(mask), settings);
    expect(shape).toEqual([1, 3, 3, 3]);
    const centre = [3, 14.5, 28] as const;
    let at = 0;
    for (const [column, row] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const)
      for (let v = -1; v <= 1; v++)
        for (let u = -1; u <= 1; u++, at++) {
          const point = [...centre] as [number, number, number];
          point[column] += u;
          point[row] += v;
          expect(values[at]).toBeCloseTo(slowSample(image, point, -1000), 9);
        }
  });

  it('sets intensities by a window, or to mean 0 and standard deviation 1, then scales channels', () => {
    const far = settingsOf({ size: [40, 1, 1], intensity: { type: 'window', centre: 20, width: 80 } });
    const windowed = patchOf(image, roiOf(mask), far).values;
    expect(windowed[0]).toBe(0);
    expect(windowed.some((value) => value > 0 && value < 1)).toBe(true);
    const raw = patchOf(image, roiOf(mask), { ...far, intensity: { type: 'none' } }).values;
    expect(raw[0]).toBe(-1000);
    windowed.forEach((value, at) => {
      expect(value).toBeCloseTo(Math.min(1, Math.max(0, (raw[at]! + 20) / 80)), 12);
    });
    const score = patchOf(image, roiOf(mask), settingsOf({ intensity: { type: 'zscore', over: 'patch' } })).values;
    const mean = score.reduce((sum, value) => sum + value, 0) / score.length;
    const square = score.reduce((sum, value) => sum + value * value, 0) / score.length;
    expect(mean).toBeCloseTo(0, 12);
    expect(square).toBeCloseTo(1, 12);
    const flat = { ...image, data: new Int16Array(image.data.length).fill(7) };
    const region = settingsOf({ intensity: { type: 'zscore', over: 'region' } });
    expect(Array.from(patchOf(flat, roiOf(mask), region).values)).toEqual(new Array(24).fill(0));
    const scaled = settingsOf({ channels: 2, scale: { mean: [1, 2], sd: [2, 4] } });
    const plain = patchOf(image, roiOf(mask), settingsOf()).values;
    expect(Array.from(patchOf(image, roiOf(mask), scaled).values)).toEqual([
      ...Array.from(plain, (value) => (value - 1) / 2),
      ...Array.from(plain, (value) => (value - 2) / 4),
    ]);
  });
});

describe('an encoder', () => {
  const open = (model: Uint8Array, changes: object = {}) => {
    writeFileSync(path.join(folder, 'encoder.onnx'), model);
    return DeepEncoder.open(settingsOf({ sha256: sha256Of(model), ...changes }), folder, worker);
  };

  it('gives named features: the mean of the patch, in float32 and in float64', async () => {
    const patch = patchOf(image, roiOf(mask), settingsOf()).values;
    const mean = patch.reduce((sum, value) => sum + value, 0) / patch.length;
    for (const type of ['float', 'double'] as const) {
      const encoder = await open(meanEncoder([1, 1, 2, 3, 4], type));
      const features = await encoder.features(image, roiOf(mask));
      await encoder.close();
      expect([...features.keys()]).toEqual(['deep_tiny_0']);
      const value = features.get('deep_tiny_0')!.value!;
      expect(Math.abs(value - mean)).toBeLessThan(type === 'float' ? 1e-4 : 1e-10);
    }
  });

  it('with a convolution equals a slow twin, axis by axis, and gives the same bits again', async () => {
    const weights = Array.from({ length: 2 * 2 * 2 * 3 }, () => random.normal());
    const model = convolution(['N', 1, 'D', 'H', 'W'], [2, 2, 3], weights);
    const intensity = { type: 'window', centre: 0, width: 200 };
    const encoder = await open(model, { intensity, size: [5, 4, 3] });
    const features = await encoder.features(image, roiOf(mask));
    expect(await encoder.features(image, roiOf(mask))).toEqual(features);
    await encoder.close();
    const { values } = patchOf(image, roiOf(mask), settingsOf({ intensity, size: [5, 4, 3] }));
    const twin: number[] = [];
    for (let k = 0; k < 2; k++)
      for (let z = 0; z < 2; z++)
        for (let y = 0; y < 3; y++)
          for (let x = 0; x < 3; x++) {
            let sum = 0;
            for (let c = 0; c < 2; c++)
              for (let b = 0; b < 2; b++)
                for (let a = 0; a < 3; a++)
                  sum += weights[a + 3 * (b + 2 * (c + 2 * k))]! * values[x + a + 5 * (y + b + 4 * (z + c))]!;
            twin.push(sum);
          }
    expect([...features.keys()]).toEqual(twin.map((_, at) => `deep_tiny_${at}`));
    for (const [at, value] of twin.entries())
      expect(Math.abs(features.get(`deep_tiny_${at}`)!.value! - value)).toBeLessThan(1e-5);
  });

  it('that is another file than stated, damaged, or does not fit, is refused by name', async () => {
    const refusal = (opened: Promise<DeepEncoder>) =>
      opened.then(
        () => null,
        (error: unknown) => error as { code: string; message: string },
      );
    const good = meanEncoder([1, 1, 2, 3, 4]);
    expect(await refusal(open(good, { sha256: 'a'.repeat(64) }))).toMatchObject({ code: 'IMAGE_MODEL_CHANGED' });
    expect(await refusal(open(good, { encoder: 'none.onnx' }))).toMatchObject({ code: 'IMAGE_MODEL_UNREADABLE' });
    expect(await refusal(open(good.subarray(0, 40)))).toMatchObject({ code: 'IMAGE_MODEL_UNREADABLE' });
    expect(await refusal(open(meanEncoder([1, 1, 2, 3, 5])))).toMatchObject({
      code: 'IMAGE_MODEL_INPUT',
      message: "the model's input has the shape [1, 1, 2, 3, 5], the settings make [1, 1, 2, 3, 4]",
    });
    expect(await refusal(open(meanEncoder([1, 1, 3, 4])))).toMatchObject({ code: 'IMAGE_MODEL_INPUT' });
    expect(await refusal(open(twoAndTwo()))).toMatchObject({ code: 'IMAGE_MODEL_INPUT' });
    const other = open(identityModel([1, 1, 2, 3, 4]), { output: 'nothing' });
    expect(await refusal(other)).toMatchObject({
      code: 'IMAGE_MODEL_OUTPUT',
      message: expect.stringContaining('scores'),
    });
    expect(await refusal(open(identityModel([1, 1, 2, 3, 4], 'int64')))).toMatchObject({ code: 'IMAGE_MODEL_INPUT' });
    // The kernel is larger than the patch, which only the runtime can tell.
    const large = await open(convolution(['N', 1, 'D', 'H', 'W'], [9, 9, 9], new Array(729).fill(1)));
    await expect(large.features(image, roiOf(mask))).rejects.toMatchObject({ code: 'IMAGE_MODEL_FAILED' });
    await large.close();
  });

  it('whose output is no batch of one, or empty, gives no features; what is not finite is missing', () => {
    const wrong = { values: new Float32Array(2), shape: [2, 1] };
    expect(() => deepFeatures('x', wrong)).toThrow('the encoder gave the shape [2, 1] for one patch');
    expect(() => deepFeatures('x', { values: new Float32Array(0), shape: [1, 0] })).toThrow('0 numbers');
    const { value, reason } = deepFeatures('x', { values: Float32Array.of(Number.NaN), shape: [1, 1] }).get(
      'deep_x_0',
    )!;
    expect([value, reason]).toEqual([null, 'the encoder gave no finite number']);
  });
});

describe('a model whose thread is lost', () => {
  const died = `import { parentPort } from 'node:worker_threads';
const value = (name, shape) => ({ name, type: 'float64', shape });
parentPort.postMessage({ facts: { inputs: [value('image', [1, 1, 2, 3, 4])], outputs: [value('features', [1, 1])] } });
let asked = 0;
parentPort.on('message', ({ values }) => {
  if (values[0] === 0) return parentPort.postMessage({ tensor: { values: Float64Array.of(7), shape: [1, 1] } });
  throw new Error('cannot map /srv/images/Miller^Anna/ct.nii: intensities ' + values.join());
});`;

  it('says neither path nor intensities, takes one region with it, and waits for nobody afterwards', async () => {
    const model = meanEncoder([1, 1, 2, 3, 4], 'double');
    const file = path.join(folder, 'lost.onnx');
    writeFileSync(file, model);
    writeFileSync(path.join(folder, 'lost.mjs'), died);
    const url = pathToFileURL(path.join(folder, 'lost.mjs'));
    const encoder = await DeepEncoder.openAt(settingsOf({ sha256: sha256Of(model) }), file, url);
    expect(await encoder.count()).toBe(1);
    for (let again = 0; again < 2; again++)
      await expect(encoder.features(image, roiOf(mask))).rejects.toMatchObject({
        code: 'SITE_COMPUTATION_LOST',
        message: 'the thread that runs the model was lost: Error',
      });
    const zeros = { values: new Float64Array(24), shape: [1, 1, 2, 3, 4] };
    expect((await encoder.featuresOf(zeros)).get('deep_tiny_0')).toEqual({ value: 7 });
    await encoder.close();
    const memory = Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' });
    expect(lostModel(memory).code).toBe('IMAGE_TOO_LARGE');
    expect(lostModel(null).message).toBe('the thread that runs the model was lost: it ended');
  });
});

describe('settings of deep features', () => {
  it('have a digest that changes with the encoder’s bytes and every choice, not with its file name', () => {
    const digest = deepDigest(settingsOf());
    expect(deepDigest(settingsOf({ encoder: 'elsewhere/e.onnx' }))).toBe(digest);
    const others = [{ sha256: '1'.repeat(64) }, { outside: 0 }, { centre: 'box' }, { size: [4, 3, 3] }];
    for (const change of others) expect(deepDigest(settingsOf(change)), JSON.stringify(change)).not.toBe(digest);
    // The runtime is in it too, in the version that is installed.
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(RUNTIME.version).toBe(dependencies['onnxruntime-node']);
    expect(canonicalEncoder(settingsOf())).toMatchObject({ runtime: RUNTIME, sha256: '0'.repeat(64) });
  });

  it('name every problem at once', () => {
    const problems = (changes: object) => {
      try {
        settingsOf(changes);
        return [];
      } catch (error) {
        const { code, problems: found } = error as { code: string; problems: { message: string; row: number }[] };
        expect(code).toBe('IMAGE_SETTINGS_INVALID');
        return found.map(({ message }) => message);
      }
    };
    expect(problems({ view: 'orthogonal', size: [4, 3], spacingMm: [1, 1, 1], channels: 3 })).toEqual([
      'orthogonal takes 2 spacings',
      'orthogonal planes are square',
      'orthogonal planes are three channels already',
    ]);
    expect(problems({ size: [4000, 3, 2], windw: 1 })).toHaveLength(2);
    expect(problems({ scale: { mean: [1], sd: [1, 2] } })).toEqual([
      'there are 1 channels, and so many numbers it takes',
    ]);
    expect(problems({ view: 'largest-slice' })).toHaveLength(2);
    expect(problems({ size: [2048, 2048, 2048] })).toHaveLength(1);
  });
});
