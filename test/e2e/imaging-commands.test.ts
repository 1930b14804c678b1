import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { LESION_LABEL, phantomCase } from '../../site-agent/imaging/phantom/phantom.js';
import { roiOf, valuesIn } from '../../site-agent/imaging/roi.js';
import { identityModel, meanEncoder, sha256Of } from '../radiomics/tiny-models.js';
import { concordat } from './support.js';

/** Masks, models and quality over the command line, on one simulated lesion. */
const SCANNER = { modality: 'CT', spacingMm: [2, 2, 3], kernelMm: 0.5, noise: 1, offset: 0, gain: 1 } as const;
const LESION = { radiusMm: 9, irregularity: 0.05, heterogeneity: 3, grainMm: 3 };
const { images, labels } = phantomCase(LESION, SCANNER, 5);
const lesion = { ...labels, data: labels.data.map((value) => (value === LESION_LABEL ? 1 : 0)) };

let folder: string;
const file = (...parts: string[]) => path.join(folder, ...parts);

/** Runs a command with --json and gives its document and exit status. */
async function run(...args: string[]) {
  const { status, stdout, stderr } = await concordat([...args, '--json']);
  expect(stderr).not.toMatch(/^\s+at /m);
  return { status, data: JSON.parse(stdout) };
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-imaging-'));
  writeFileSync(file('ct.nii.gz'), writeNifti(images.arterial));
  writeFileSync(file('lesion.nii.gz'), writeNifti(lesion));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('concordat compare-masks', () => {
  it('tells how far two masks agree, and refuses what cannot be compared', async () => {
    const same = await run('compare-masks', file('lesion.nii.gz'), file('lesion.nii.gz'));
    expect(same).toMatchObject({ status: 0, data: { dice: { value: 1 }, surface: { hausdorffMm: { value: 0 } } } });
    const { stdout } = await concordat(['compare-masks', file('lesion.nii.gz'), file('lesion.nii.gz'), '--label', '7']);
    expect(stdout).toMatch(/^Dice +–$/m);
    expect(stdout).toContain('–: both masks are empty');
    writeFileSync(file('shifted.nii.gz'), writeNifti({ ...lesion, origin: [0, 0, 0] }));
    const shifted = await run('compare-masks', file('lesion.nii.gz'), file('shifted.nii.gz'));
    expect(shifted).toMatchObject({ status: 2, data: { error: { code: 'IMAGE_GRID_MISMATCH' } } });
  });
});

describe('concordat segment', () => {
  const shape = ['N', 1, 'D', 'H', 'W'];
  const params = () => file('params.yaml');
  const mask = () => file('proposed.nii.gz');
  const extract = () => run('extract', '--image', file('ct.nii.gz'), '--mask', mask(), '--params', params());

  it('proposes a mask that nothing is extracted from until someone accepts it', async () => {
    writeFileSync(params(), 'featureClass: {firstorder: [Mean]}\nimageType: {Original: {}}\n');
    writeFileSync(file('model.onnx'), identityModel(shape));
    const segment = {
      view: 'volume',
      outside: 0,
      intensity: { type: 'window', centre: 80, width: 40 },
      scores: 'probability',
    };
    writeFileSync(file('segment.yaml'), stringify({ concordat: 1, segment }));
    const settings = ['--image', file('ct.nii.gz'), '--model', file('model.onnx'), '--settings', file('segment.yaml')];
    const proposed = await run('segment', ...settings, '--out', mask());
    // The window's middle is 80, and so is the threshold.
    const voxels = images.arterial.data.filter((value) => value >= 80).length;
    expect(proposed).toMatchObject({ status: 0, data: { status: 'proposed', labels: [{ label: 1, voxels }] } });

    expect(await extract()).toMatchObject({ status: 3, data: { error: { code: 'IMAGE_MASK_NOT_ACCEPTED' } } });
    const accepted = await run('segment', 'accept', mask(), '--by', 'A. Reader');
    expect(accepted).toMatchObject({ status: 0, data: { status: 'accepted', by: 'A. Reader', corrected: false } });
    expect((await extract()).status).toBe(0);
    writeFileSync(mask(), writeNifti(lesion));
    expect(await extract()).toMatchObject({ status: 3, data: { error: { code: 'IMAGE_MASK_CHANGED' } } });
  });

  it('and an encoder adds its features to the others, under a digest of their own', async () => {
    const model = meanEncoder([1, 1, 4, 4, 4]);
    writeFileSync(file('encoder.onnx'), model);
    const deep = {
      name: 'mean',
      encoder: 'encoder.onnx',
      sha256: sha256Of(model),
      view: 'volume',
      spacingMm: [1, 1, 1],
      size: [4, 4, 4],
      outside: -1000,
      intensity: { type: 'none' },
    };
    writeFileSync(file('deep.yaml'), stringify({ concordat: 1, deep }));
    const base = ['extract', '--image', file('ct.nii.gz'), '--mask', file('lesion.nii.gz'), '--params', params()];
    const [plain, both] = await Promise.all([run(...base), run(...base, '--deep', file('deep.yaml'))]);
    expect(Object.keys(both.data[0].features)).toEqual(['original_firstorder_Mean', 'deep_mean_0']);
    // The middle of the lesion is lesion: its mean lies among the lesion's values.
    const values = valuesIn(images.arterial, roiOf(lesion)).sort();
    expect(both.data[0].features.deep_mean_0.value).toBeGreaterThan(values[Math.floor(values.length / 20)]!);
    expect(both.data[0].features.deep_mean_0.value).toBeLessThan(values[Math.ceil((19 * values.length) / 20)]!);
    expect(both.data[0].settingsDigest).not.toBe(plain.data[0].settingsDigest);
  });
});

describe('concordat quality', () => {
  it('writes a page, its data and its pictures into a folder that only the owner can read', async () => {
    mkdirSync(file('site'));
    const write = (name: string, content: string | Uint8Array) => writeFileSync(file('site', name), content);
    write('cohort.yaml', 'concordat: 1\ntable: cases.csv\nid: id\nimages: {table: images.csv}\n');
    write('cases.csv', 'id,mvi\nc1,0\nc2,1\nc3,1\nc4,0\n');
    write(
      'images.csv',
      'case,phase,image,mask\nc1,arterial,ct.nii.gz,lesion.nii.gz\nc2,arterial,cut.nii.gz,lesion.nii.gz\nc3,arterial,ct.nii.gz,p.nii.gz\n',
    );
    write('ct.nii.gz', writeNifti(images.arterial));
    write('cut.nii.gz', writeNifti(images.arterial).subarray(0, 3000));
    write('lesion.nii.gz', writeNifti(lesion));
    write('p.nii.gz', writeNifti(lesion, { description: 'Concordat: proposed by a model 0123' }));
    write('f.csv', 'case,phase,timepoint,label,status,reason,a,b\nc1,arterial,,1,ok,,1,2\nc2,arterial,,1,ok,,1,\n');
    const { status, data } = await run(
      'quality',
      '--cohort',
      file('site', 'cohort.yaml'),
      '--features',
      file('site', 'f.csv'),
      '--out',
      file('report'),
    );
    expect(status).toBe(0);
    expect(data).toMatchObject({ cases: 3, images: 3, excluded: 2, features: 2, constant: 1, incomplete: 1 });
    expect(statSync(file('report')).mode & 0o777).toBe(0o700);
    expect(statSync(file('report', 'index.html')).mode & 0o777).toBe(0o600);
    const report = JSON.parse(readFileSync(file('report', 'quality.json'), 'utf8'));
    expect(report.cases.map((one: { reason: { code: string } | null }) => one.reason?.code ?? null)).toEqual([
      null,
      'IMAGE_UNREADABLE',
      'IMAGE_MASK_NOT_ACCEPTED',
    ]);
    expect(report.cases[0].lesion.volumeMm3).toBe(12 * roiOf(lesion).indices.length);
    expect(report.exclusions).toEqual([{ reason: 'in the table of cases, without an image', cases: ['c4'], count: 1 }]);
    const picture = readFileSync(file('report', report.pictures[0].file));
    expect(readFileSync(file('report', 'index.html'), 'utf8')).toContain(picture.toString('base64'));
    const features = { featureClass: { firstorder: ['Mean'] } };
    write(
      'study.yaml',
      `concordat: 1
name: quality
cohort: {endpoint: {type: binary, column: mvi}, features: ["*_original_*"]}
imaging: {phases: [arterial], settings: ${JSON.stringify(features)}}
sites: {training: [alder, birch, cedar]}
model: {type: logistic}
validation: {folds: 2}
`,
    );
    const study = ['--study', file('site', 'study.yaml'), '--out', file('studied')];
    const studied = await run('quality', '--cohort', file('site', 'cohort.yaml'), ...study);
    expect(studied).toMatchObject({ status: 0, data: { features: 1, incomplete: 1 } });
    const { features: found, exclusions } = JSON.parse(readFileSync(file('studied', 'quality.json'), 'utf8'));
    expect(found).toMatchObject({ source: 'study quality', rows: ['c1', 'c2', 'c3'], list: [{ n: 1, missing: 2 }] });
    expect(exclusions).toContainEqual({ reason: 'by the study: all features missing', count: 3, cases: [] });
    const again = await run('quality', '--cohort', file('site', 'cohort.yaml'), '--out', file('report'));
    expect(again).toMatchObject({ status: 2, data: { error: { code: 'CLI_USAGE' } } });
  });
});

describe('concordat stability', () => {
  it('reads the masks of two readers, or perturbs each lesion, and keeps what holds', async () => {
    mkdirSync(file('read'));
    const write = (name: string, content: string | Uint8Array) => writeFileSync(file('read', name), content);
    /** The lesion without its first slices, and with more or fewer of its voxels as a second reader might have it. */
    const drawn = (slices: number, every: number) => {
      const inside = roiOf(lesion).indices;
      const kept = new Set(inside.subarray(Math.floor((slices * inside.length) / 10)));
      const data = lesion.data.map((_, at) => (kept.has(at) && (every === 0 || at % every !== 0) ? 1 : 0));
      return writeNifti({ ...lesion, data });
    };
    write('ct.nii.gz', writeNifti(images.arterial));
    const rows = [0, 3, 6].flatMap((slices) => {
      write(`${slices}.nii.gz`, drawn(slices, 0));
      write(`${slices}-second.nii.gz`, drawn(slices, 9));
      return [`c${slices},ct.nii.gz,${slices}.nii.gz,`, `c${slices},ct.nii.gz,${slices}-second.nii.gz,second`];
    });
    write('images.csv', `case,image,mask,reader\n${rows.join('\n')}\n`);
    write('cohort.yaml', 'concordat: 1\ntable: cases.csv\nid: id\nimages: {table: images.csv}\n');
    write('params.yaml', 'imageType: {Original: {}}\nfeatureClass: {shape: [VoxelVolume], firstorder: [Range]}\n');
    const of = ['--cohort', file('read', 'cohort.yaml'), '--params', file('read', 'params.yaml')];
    const out = file('read', 'stability.csv');
    const read = await run('stability', ...of, '--readers', '--kind', 'ICC(2,1)', '--out', out);
    expect(read).toMatchObject({
      status: 0,
      data: {
        failed: 0,
        kept: 2,
        features: [
          { n: 3, k: 2 },
          { n: 3, k: 2 },
        ],
      },
    });
    // A ninth of the voxels is missing everywhere: readers are consistent, and do not agree wholly.
    const volume = read.data.features.find(({ feature }: { feature: string }) => feature.endsWith('VoxelVolume'));
    expect(volume.icc['ICC(3,1)'].value).toBeGreaterThan(volume.icc['ICC(2,1)'].value);
    expect(readFileSync(out, 'utf8')).toMatch(/^feature,n,k,"ICC\(1,1\)"/);
    const perturbed = await run('stability', ...of, '--perturb', 'contourMm=0.5,volume=0.05', '--repeats', '2');
    expect(perturbed).toMatchObject({
      status: 0,
      data: {
        failed: 0,
        features: [
          { n: 3, k: 2 },
          { n: 3, k: 2 },
        ],
      },
    });
    const both = await run('stability', ...of, '--perturb', 'contourMm=0.5', '--readers');
    expect(both).toMatchObject({ status: 2, data: { error: { code: 'CLI_USAGE' } } });
  });
});
