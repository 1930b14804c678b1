import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { tableFromImages } from '../../cli/simulate-images.js';
import { simulateTable } from '../../cli/simulate-table.js';
import { toHex } from '../../shared/hex.js';
import { seededRandom } from '../../shared/rng.js';
import { Secret } from '../../shared/secret.js';
import { type Study, studyHash } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { studyDocument } from '../../shared/study-signatures.js';
import type { FromSite } from '../../shared/wire/types.js';
import { initSite } from '../../site-agent/keys.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { AgentContext, type AgentProgress } from '../../site-agent/shell/agent-context.js';
import { Decisions } from '../../site-agent/shell/decisions.js';
import { encodeSiteRecord } from '../../site-agent/site-records.js';
import { openSiteStore } from '../../site-agent/store.js';
import {
  encoder,
  MODEL,
  OTHER_MODEL,
  putModel,
  type TinyRow,
  tinyImage,
  tinyMask,
  writeTinySite,
} from '../radiomics/deep-sites.js';
import { sha256Of } from '../radiomics/tiny-models.js';
import { concordat, OPEN_POLICY } from './support.js';

/**
 * Deep features over the command line. The outcome follows the difference between the head half of the patch and the other one, which the mean over the lesion
 * does not show and the encoder's first kernel does.
 */
const SITES = ['alder', 'birch', 'cedar'];
const PATIENTS = 14;
const random = seededRandom('deep over the command line');
const patients = SITES.flatMap((hospital) =>
  Array.from({ length: PATIENTS }, (_, at) => {
    const bright = 12 * random.normal();
    const mvi = random.uniform() < 1 / (1 + Math.exp(-bright / 2)) ? 1 : 0;
    return { id: `${hospital}-${at}`, hospital, mvi, bright };
  }),
);
const STUDY = {
  concordat: 1,
  name: 'deep',
  cohort: {
    endpoint: { type: 'binary', column: 'mvi' },
    features: ['arterial_original_firstorder_Mean', 'arterial_deep_*'],
  },
  imaging: {
    phases: ['arterial'],
    settings: { imageType: { Original: {} }, featureClass: { firstorder: ['Mean'] } },
    deep: [encoder()],
  },
  sites: { training: SITES },
  model: { type: 'logistic', alpha: 0.5, lambda: 0.01 },
  validation: { folds: 2 },
  privacy: { minimumCohort: 5, minimumCount: 3 },
};

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-deep-e2e-'));
const file = (...parts: string[]) => path.join(folder, ...parts);
async function run(...args: string[]) {
  const { status, stdout, stderr } = await concordat([...args, '--json']);
  expect(stderr).not.toMatch(/^\s+at /m);
  return { status, data: JSON.parse(stdout) };
}
let study: Study;
beforeAll(() => {
  const rows: TinyRow[] = patients.map(({ id, bright }) => ({
    case: id,
    phase: 'arterial',
    image: tinyImage(id, bright),
    mask: tinyMask(),
  }));
  writeTinySite(
    folder,
    rows,
    patients.map(({ id, hospital, mvi }) => ({ id, hospital, mvi })),
  );
  putModel(folder);
  writeFileSync(file('study.yaml'), stringify(STUDY));
  const parsed = parseStudy(stringify(STUDY), 'study.yaml');
  study = resolveFeatures(parsed, studyFeatureNames(parsed.imaging!));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('deep features over the command line', () => {
  it('are checked with a study where its model lies beside it', async () => {
    const { status, data } = await run('study', 'check', file('study.yaml'));
    expect(data.encoders).toEqual([
      {
        name: 'tiny',
        sha256: sha256Of(MODEL),
        features: 3,
        file: file('models', 'tiny.onnx'),
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
    expect([status, data.valid]).toEqual([0, true]);
  });

  it('decide a study in simulation, extracted from its images', async () => {
    const table = ['--table', file('cases.csv'), '--site-column', 'hospital', '--cohort', file('cohort.yaml')];
    const { status } = await run('simulate', file('study.yaml'), ...table, '--out', file('out'));
    expect(status).toBe(0);
    const { model, validation } = JSON.parse(readFileSync(file('out', 'result.json'), 'utf8'));
    const sizes = new Map<string, number>(
      model.coefficients.map(({ feature, value }: { feature: string; value: number }) => [feature, value]),
    );
    expect([...sizes.keys()].filter((name) => name.startsWith('arterial_'))).toEqual(study.cohort.features);
    expect(sizes.get('arterial_deep_tiny_0')).toBeGreaterThan(0);
    const [fold] = validation.folds;
    expect(fold.pooled.auc.value).toBeGreaterThan(0.85);
    // The same study with the mean alone, from the features that are there now.
    const options = { table: file('cases.csv'), cohort: file('cohort.yaml') };
    const extracted = (await tableFromImages(file('study.yaml'), options, { progress: () => undefined } as never))!;
    const cohort = { ...study.cohort, features: [study.cohort.features[0]!] };
    const mean = simulateTable(
      { ...study, cohort },
      { table: extracted, siteColumn: 'hospital', oneHolder: false, guard: true, cohortYaml: file('cohort.yaml') },
    );
    const { value } = mean.validation.folds[0]!.pooled['auc'] as { value: number };
    expect(value).toBeLessThan(0.7);
  });

  it('stand beside the others in `extract --cohort --deep`; what was extracted for the study is not extracted again', async () => {
    const { features: _, ...plain } = encoder({ encoder: 'models/tiny.onnx' });
    writeFileSync(file('deep.yaml'), stringify({ concordat: 1, deep: plain }));
    writeFileSync(file('params.yaml'), stringify(STUDY.imaging.settings));
    const how = ['--params', file('params.yaml'), '--deep', file('deep.yaml'), '--out', file('features.json')];
    const entries = () => readdirSync(file('features', 'cache')).length;
    const before = entries();
    const { status, data } = await run('extract', '--cohort', file('cohort.yaml'), ...how);
    // The other features have a digest of their own here, the encoder has not.
    expect(entries() - before).toBe(patients.length);
    expect([status, data.rows, data.failed]).toEqual([0, patients.length, 0]);
    const rows = JSON.parse(readFileSync(file('features.json'), 'utf8'));
    expect(Object.keys(rows[0].features)).toEqual([
      'original_firstorder_Mean',
      'deep_tiny_0',
      'deep_tiny_1',
      'deep_tiny_2',
    ]);
    expect(rows[0].settingsDigest).toBe(data.settingsDigest);
  });
});

describe('a site that is asked to approve', () => {
  const site = file('alder');
  beforeAll(async () => {
    await initSite(site, 'alder');
    for (const name of ['cases.csv', 'images.csv', 'cohort.yaml']) copyFileSync(file(name), path.join(site, name));
    const images = readFileSync(file('images.csv'), 'utf8').replaceAll('images/', '../images/');
    writeFileSync(path.join(site, 'images.csv'), images);
    writeFileSync(path.join(site, 'cohort.yaml'), `${readFileSync(file('cohort.yaml'), 'utf8')}site: hospital\n`);
    const store = openSiteStore(site);
    const proposed = { type: 'proposed', rosterVersion: 1, rosterHash: 'a'.repeat(64), atMs: 1 } as const;
    store.append([encodeSiteRecord(studyHash(study), { ...proposed, document: studyDocument(study) })]);
    store.close();
  });

  it('hears first which encoder it lacks; by policy it declines with the code alone', async () => {
    const missing = await run('site', 'approve', studyHash(study), '--dir', site, '--dry-run');
    expect(missing).toMatchObject({ status: 2, data: { error: { code: 'IMAGE_MODEL_MISSING' } } });
    expect(missing.data.error.message).toContain(sha256Of(MODEL));
    expect(missing.data.error.hint).toContain('models');

    putModel(site, OTHER_MODEL);
    const store = openSiteStore(site);
    const sent: FromSite[] = [];
    const told: AgentProgress[] = [];
    const unused = () => Promise.reject(new Error('not asked for'));
    const link = { connected: true, send: (message: FromSite) => sent.push(message), upload: unused, download: unused };
    const context = new AgentContext({
      site: 'alder',
      folder: site,
      signingKey: new Secret(new Uint8Array(32).fill(9)),
      consortiumPublicKey: new Uint8Array(32),
      authority: '',
      policy: parsePolicy(OPEN_POLICY, 'policy.yaml'),
      store,
      link: link as never,
      leavesOfStudy: () => ({}),
      restored: false,
      progress: (event) => told.push(event),
      nowMs: () => 1,
    });
    const proposed = { studyHash: studyHash(study), documentBlob: '', rosterVersion: 1 };
    await new Decisions(context, {} as never).onProposed(proposed as never);
    while (!told.some(({ kind }) => kind === 'problem')) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sent).toMatchObject([
      {
        type: 'approval',
        approval: { decision: 'declined', reason: "IMAGE_MODEL_CHANGED: this site cannot run the study's encoder" },
      },
    ]);
    const problem = told.find((event) => event.kind === 'problem')!;
    expect(problem).toMatchObject({
      code: 'IMAGE_MODEL_CHANGED',
      message: expect.stringContaining(sha256Of(OTHER_MODEL)),
    });
    expect(JSON.stringify(sent, (_, value) => (value instanceof Uint8Array ? toHex(value) : value))).not.toContain(
      'alder-',
    );
    store.close();
  });
});
