import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { extractCohortFiles } from '../../cli/extract-cohort.js';
import { phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { ConcordatError } from '../../shared/errors.js';
import { imagingSchema } from '../../shared/imaging.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { loadCohort, readTable } from '../../site-agent/cohort-files.js';
import { roiOf, valuesIn } from '../../site-agent/imaging/roi.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { ensureFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { canonicalImaging, imagingDigest } from '../../site-agent/radiomics/study-extraction.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';

const THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const root = mkdtempSync(path.join(tmpdir(), 'concordat-extraction-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SETTINGS = {
  imageType: { Original: {} },
  featureClass: { firstorder: ['Mean', 'Entropy'], shape: ['MeshVolume', 'Sphericity'] },
  setting: { binWidth: 10 },
};
const STUDY = `concordat: 1
name: images
cohort: {endpoint: {type: binary, column: mvi}, features: ["*_original_*"], covariates: [{column: age, unit: years}]}
imaging:
  phases: [arterial, portal-venous]
  settings: ${JSON.stringify(SETTINGS)}
  regions: [{name: lesion, kind: lesion}, {name: ring5, kind: ring, mm: 5}]
  difference: [[arterial, portal-venous]]
sites: {training: [alder, birch, cedar]}
model: {type: logistic}
validation: {folds: 2}
privacy: {minimumCohort: 5, minimumCount: 3}
`;
const parsed = parseStudy(STUDY, 'study.yaml');
const study = resolveFeatures(parsed, studyFeatureNames(parsed.imaging!));

function site(name: string, cases = 8): string {
  const folder = path.join(root, name);
  const [made] = phantomCohort({ seed: 5, sites: ['alder'], casesPerSite: cases, modality: 'CT' });
  writePhantomSite(made!, 5, folder);
  return folder;
}

const extractStudy = (folder: string, { imaging, ...more }: Record<string, unknown> = {}) => {
  const text = imaging === undefined ? STUDY : STUDY.replace('imaging:', `imaging:\n  ${imaging}`);
  writeFileSync(path.join(folder, 'study.yaml'), text);
  return extractCohortFiles({
    cohort: path.join(folder, 'cohort.yaml'),
    study: path.join(folder, 'study.yaml'),
    profile: 'pyradiomics',
    threads: 2,
    threadFile: THREAD,
    onCase: () => undefined,
    ...more,
  });
};
const codeOf = (run: () => unknown): ConcordatError => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('a cohort from its images', () => {
  let folder: string;
  beforeAll(async () => {
    folder = site('alder');
    await extractStudy(folder);
  });
  const load = (of = study) => loadCohort(of, path.join(folder, 'cohort.yaml'), 'alder');

  it('has the study’s features by phase, region and difference, equal to the voxels themselves', () => {
    expect(study.cohort.features.length).toBe(3 * 2 * 4);
    const { cohort } = load();
    const at = (name: string) => {
      const index = cohort.featureNames.indexOf(name);
      expect(index).toBeGreaterThanOrEqual(0);
      return cohort.features[index]!;
    };
    const id = cohort.ids[0]!;
    const read = (file: string) => readImageFile(path.join(folder, 'images', `${id}_${file}.nii.gz`));
    const lesion = roiOf(read('labels'), 1);
    const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [arterial, venous] = ['arterial', 'portal-venous'].map((phase) => mean(valuesIn(read(phase), lesion)));
    expect(at('arterial_original_firstorder_Mean')).toBeCloseTo(arterial!, 10);
    expect(at('arterial-minus-portal-venous_original_firstorder_Mean')).toBeCloseTo(arterial! - venous!, 10);
    // The ring holds liver only, which is darker than the lesion in the arterial phase.
    expect(at('arterial_ring5_original_firstorder_Mean')).toBeLessThan(arterial! - 10);
    expect(at('arterial_original_shape_MeshVolume')).toBeCloseTo(at('portal-venous_original_shape_MeshVolume'), 12);
  });

  it('is not extracted again from the same bytes, and is from others, whatever the number of threads', async () => {
    const cache = path.join(folder, 'features', 'cache');
    const before = readdirSync(cache).map((name) => [name, statSync(path.join(cache, name)).mtimeMs]);
    const table = readFileSync((await extractStudy(folder)).written, 'utf8');
    expect(readdirSync(cache).map((name) => [name, statSync(path.join(cache, name)).mtimeMs])).toEqual(before);
    const other = site('again');
    const one = await extractStudy(other, { threads: 1 });
    expect(readFileSync(one.written, 'utf8')).toBe(table);
    // The image of another patient under the first one's name: the cohort is no longer the one that was extracted.
    const [first, second] = load().cohort.ids;
    copyFileSync(
      path.join(other, 'images', `${second}_arterial.nii.gz`),
      path.join(other, 'images', `${first}_arterial.nii.gz`),
    );
    const changed = readFileSync((await extractStudy(other)).written, 'utf8');
    expect(changed).not.toBe(table);
    // A damaged entry of the cache is not believed.
    const [entry] = readdirSync(cache);
    writeFileSync(path.join(cache, entry!), '{"format":1,"status":"ok"}');
    expect(readFileSync((await extractStudy(folder)).written, 'utf8')).toBe(table);
  });

  it('under other settings names what differs, and which column has to come', () => {
    const other = { ...study, imaging: { ...study.imaging!, settings: { ...SETTINGS, setting: { binWidth: 25 } } } };
    const error = codeOf(() => load(other));
    expect(error.code).toBe('COHORT_FEATURES_MISSING');
    expect(error.problems.map(({ message }) => message).join()).toMatch(/binWidth.* 25.* 10/);
    const renamed = { ...study, imaging: imagingSchema.parse({ ...study.imaging!, lesions: 'volume-weighted' }) };
    expect(
      codeOf(() => load(renamed))
        .problems.map(({ message }) => message)
        .join(),
    ).toMatch(/lesions.*volume-weighted.*largest/);
    expect(imagingDigest(canonicalImaging(renamed.imaging))).not.toBe(imagingDigest(canonicalImaging(study.imaging!)));
  });
});

describe('a cohort with trouble', () => {
  it('keeps the rest where one case cannot be read, and says why without its name', async () => {
    const folder = site('trouble');
    const ids = readTable(path.join(folder, 'cases.csv')).rows.map((cells) => cells[0]!);
    writeFileSync(path.join(folder, 'images', `${ids[0]}_arterial.nii.gz`), 'not an image');
    rmSync(path.join(folder, 'images', `${ids[1]}_arterial.nii.gz`));
    rmSync(path.join(folder, 'images', `${ids[1]}_portal-venous.nii.gz`));
    const outcome = await extractStudy(folder);
    expect([outcome.rows, outcome.failed]).toEqual([ids.length, 1]);
    const table = readTable(outcome.written);
    expect(table.rows.slice(0, 3).map((cells) => cells[1])).toEqual(['partial', 'failed', 'ok']);
    expect(table.rows[0]![2]).toMatch(/arterial lesion: IMAGE_/);
    for (const row of table.rows.slice(0, 2)) expect(row[2]).not.toContain('SIM-');
    const { cohort } = loadCohort(study, path.join(folder, 'cohort.yaml'), 'alder');
    expect(cohort.exclusions).toContainEqual({ site: 'alder', reason: 'all features missing', count: 1 });
  });

  it('is refused before its features are extracted, after its table of images changed, and without images', async () => {
    const folder = site('late', 6);
    const load = () => loadCohort(study, path.join(folder, 'cohort.yaml'), 'alder');
    expect(codeOf(load).code).toBe('COHORT_FEATURES_MISSING');
    await ensureFeatures(study.imaging!, { folder, table: 'images.csv' }, { threads: 2, threadFile: THREAD });
    load();
    const table = readFileSync(path.join(folder, 'images.csv'), 'utf8');
    writeFileSync(path.join(folder, 'images.csv'), table.split('\n').slice(0, -3).join('\n'));
    expect(codeOf(load).message).toMatch(/changed since/);
    writeFileSync(path.join(folder, 'cohort.yaml'), 'concordat: 1\ntable: cases.csv\nid: patient_id\n');
    expect(codeOf(load).code).toBe('COHORT_IMAGES_MISSING');
  });

  it('gives one row an image where no study is named', async () => {
    const folder = site('plain', 4);
    writeFileSync(path.join(folder, 'params.yaml'), JSON.stringify(SETTINGS));
    const outcome = await extractCohortFiles({
      cohort: path.join(folder, 'cohort.yaml'),
      params: path.join(folder, 'params.yaml'),
      profile: 'pyradiomics',
      threads: 2,
      threadFile: THREAD,
      onCase: () => undefined,
      out: path.join(folder, 'out.csv'),
    });
    const table = readTable(path.join(folder, 'out.csv'));
    expect(table.header).toEqual([
      'case',
      'phase',
      'timepoint',
      'label',
      'status',
      'reason',
      'original_shape_MeshVolume',
      'original_shape_Sphericity',
      'original_firstorder_Mean',
      'original_firstorder_Entropy',
    ]);
    expect(table.rows.length).toBe(2 * 4);
    expect(outcome.failed).toBe(0);
  });

  it('of several lesions has one row a patient for a study, and one a lesion where that is asked for', async () => {
    const folder = site('several', 4);
    const [header, ...images] = readFileSync(path.join(folder, 'images.csv'), 'utf8').trimEnd().split('\n');
    expect(header).toBe('case,phase,image,mask,label,organ_label');
    // The liver serves as a second lesion of every case but the last.
    const others = images.slice(0, -2).map((line) => line.replace(/,1,2$/, ',2,2'));
    writeFileSync(path.join(folder, 'images.csv'), [header, ...images, ...others].join('\n'));
    const out = path.join(folder, 'lesions.csv');
    const patients = (await extractStudy(folder, { imaging: 'lesions: all' })).written;
    const { rows } = await extractStudy(folder, { imaging: 'lesions: all', byLesion: true, out });
    expect(rows).toBe(4 + 3);
    const [byPatient, byLesion] = [readTable(patients), readTable(out)];
    expect(byLesion.header.slice(0, 4)).toEqual(['case', 'lesion', 'status', 'reason']);
    expect(byLesion.header).toContain('arterial-minus-portal-venous_ring5_original_firstorder_Mean');
    const cells = (table: typeof byLesion, name: string, of: string) =>
      table.rows.filter((row) => row[0] === of).map((row) => Number(row[table.header.indexOf(name)]));
    for (const name of new Set(byLesion.rows.map((row) => row[0]!))) {
      const own = cells(byLesion, 'arterial_original_firstorder_Mean', name);
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      expect(cells(byPatient, 'arterial_original_firstorder_Mean_mean', name)).toEqual([mean]);
      expect(cells(byPatient, 'arterial_lesions', name)).toEqual([own.length]);
    }
    // Two masks whose lesions go by one label: only a name says which is which.
    const masks = others.map((line) => line.replace(/labels\.nii\.gz,2,2$/, 'copy.nii.gz,1,2'));
    writeFileSync(path.join(folder, 'images.csv'), [header, ...images, ...masks].join('\n'));
    const asked = extractStudy(folder, { imaging: 'lesions: all', byLesion: true, out });
    await expect(asked).rejects.toMatchObject({ code: 'COHORT_INVALID', message: expect.stringMatching(/3 cases/) });
  });
});
