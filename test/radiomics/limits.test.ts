import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { inspectFiles } from '../../site-agent/imaging/shell/inspect-files.js';
import { readImage } from '../../site-agent/imaging/shell/read-file.js';
import { extract, extractMaps, failureOf, type Source } from '../../site-agent/radiomics/extract.js';
import { ALL_AXES, directions } from '../../site-agent/radiomics/features/neighbourhood.js';
import { extractByIbsi, parseIbsiSettings } from '../../site-agent/radiomics/ibsi-profile.js';
import type { RegionRequest } from '../../site-agent/radiomics/region-task.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { FileDigests } from '../../site-agent/radiomics/shell/file-digests.js';
import { makeStore } from '../../site-agent/radiomics/shell/make-store.js';
import { RegionPool } from '../../site-agent/radiomics/shell/region-pool.js';
import { niftiFile } from '../imaging/nifti-files.js';
import { testGrid, testVolume } from '../support/images.js';

/** Settings and images of an unlucky hospital: each ends in a named error, before memory is gone. */
const folder = mkdtempSync(path.join(tmpdir(), 'concordat-limits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A ball in a counting image, one voxel of it replaced. */
function source(voxel: number | null = null, side = 12): Source {
  const grid = testGrid([side, side, side], { spacingMm: [1, 1, 1] });
  const middle = (side - 1) / 2;
  const image = testVolume(grid, Float32Array, (x, y, z) => x + side * (y + side * z));
  const near = (x: number, y: number, z: number) => Math.hypot(x - middle, y - middle, z - middle) < middle - 1;
  if (voxel !== null) image.data[6 + side * (6 + side * 6)] = voxel;
  return { image, mask: testVolume(grid, Uint8Array, (x, y, z) => (near(x, y, z) ? 1 : 0)) };
}
const codeOf = (params: string, from = source()): string => {
  const got = extract(from, parseSettings(params, 'params.yaml').settings);
  return got.status === 'failed' ? got.reason.code : 'ok';
};
const ibsiCode = (params: string, from = source()): string => {
  const got = extractByIbsi(from, parseIbsiSettings(params, 'params.yaml'));
  return got.status === 'failed' ? got.reason.code : 'ok';
};

describe('a voxel without a number', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%d in the region is an error', (voxel) => {
    expect(codeOf('{}', source(voxel))).toBe('IMAGE_NOT_FINITE');
    expect(ibsiCode('discretisation: {method: fbn, bins: 8}', source(voxel))).toBe('IMAGE_NOT_FINITE');
  });

  it('outside the region does no harm until a filter carries it in', () => {
    const outside = source();
    // Next to the region: the gradient carries it into a part of it, the recursive Gaussian everywhere.
    outside.image.data[5 + 12 * (5 + 12 * 10)] = Number.NaN;
    expect(codeOf('{}', outside)).toBe('ok');
    expect(codeOf('imageType: {Original: {}, LoG: {sigma: [1]}}', outside)).toBe('IMAGE_NOT_FINITE');
    const params = 'imageType: {Original: {}, Gradient: {}}\nfeatureClass: {firstorder: [Median], glcm: [Id]}';
    const got = extract(outside, parseSettings(params, 'params.yaml').settings);
    if (got.status === 'failed') throw new Error(got.reason.message);
    expect([...got.features].map(([name, { value, reason }]) => [name, value === null, reason])).toEqual([
      ['original_firstorder_Median', false, undefined],
      ['original_glcm_Id', false, undefined],
      ['gradient_firstorder_Median', true, expect.stringContaining('no number')],
      ['gradient_glcm_Id', true, expect.stringContaining('no number')],
    ]);
  });
});

describe('settings that ask for more than there is', () => {
  it.each([
    'LBP3D: {lbp3DIcosphereSubdivision: 15}',
    'LBP3D: {lbp3DLevels: 1000000}',
    'LBP2D: {lbp2DSamples: 100000000}',
    'Wavelet: {level: 200}',
    'Wavelet: {start_level: 3000000000}',
  ])('of time: %s', (type) => {
    expect(() => parseSettings(`imageType: {${type}}`, 'params.yaml')).toThrow(
      expect.objectContaining({ code: 'IMAGE_SETTINGS_INVALID' }),
    );
  });

  it('of time: kernels as large as a large region, and distances of millions of directions', () => {
    const side = 72;
    const grid = testGrid([side, side, side]);
    const all = { image: testVolume(grid, Uint8Array, (x) => x), mask: testVolume(grid, Uint8Array, () => 1) };
    const { settings } = parseSettings(
      'voxelSetting: {kernelRadius: 200}\nfeatureClass: {firstorder: [Mean]}',
      'p.yaml',
    );
    const reason = { code: 'IMAGE_SETTINGS_INVALID', message: expect.stringContaining('kernelRadius 200') };
    expect(extractMaps(all, settings)).toMatchObject({ status: 'failed', reason });
    // The same radius in a small region is a small kernel.
    expect(extractMaps(source(), settings)).toMatchObject({ status: 'ok' });
    expect(() => directions([400, 400, 400], [150], ALL_AXES)).toThrow(
      expect.objectContaining({ code: 'IMAGE_SETTINGS_INVALID' }),
    );
    expect(directions([4, 5, 6], [150, 2], ALL_AXES)).toHaveLength(directions([4, 5, 6], [2], ALL_AXES).length);
  });

  it.each([
    ['setting: {binCount: 1000000000}', null],
    ['setting: {binWidth: 0.000001}', null],
    ['setting: {binWidth: 1.0e-300}', null],
    ['{}', 3e38],
  ])('of grey levels: %s, a voxel of %s', (params, voxel) => {
    expect(codeOf(params, source(voxel))).toBe('IMAGE_LEVELS_TOO_MANY');
  });

  it('of co-occurrence, where first order goes on', () => {
    const many = source(null, 30);
    expect(codeOf('featureClass: {glcm: [Contrast]}\nsetting: {binWidth: 1}', many)).toBe('IMAGE_LEVELS_TOO_MANY');
    expect(codeOf('featureClass: {firstorder: [Entropy]}\nsetting: {binWidth: 1}', many)).toBe('ok');
  });

  it.each([
    'setting: {resampledPixelSpacing: [0.001, 0.001, 0.001]}',
    'setting: {resampledPixelSpacing: [1.0e-9, 1.0e-9, 1.0e-9], interpolator: sitkNearestNeighbor}',
  ])('of memory: %s', (params) => {
    expect(codeOf(params)).toBe('IMAGE_TOO_LARGE');
  });

  it('of memory, in the IBSI profile', () => {
    expect(ibsiCode('interpolation: {spacingMm: [0.001, 0.001, 0.001]}')).toBe('IMAGE_TOO_LARGE');
  });

  it('of memory that Node does not have, and no other RangeError', () => {
    const thrown = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (error) {
        return error;
      }
    };
    expect(failureOf(thrown(() => new Float64Array(2 ** 53 - 1))).code).toBe('IMAGE_TOO_LARGE');
    expect(() => failureOf(thrown(() => (1).toFixed(200)))).toThrow(RangeError);
  });
});

describe.skipIf(process.platform === 'win32')('what lies where a file should be', () => {
  const pipe = path.join(folder, 'PATIENT-17.nii');
  const series = path.join(folder, 'series');
  execFileSync('mkfifo', [pipe]);
  mkdirSync(series);
  writeFileSync(path.join(series, 'notes.txt'), 'a');
  symlinkSync(path.join(folder, 'nowhere'), path.join(series, 'link'));
  const caught = async (run: () => Promise<unknown>): Promise<ConcordatError> => {
    const error: unknown = await run().then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof ConcordatError)) throw new Error('no ConcordatError');
    return error;
  };

  it('a pipe is not waited for, and not named', async () => {
    for (const run of [() => readImage(pipe), () => new FileDigests(path.join(folder, 'files.json')).of(pipe)]) {
      const error = await caught(run);
      expect(error.code).toBe('IMAGE_UNREADABLE');
      expect(error.message).not.toContain('PATIENT');
    }
  });

  it('a link to nothing in a folder is passed over', async () => {
    const digests = new FileDigests(path.join(folder, 'files.json'));
    const before = await digests.of(series);
    rmSync(path.join(series, 'link'));
    expect(await digests.of(series)).toBe(before);
  });

  it('images whose headers are alike differ in their digest where their samples do', async () => {
    const whole = niftiFile({ dim: [2, 3, 2], magic: 'ni1\0', voxOffset: 0 });
    const nrrd = (files: string): string =>
      `NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 1 1\nspacings: 1 1 1\nencoding: raw\ndata file: ${files}\n`;
    const put = (where: string, name: string, content: string | Uint8Array) => {
      mkdirSync(path.join(folder, where), { recursive: true });
      writeFileSync(path.join(folder, where, name), content);
    };
    for (const where of ['one', 'other']) {
      put(where, 'a.hdr', whole.subarray(0, 348));
      put(where, 'a.img', whole.subarray(where === 'one' ? 352 : 348, where === 'one' ? undefined : -4));
      put(where, 'b.nhdr', nrrd('b.raw'));
      put(where, 'b.raw', where.slice(0, 2));
      put(where, 'c.nhdr', nrrd('c%d.raw 1 2 1'));
      put(where, 'c1.raw', 'x');
      put(where, 'c2.raw', where[1]!);
    }
    const digests = new FileDigests(path.join(folder, 'files.json'));
    const of = (where: string, name: string) => digests.of(path.join(folder, where, name));
    for (const name of ['a.hdr', 'a.img', 'b.nhdr', 'c.nhdr']) {
      expect(await of('one', name), name).not.toBe(await of('other', name));
      expect(await of('one', name)).toBe(await new FileDigests('none').of(path.join(folder, 'one', name)));
    }
    // Either half of a pair may be named.
    expect(await readImage(path.join(folder, 'one', 'a.img'))).toEqual(
      await readImage(path.join(folder, 'one', 'a.hdr')),
    );
    expect((await inspectFiles(path.join(folder, 'one', 'a.img'))).findings).toEqual([]);
  });

  it('a folder for features is this user’s alone, and an error where it cannot be made', () => {
    makeStore(path.join(folder, 'features', 'cache'));
    for (const name of ['features', 'features/cache'])
      expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o700);
    writeFileSync(path.join(folder, 'taken'), '');
    expect(() => makeStore(path.join(folder, 'taken', 'cache'))).toThrow(
      expect.objectContaining({ code: 'STORE_UNWRITABLE' }),
    );
  });
});

describe('a thread that goes', () => {
  const request = {} as RegionRequest;
  const pool = (name: string, does: string): RegionPool => {
    const file = path.join(folder, `${name}.mjs`);
    writeFileSync(
      file,
      `import { parentPort } from 'node:worker_threads';\nparentPort.on('message', () => { ${does} });\n`,
    );
    return new RegionPool(1, pathToFileURL(file));
  };

  it.each([
    ['exits', 'process.exit(0)', 'SITE_COMPUTATION_LOST'],
    ['throws', 'throw new Error("/data/PATIENT-17.nii")', 'SITE_COMPUTATION_LOST'],
    ['finds-a-bug', 'parentPort.postMessage({ bug: "TypeError" })', 'INTERNAL_BUG'],
  ])('%s: its region is failed, the next one gets another thread', async (name, does, code) => {
    const threads = pool(name, does);
    for (const kept of await Promise.all([threads.extract(request), threads.extract(request)])) {
      expect(kept).toMatchObject({ status: 'failed', reason: { code } });
      expect(JSON.stringify(kept)).not.toContain('PATIENT');
    }
    await threads.close();
  });
});
