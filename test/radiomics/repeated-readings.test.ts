import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { runSimulation } from '../../cli/simulation.js';
import type { MomentsResult } from '../../shared/computations/frame.js';
import type { StabilityResult } from '../../shared/computations/stability/declaration.js';
import { ConcordatError } from '../../shared/errors.js';
import type { Study } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { loadCohort, readTable } from '../../site-agent/cohort-files.js';
import { freezeCohort } from '../../site-agent/cohort-freeze.site.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { ensureFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { ensureRepeats } from '../../site-agent/radiomics/shell/repeat-store.js';

const THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const root = mkdtempSync(path.join(tmpdir(), 'concordat-readings-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SITES = ['alder', 'birch', 'cedar'];
const FEATURES = [
  'arterial_original_shape_MajorAxisLength',
  'arterial_original_firstorder_Minimum',
  'arterial_original_shape_MeshVolume',
];

function study(stability: string, more = ''): Study {
  return parseStudy(
    `concordat: 1
name: readings
cohort: {endpoint: {type: binary, column: mvi}, features: [${FEATURES.join(', ')}]}
imaging:
  phases: [arterial]
  settings: {imageType: {Original: {}}, featureClass: {firstorder: [Minimum], shape: [MajorAxisLength, MeshVolume]}}
sites: {training: [${SITES.join(', ')}]}
selection: {stability: ${stability}}
model: {type: logistic, lambda: 1}
validation: {folds: 2, leaveOneSiteOut: true}
privacy: {minimumCohort: 4, minimumCount: 2, minSites: 3, showAggregate: [${SITES.join(', ')}]}
${more}`,
    'study.yaml',
  );
}

const PERTURBED =
  '{kind: "ICC(1,1)", minimum: 0.8, repeats: 2, source: {type: perturbations, translateMm: 1, volume: 0.1, contourMm: 0.5, noise: 1}}';

beforeAll(() => {
  for (const made of phantomCohort({ seed: 4, sites: SITES, casesPerSite: 9, modality: 'CT' }))
    writePhantomSite({ ...made, german: false }, 4, path.join(root, made.name));
}, 180_000);

const place = (site: string) => ({ folder: path.join(root, site), table: 'images.csv' });
const load = (of: Study, site: string) => loadCohort(of, path.join(root, site, 'cohort.yaml'), site);
async function prepared(of: Study, sites: readonly string[], threads = 1): Promise<(string | null)[]> {
  const files: (string | null)[] = [];
  for (const site of sites) {
    await ensureFeatures(of.imaging!, place(site), { threads, threadFile: THREAD });
    files.push(await ensureRepeats(of, place(site), { threads, threadFile: THREAD }));
  }
  return files;
}
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'nothing';
};

describe('a study that perturbs its lesions', () => {
  const of = study(PERTURBED);
  let files: (string | null)[];
  beforeAll(async () => {
    files = await prepared(of, SITES);
  }, 180_000);

  it('drops the feature that noise and outline decide, in every fold, and keeps the others', () => {
    const run = runSimulation(
      of,
      SITES.map((site) => load(of, site).cohort),
      {},
    );
    const { fits } = run.results.get('stability') as StabilityResult;
    const moments = run.results.get('moments') as MomentsResult;
    expect(run.plan.fits.length).toBeGreaterThan(3);
    for (const { id } of run.plan.fits) {
      expect([id, ...fits[id]!.keep]).toEqual([id, 1, 0, 1]);
      expect(moments.fits[id]!.sd[1]).toBe(0);
      expect(moments.fits[id]!.sd[0]).toBeGreaterThan(0);
    }
    expect(fits['none:all']!.value[1]).toBeLessThan(0.8);
    expect(fits['none:all']!.value[2]).toBeGreaterThan(0.9);
  });

  it('has as many readings of every patient, each other than the next, the same in another run and in one thread', async () => {
    const table = readTable(files[0]!);
    expect(table.header.slice(0, 2)).toEqual(['case', 'reading']);
    expect(new Set(table.header.slice(2))).toEqual(new Set(FEATURES));
    for (const id of new Set(table.rows.map((cells) => cells[0]))) {
      const rows = table.rows.filter((cells) => cells[0] === id);
      expect(rows.map((cells) => cells[1])).toEqual(['1', '2']);
      expect(new Set(rows.map((cells) => cells[2])).size).toBe(2);
    }
    const text = readFileSync(files[0]!, 'utf8');
    const cache = path.join(root, 'alder', 'features', 'cache');
    const before = readdirSync(cache).map((name) => statSync(path.join(cache, name)).mtimeMs);
    await prepared(of, ['alder']);
    expect(readdirSync(cache).map((name) => statSync(path.join(cache, name)).mtimeMs)).toEqual(before);
    rmSync(cache, { recursive: true });
    await prepared(of, ['alder'], 2);
    expect(readFileSync(files[0]!, 'utf8')).toBe(text);
  });

  it('asks for its readings before anything else, and for others where amounts, number or seed differ', () => {
    load(of, 'birch');
    expect(statSync(files[1]!).mode & 0o077).toBe(0);
    for (const other of [
      study(PERTURBED.replace('repeats: 2', 'repeats: 4')),
      study(PERTURBED.replace('noise: 1', 'noise: 2')),
      study(PERTURBED, 'seed: 12'),
    ])
      expect(codeOf(() => load(other, 'birch'))).toBe('COHORT_FEATURES_MISSING');
    // Another threshold is another question about the same readings.
    load(study(PERTURBED.replace('minimum: 0.8', 'minimum: 0.5')), 'birch');
  });

  it('freezes readings with the cohort', () => {
    const { cohort } = load(of, 'birch');
    const secret = new Uint8Array(32);
    const values = cohort.repeats!.values.slice();
    values[0]! += 1;
    const changed = freezeCohort({ ...cohort, repeats: { ...cohort.repeats!, values } }, secret);
    expect(changed.digest).not.toBe(freezeCohort(cohort, secret).digest);
  });
});

describe('a study with second readers', () => {
  const of = study('{minimum: 0.5, source: {type: readers}}');

  it('takes the reader without a name as the first, and a site without second readers as it is', async () => {
    // At alder somebody drew five of the lesions again, a voxel further along the first axis.
    const folder = path.join(root, 'alder');
    const images = readTable(path.join(folder, 'images.csv'));
    const lines = [`${images.header.join(',')},reader`, ...images.rows.map((cells) => `${cells.join(',')},`)];
    mkdirSync(path.join(folder, 'again'));
    const arterial = images.rows.filter((cells) => cells[1] === 'arterial').slice(0, 5);
    for (const [id, phase, image, mask] of arterial) {
      const drawn = readImageFile(path.join(folder, mask!));
      const data = drawn.data.slice();
      for (let k = data.length - 1; k > 0; k--) data[k] = drawn.data[k - 1]!;
      writeFileSync(path.join(folder, `again/${id}.nii.gz`), writeNifti({ ...drawn, data }));
      lines.push(`${id},${phase},${image},again/${id}.nii.gz,1,2,Dr Second`);
    }
    writeFileSync(path.join(folder, 'images.csv'), `${lines.join('\n')}\n`);
    const [file] = await prepared(of, ['alder', 'birch']);
    const table = readTable(file!);
    expect(table.rows.map((cells) => cells[1])).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2].map(String));
    const { cohort } = load(of, 'alder');
    const p = cohort.featureNames.length;
    const volume = cohort.featureNames.indexOf('arterial_original_shape_MeshVolume');
    const lowest = cohort.featureNames.indexOf('arterial_original_firstorder_Minimum');
    const reread = [...cohort.ids.keys()].filter((row) => !Number.isNaN(cohort.repeats!.values[row * 2 * p]!));
    expect(reread.length).toBeGreaterThan(1);
    let differing = 0;
    for (const row of reread) {
      const at = (reading: number, feature: number) => cohort.repeats!.values[(row * 2 + reading) * p + feature]!;
      expect(at(0, volume)).toBe(cohort.features[row * p + volume]);
      expect(at(0, lowest)).toBe(cohort.features[row * p + lowest]);
      expect(at(1, volume)).toBeCloseTo(at(0, volume), 6);
      if (at(1, lowest) !== at(0, lowest)) differing++;
    }
    expect(differing).toBeGreaterThan(0);
    expect(load(of, 'birch').cohort.repeats).toBeUndefined();
    expect(readFileSync(file!, 'utf8')).not.toContain('Second');
  });

  it('says how many readers it has where the study wants another number', async () => {
    const three = study('{repeats: 3, source: {type: readers}}');
    await expect(prepared(three, ['alder'])).rejects.toMatchObject({ code: 'COHORT_INVALID' });
  });
});

describe('a study document', () => {
  it('needs images and an amount where it perturbs, and without a source hashes as before', () => {
    expect(codeOf(() => study('{source: {type: perturbations}}'))).toBe('STUDY_INVALID');
    expect(codeOf(() => study('{source: {type: perturbations, noise: 9}}'))).toBe('STUDY_INVALID');
    const text = (source: string) =>
      `concordat: 1\nname: plain\ncohort: {endpoint: {type: binary, column: y}, features: [a]}\nsites: {training: [a, b, c]}\nselection: {stability: {${source}}}\nmodel: {type: logistic}\n`;
    expect(codeOf(() => parseStudy(text('source: {type: readers}'), 's'))).toBe('STUDY_INVALID');
    expect(parseStudy(text('source: {type: table}'), 's').selection!.stability!.source).toEqual({ type: 'table' });
    expect('source' in parseStudy(text(''), 's').selection!.stability!).toBe(false);
  });
});
