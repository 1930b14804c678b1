import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeNrrd } from '../../site-agent/imaging/nrrd-write.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { extract, extractMaps } from '../../site-agent/radiomics/extract.js';
import { featureCsv, featureRow } from '../../site-agent/radiomics/feature-table.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { testGrid, testVolume } from '../support/images.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-extract-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => path.join(folder, name);

function save(name: string, volume: Volume): string {
  writeFileSync(at(name), writeNrrd(volume));
  return at(name);
}

const grid = testGrid([14, 13, 12], { spacingMm: [0.8, 0.8, 2] });
const volume = testVolume(grid, Int16Array, (x, y, z) => ((x * 37 + y * 91 + z * 53) % 97) + 20 * x);
const region = testVolume(grid, Uint8Array, (x, y, z) => (Math.hypot(x - 6, y - 6, z - 5) < 4 ? 2 : 0));
const image = save('image.nrrd', volume);
const mask = save('mask.nrrd', region);
const elsewhere = save('elsewhere.nrrd', { ...region, origin: [0.4, 0, 0] });
const PARAMS = `imageType: {Original: {}, LoG: {sigma: [1.0, 2.0]}, Wavelet: {}, Square: {binWidth: 10}}
featureClass: {shape: , firstorder: , glcm: [Contrast, Imc1], glszm: }
setting: {label: 2, resampledPixelSpacing: [1, 1, 2]}
`;
writeFileSync(at('params.yaml'), PARAMS);

function concordat(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['dist/cli/main.js', 'extract', ...args], { encoding: 'utf8' });
}

describe('concordat extract', () => {
  it('gives the same bytes with any number of threads, and those of the calling thread', () => {
    const { settings } = parseSettings(PARAMS, 'params.yaml');
    const own = extract({ image: volume, mask: region }, settings);
    const name = { case: 'p7', phase: 'arterial', timepoint: '', label: 2, settingsDigest: '' };
    for (const threads of ['1', '3']) {
      const out = at(`features-${threads}.csv`);
      const run = concordat(
        ...['--image', image, '--mask', mask, '--params', at('params.yaml'), '--threads', threads],
        ...['--case', 'p7', '--phase', 'arterial', '--out', out],
      );
      expect([run.status, run.stdout]).toEqual([0, `${featureCount(own)} features in ${out}\n`]);
      expect(readFileSync(out, 'utf8')).toBe(featureCsv([featureRow(name, own)]));
    }
  });

  it('writes JSON with codes, diagnostics and the settings’ digest', () => {
    const out = at('features.json');
    expect(concordat('--image', image, '--mask', mask, '--label', '2', '--out', out).status).toBe(0);
    const [row] = JSON.parse(readFileSync(out, 'utf8')) as [
      {
        status: string;
        label: number;
        settingsDigest: string;
        diagnostics: Record<string, unknown>;
        features: Record<string, { value: number; code?: string }>;
      },
    ];
    expect([row.status, row.label, Object.keys(row.features).length]).toEqual(['ok', 2, 107]);
    expect(row.settingsDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(row.features['original_firstorder_Mean']).toEqual({ value: expect.any(Number), code: 'Q4LE' });
    expect(row.diagnostics['Image-original_Size']).toEqual([14, 13, 12]);
  });

  it('says why a region has no features, in the table and by exit status 1', () => {
    const run = concordat('--image', image, '--mask', elsewhere, '--label', '2');
    expect(run.status).toBe(1);
    const lines = run.stdout.trim().split('\n');
    expect(lines[0]).toBe('case,phase,timepoint,label,status,reason');
    expect(lines[1]).toMatch(/^1,,,2,failed,"?IMAGE_GRID_MISMATCH: .*axis x.*0\.4 mm/);
    expect(run.stderr).toContain('failed: IMAGE_GRID_MISMATCH');
    expect(concordat('--image', image, '--mask', elsewhere, '--label', '2', '--resample-mask').status).toBe(0);
    writeFileSync(at('torn.nrrd'), readFileSync(image).subarray(0, 300));
    const torn = concordat('--image', at('torn.nrrd'), '--mask', mask, '--label', '2');
    expect([torn.status, torn.stdout.split('\n')[1]]).toEqual([1, expect.stringMatching(/^1,,,2,failed,"?IMAGE_/)]);
  });

  it('refuses wrong settings and usage with exit status 2, every problem at once', () => {
    writeFileSync(at('wrong.yaml'), 'setting: {binwidth: 25, force2Ddimension: 3}\n');
    const wrong = concordat('--image', image, '--mask', mask, '--params', at('wrong.yaml'));
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('did you mean "binWidth"?');
    expect(wrong.stderr).toContain('setting.force2Ddimension must be at most 2');
    const usage = concordat('--image', image, '--profile', 'isbi', '--out', 'x.txt');
    expect(usage.status).toBe(2);
    expect(usage.stderr).toMatch(/--mask <file> is missing; --profile is pyradiomics or ibsi.*; --out ends in/);
    const cohort = concordat('--cohort', at('cohort.yaml'), '--profile', 'isbi', '--out', 'x.txt');
    expect([cohort.status, cohort.stderr]).toEqual([
      2,
      expect.stringMatching(/--profile is pyradiomics.*; --out ends/),
    ]);
    const deep = concordat(
      '--image',
      image,
      '--mask',
      mask,
      '--deep',
      at('deep.yaml'),
      '--mode',
      'voxel',
      '--out',
      'x',
    );
    expect([deep.status, deep.stderr]).toEqual([2, expect.stringContaining('--deep goes with')]);
    expect(concordat('--image', at('none.nrrd'), '--mask', mask).status).toBe(2);
  });

  it('writes maps of features, the same with any number of threads', () => {
    writeFileSync(
      at('maps.yaml'),
      'imageType: {Original: {}, Square: {}}\nfeatureClass: {firstorder: [Mean], glcm: [Contrast]}\nsetting: {label: 2}\nvoxelSetting: {kernelRadius: 1}\n',
    );
    const maps = extractMaps(
      { image: volume, mask: region },
      parseSettings(readFileSync(at('maps.yaml'), 'utf8'), '').settings,
    );
    if (maps.status !== 'ok') throw new Error(maps.reason.message);
    expect(maps.maps.map(({ name }) => name)).toEqual([
      'original_firstorder_Mean',
      'original_glcm_Contrast',
      'square_firstorder_Mean',
      'square_glcm_Contrast',
    ]);
    const args = ['--image', image, '--mask', mask, '--params', at('maps.yaml'), '--mode', 'voxel'];
    const run = concordat(...args, '--threads', '2', '--out', at('maps'));
    expect([run.status, run.stdout]).toEqual([0, `4 maps in ${at('maps')}\n`]);
    for (const { name, volume: map } of maps.maps)
      expect(readImageFile(path.join(at('maps'), `${name}.nii.gz`)).data).toEqual(map.data);
    expect(concordat(...args, '--map-format', 'nrrd', '--out', at('nrrd')).status).toBe(0);
    expect(readImageFile(path.join(at('nrrd'), 'square_glcm_Contrast.nrrd')).size).toEqual(maps.maps[3]!.volume.size);
    expect(concordat(...args).status).toBe(2);
  });

  it('gives IBSI’s features under their tags', () => {
    writeFileSync(at('ibsi.yaml'), 'label: 2\ndiscretisation: {method: fbn, bins: 16}\ndimensions: ["3D"]\n');
    const run = concordat('--image', image, '--mask', mask, '--profile', 'ibsi', '--params', at('ibsi.yaml'));
    expect(run.status).toBe(0);
    const [names, values] = run.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(','));
    expect(names).toContain('cm_contrast_3D_avg');
    expect(Number(values![names!.indexOf('stat_mean')])).toBeGreaterThan(0);
    expect(concordat('--image', image, '--mask', mask, '--profile', 'ibsi', '--params', at('params.yaml')).status).toBe(
      2,
    );
  });
});

function featureCount(extraction: ReturnType<typeof extract>): number {
  return extraction.status === 'ok' ? extraction.features.size : 0;
}
