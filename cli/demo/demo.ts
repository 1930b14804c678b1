import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { currentRoster } from '../../coordinator/enrollment.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import type { ModelSummary } from '../../shared/computations/frame.js';
import type { Metrics, ValidationFold } from '../../shared/computations/validate/result.js';
import type { LedgerEntry } from '../../shared/egress-ledger.js';
import { ConcordatError } from '../../shared/errors.js';
import { rosterHash } from '../../shared/roster.js';
import { readStoredJson } from '../../shared/stored-shapes.js';
import { modelName, type Study, studyHash, studySites } from '../../shared/study.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { readLedger } from '../../site-agent/shell/ledger-keeper.js';
import { openSiteStore } from '../../site-agent/store.js';
import { approvalPicture } from '../approval-picture.js';
import { readFolder } from '../commands/model.js';
import type { Output } from '../console.js';
import { readConsortiumPublicKey } from '../consortium-keys.js';
import { extractionProgress } from '../extraction-progress.js';
import { bytes, duration, estimate, percent, significant, table } from '../format.js';
import { writePhantomSite } from '../phantom-cohort.js';
import { predictTable } from '../predict.js';
import { comparePooled, sameBitsAsSimulation } from './comparison.js';
import {
  type Federation,
  freshFolder,
  proposeStudy,
  publishedFolder,
  startFederation,
  stopFederation,
} from './federation.js';
import { demoCohort, demoStudy, extractAll, newPatient, pooledTable } from './images.js';
import { killAfterAcknowledged } from './interruption.js';
import { pause, until } from './processes.js';
import { RoundProgress } from './progress.js';

const POLICY = `# The demo's policy approves by itself what it allows. A hospital would not.
concordat: 1
automaticApproval: true
visibility: {metrics: true, descriptions: true, aggregate: true}
`;

/** The part of result.json that the demo shows. */
interface ShownResult {
  readonly sites: readonly {
    readonly name: string;
    readonly role: string;
    readonly n: unknown;
    readonly events: unknown;
  }[];
  readonly harmonization: {
    readonly varianceBetweenSites: Readonly<Record<string, readonly (number | null)[] | null>>;
  };
  readonly model: { readonly coefficients: ModelSummary['coefficients'] };
  readonly validation: { readonly folds: readonly ValidationFold[]; readonly sites: Readonly<Record<string, Metrics>> };
}

const shownShape = z.looseObject({
  sites: z.array(z.looseObject({ name: z.string(), role: z.string() })),
  harmonization: z.looseObject({
    varianceBetweenSites: z.record(z.string(), z.array(z.number().nullable()).nullable()),
  }),
  model: z.looseObject({ coefficients: z.array(z.looseObject({})) }),
  validation: z.looseObject({
    folds: z.array(z.looseObject({})),
    sites: z.record(z.string(), z.looseObject({})),
  }),
});

/** The first whole journey, for a newcomer's eyes: six processes, nothing hidden, nothing hard-coded. */
export async function runDemo(wanted: string, seed: number, out: Output): Promise<void> {
  const startedMs = Date.now();
  const folder = freshFolder(path.resolve(wanted));
  const shown = path.relative(process.cwd(), folder) || '.';
  const say = (text = '') => out.progress(text);
  const cohort = demoCohort(seed);
  const data = path.join(folder, 'data');
  const study = demoStudy(seed, data);
  const names = cohort.map((site) => site.name);
  const cases = cohort.reduce((sum, site) => sum + site.patients.length, 0);

  say('Concordat demo: SIMULATED CT of hepatocellular carcinoma, five hospitals, no real person.');
  say();
  say('1  Enroll');
  const federation = await startFederation(folder, names, 0, (site, siteFolder) => {
    writePhantomSite(cohort.find(({ name }) => name === site)!, seed, siteFolder);
    writeFileSync(path.join(siteFolder, 'policy.yaml'), POLICY);
  });
  try {
    say(
      `  coordinator and ${names.length} site agents are ${names.length + 1} processes on 127.0.0.1, mutual TLS 1.3, one port`,
    );
    say(
      `  roster signed by the consortium key in ${path.join(shown, 'consortium')} (a real one is kept on another host)`,
    );
    say();
    say('2  Extract features, at every hospital from its own images');
    await extractFeatures(study, federation, cases, out);
    writeFileSync(path.join(data, 'pooled.csv'), pooledTable(study, cohort, federation.siteFolder));
    say();
    say(`3  What ${names[0]} would send`);
    say(indent(picture(study, federation, names[0]!)));
    say();
    say('4  Approve under the demo’s policy, and run');
    const published = await runStudy(federation, study, say);
    say();
    say('5  Result');
    await showResult({ federation, study, published, data, shown, startedMs, out });
  } finally {
    await stopFederation(federation);
  }
}

async function extractFeatures(study: Study, federation: Federation, cases: number, out: Output): Promise<void> {
  const progress = extractionProgress(out);
  await extractAll(study, federation.siteFolder, progress.onCase, cases);
  progress.end();
  const { phases } = study.imaging!;
  out.progress(
    `  ${phases.length} phases of ${cases} lesions resampled to 2 mm; images and features stay in each site's folder`,
  );
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
    .join('\n');
}

function picture(study: Study, federation: Federation, site: string): string {
  const cohort = loadCohort(study, path.join(federation.siteFolder(site), 'cohort.yaml'), site);
  const roster = currentRoster(federation.coordinatorFolder)!;
  const known = { studyHash: studyHash(study), rosterVersion: roster.version, rosterHash: rosterHash(roster) };
  return approvalPicture(study, known, roster, site, { cohort, withdrawnSince: 0, reasons: [] }).text;
}

async function runStudy(federation: Federation, study: Study, say: (text: string) => void): Promise<string> {
  const progress = new RoundProgress((text) => process.stderr.write(text), process.stderr.isTTY === true);
  const { coordinator, sites } = federation;
  let failed: string | null = null;
  let isPublished = false;
  coordinator.watch((line) => {
    progress.line(line);
    const phase = /^study \S+ (approved|running|validated|ratified|published|declined|failed|withdrawn)\b(.*)$/.exec(
      line,
    );
    if (phase === null) return;
    if (['declined', 'failed', 'withdrawn'].includes(phase[1]!)) failed = line;
    if (phase[1] === 'published') isPublished = true;
    progress.say(`${phase[1]}${phase[2]}`);
  });
  // The published model's fifth round: early enough to show that the rest follows.
  const model = modelName(study.model);
  const [victim, holder] = [study.sites.training[1]!, study.sites.training[2]!];
  const begins = new RegExp(` round \\d+ ${model} 5$`);
  const isOver = () => failed !== null || !coordinator.running;
  const killed = killAfterAcknowledged(federation, victim, holder, (line) => begins.test(line), isOver);
  const hash = await proposeStudy(federation, study);
  say(`  study ${hash}`);
  const round = await killed;
  if (round === null) await watchFailure(() => failed, federation);
  progress.say(`SIGKILL to ${victim}: its masked input of round ${round} is acknowledged, the round not yet unmasked`);
  await pause(1500);
  sites.get(victim)!.start();
  progress.say(`${victim} started again; the study goes on where it stopped`);
  const result = path.join(publishedFolder(federation, study), 'status.json');
  const ends = until(
    () => ((existsSync(result) && isPublished) || isOver() ? path.dirname(result) : undefined),
    () =>
      new ConcordatError(
        'INTERNAL_BUG',
        `the study did not end; see the logs in ${path.join(federation.folder, 'logs')}`,
      ),
    600_000,
  );
  const published = await ends;
  if (!existsSync(result)) await watchFailure(() => failed, federation);
  progress.clear();
  return published;
}

async function watchFailure(failed: () => string | null, federation: Federation): Promise<never> {
  for (;;) {
    const line = failed();
    if (line !== null) throw new ConcordatError('STUDY_WRONG_PHASE', line);
    if (!federation.coordinator.running)
      throw new ConcordatError('INTERNAL_BUG', `the coordinator ended: ${federation.coordinator.exitText}`);
    await pause(100);
  }
}

interface Shown {
  readonly federation: Federation;
  readonly study: Study;
  readonly published: string;
  readonly data: string;
  readonly shown: string;
  readonly startedMs: number;
  readonly out: Output;
}

async function showResult(input: Shown): Promise<void> {
  const { federation, study, published, out } = input;
  const bundle = path.join(published, 'bundle');
  const resultBytes = readFileSync(path.join(bundle, 'result.json'));
  const result = readStoredJson(resultBytes.toString('utf8'), shownShape, 'result.json') as unknown as ShownResult;
  const cohorts = studySites(study).map(
    (site) => loadCohort(study, path.join(federation.siteFolder(site), 'cohort.yaml'), site).cohort,
  );
  const same = sameBitsAsSimulation(study, cohorts, resultBytes);
  const pooled = comparePooled(study, path.join(input.data, 'pooled.csv'), result.model.coefficients);
  const verification = verifyBundle(readFolder(bundle), {
    consortiumPublicKey: readConsortiumPublicKey(federation.consortiumFolder),
  });
  const patient = await scorePatient(input, bundle);
  const models = [study.model, ...study.comparators].map(modelName);
  const ledger = new Map(studySites(study).map((site) => [site, egressOf(federation, site)]));
  const rows = result.sites.map((site) => [
    site.name,
    site.role,
    String(site.n),
    String(site.events),
    ...models.map((model) => aucOf(result.validation.folds, study, model, site.name)),
    bytes(ledger.get(site.name)!.reduce((sum, entry) => sum + entry.bytes, 0)),
  ]);
  const between = (arm: string) =>
    median(result.harmonization.varianceBetweenSites[arm]?.slice(0, study.cohort.features.length) ?? []);
  const lines = [
    table(['site', 'role', 'n', 'events', ...models.map((model) => `AUC ${model} (95 % CI)`), 'sent'], rows, {
      align: [undefined, undefined, 'right', 'right', ...models.map(() => undefined), 'right'],
    }),
    'AUC of training sites: leave-one-site-out (judges the procedure); of external sites: the published model itself.',
    '',
    `Variance explained by site   median over features ${percent(between('none'), 1)} before, ${percent(between(study.harmonization.method), 1)} after ${study.harmonization.method === 'combat' ? 'ComBat' : study.harmonization.method}`,
    `Federated minus pooled       largest difference of a coefficient ${significant(pooled.worst, 2)} over ${pooled.compared} coefficients`,
    `Same bits as simulate        ${same ? 'yes' : 'NO'}`,
    `Bundle verified offline      ${verification.problems.length === 0 ? `yes, ratified by ${verification.ratified.join(', ')} (quorum ${verification.quorum})` : 'NO'}`,
    `One new patient, onnxruntime ${patient}`,
    `Bundle                       ${path.relative(process.cwd(), bundle)}`,
    `Time                         ${duration(Date.now() - input.startedMs)}`,
    '',
    'Try with your own table:',
    '  npx concordat simulate study.yaml --table cases.csv --site-column hospital --out result',
    `  npx concordat predict ${path.relative(process.cwd(), bundle)} --table cases.csv --out predictions.csv`,
  ];
  if (out.json) out.result('', { same, pooled, verified: verification.problems.length === 0, bundle, result });
  else out.result(indent(lines.join('\n')), {});
  if (!same || verification.problems.length > 0)
    throw new ConcordatError('INTERNAL_BUG', 'the demo’s own checks failed: see the lines above');
}

/** A patient whom no model saw, from image to score, with the first site's own calibration. */
async function scorePatient(input: Shown, bundle: string): Promise<string> {
  const { federation, study } = input;
  const site = study.sites.training[0]!;
  const file = await newPatient(study, study.seed, path.join(input.data, 'new-patient'));
  const local = path.join(federation.siteFolder(site), 'local');
  const calibration = path.join(local, readdirSync(local)[0]!, 'harmonization.json');
  const { rows } = await predictTable(bundle, file, { calibrationPath: calibration, idColumn: 'patient_id' });
  const row = rows[0]!;
  const verdict = row.class === 1 ? 'above' : 'below';
  return `of ${site}: probability of MVI ${row.probability?.toFixed(3) ?? row.problem}, ${verdict} the threshold`;
}

function egressOf(federation: Federation, site: string): LedgerEntry[] {
  const store = openSiteStore(federation.siteFolder(site));
  try {
    return readLedger(store);
  } finally {
    store.close();
  }
}

function aucOf(folds: readonly ValidationFold[], study: Study, model: string, site: string): string {
  const wanted = study.sites.external.includes(site) ? 'external' : `without-${site}`;
  const fold = folds.find(
    (entry) => entry.name === wanted && entry.model === model && entry.arm === study.harmonization.method,
  );
  return estimate(fold?.sites[site]?.['auc'] ?? null);
}

function median(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const half = Math.floor(known.length / 2);
  if (known.length === 0) return Number.NaN;
  return known.length % 2 === 1 ? known[half]! : (known[half - 1]! + known[half]!) / 2;
}
