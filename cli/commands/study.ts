import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { takenOver } from '../../shared/bundle/learned.js';
import { ConcordatError } from '../../shared/errors.js';
import { planStudy } from '../../shared/plan.js';
import { type Study, studyHash, studySites } from '../../shared/study.js';
import { checkStudyPlan } from '../../shared/study-check.js';
import { hasPatterns, parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { output } from '../console.js';
import { table } from '../format.js';
import { leavesTable, studyCheckText } from '../format-site.js';
import { takeAnswer } from '../inbox-answer.js';

export function registerStudy(program: Command): void {
  const study = program.command('study').description('a study is a document: check it, propose it, follow it');

  study
    .command('check')
    .description('check a study file, and what its whole plan would show of single sites')
    .argument('<file>', 'study.yaml')
    .option('--columns <table>', 'CSV whose header replaces patterns in cohort.features')
    .action(async (file: string, options: { columns?: string }, command: Command) => {
      const checked = await readStudy(file, options.columns);
      const { previewLeaves } = await import('../../site-agent/preview.js');
      const { describeLeaves } = await import('../../site-agent/egress.js');
      const plan = planStudy(checked);
      const preview = previewLeaves(plan);
      const check = checkStudyPlan(
        preview.flatMap(({ rounds }) => [...rounds]),
        checked,
        null,
      );
      const { checkEncoders } = await import('../study-encoders.js');
      const encoders = await checkEncoders(checked, path.dirname(file));
      const text = [
        `${file} is a valid study.`,
        `Hash   ${hasPatterns(checked) ? '(known once --columns replaces the patterns)' : studyHash(checked)}`,
        `Fits   ${plan.fits.length} side by side: ${plan.arms.length} harmonization${plan.arms.length === 1 ? '' : 's'}, ${new Set(plan.fits.map((fit) => fit.outer)).size} outer folds, ${checked.validation.folds} inner folds`,
        ...encoders.map(
          ({ name, file: model, features, sha256 }) =>
            `Encoder ${name}: ${model === null ? `no file with its SHA-256 lies beside the study, so it was not tried; each site must have it (${sha256})` : `${path.basename(model)} fits and gives ${features} features`}`,
        ),
        '',
        leavesTable(describeLeaves(preview)),
        '',
        studyCheckText(check),
        ...unnamedOrigins(checked),
        ...(check.ok
          ? []
          : [
              '',
              ...check.disclosive.map(
                (name) =>
                  `Model ${name} needs risk sets over all sites, which give patients away: it runs in simulate only.`,
              ),
              ...(check.isolated.every((entry) => entry.declared && entry.tooFew.length === 0)
                ? []
                : [
                    'Sites would refuse this: list the sites under privacy.showAggregate once they agree, or leave out groups of sites.',
                  ]),
            ]),
      ];
      output(command.optsWithGlobals()['json'] === true).result(text.join('\n'), {
        valid: true,
        hash: hasPatterns(checked) ? null : studyHash(checked),
        fits: plan.fits.length,
        encoders,
        leaves: describeLeaves(preview),
        isolation: check,
      });
      if (!check.ok) process.exitCode = 3;
    });

  study
    .command('propose')
    .description('propose a study to its sites through the coordinator of a folder')
    .argument('<file>', 'study.yaml')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .option('--columns <table>', 'CSV whose header replaces patterns in cohort.features')
    .action(async (file: string, options: { dir: string; columns?: string }, command: Command) => {
      const proposed = await readStudy(file, options.columns);
      if (hasPatterns(proposed))
        throw new ConcordatError('STUDY_INVALID', 'a proposed study names its feature columns one by one', {
          hint: 'Give --columns TABLE.csv: its header replaces the patterns.',
        });
      const hash = studyHash(proposed);
      await throughInbox(options.dir, {
        type: 'propose',
        studyHash: hash,
        document: Buffer.from(studyDocument(proposed)).toString('utf8'),
      });
      output(command.optsWithGlobals()['json'] === true).result(
        `Proposed ${proposed.name} to ${studySites(proposed).join(', ')}.\nHash  ${hash}\nEach site now decides: concordat site approve ${hash.slice(0, 12)} --dir SITE`,
        { study: hash, name: proposed.name, sites: studySites(proposed) },
      );
    });

  study
    .command('status')
    .description('how the studies of a coordinator stand')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .action(async (options: { dir: string }, command: Command) => {
      const rows = await studyStatus(options.dir);
      const text =
        rows.length === 0
          ? 'No study was proposed.'
          : table(
              ['study', 'name', 'phase', 'approved', 'rounds', 'ratified', 'reason'],
              rows.map((row) => [
                row.study.slice(0, 12),
                row.name,
                row.phase,
                `${row.approved} of ${row.sites}`,
                row.rounds,
                `${row.ratified} of ${row.quorum}`,
                row.reason,
              ]),
            );
      output(command.optsWithGlobals()['json'] === true).result(text, { studies: rows });
    });

  study
    .command('abort')
    .description('end a study; what was published stays')
    .argument('<study>', 'hash of the study, or its first digits')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .requiredOption('--reason <text>', 'why, in a sentence that the sites will read')
    .action(async (digits: string, options: { dir: string; reason: string }, command: Command) => {
      const found = (await studyStatus(options.dir)).filter((row) => row.study.startsWith(digits));
      if (found.length !== 1)
        throw new ConcordatError(
          'STUDY_UNKNOWN',
          `${found.length === 0 ? 'no study begins' : 'several studies begin'} with "${digits}"`,
        );
      await throughInbox(options.dir, { type: 'abort', studyHash: found[0]!.study, reason: options.reason });
      output(command.optsWithGlobals()['json'] === true).result(`Withdrawn: ${found[0]!.name}.`, {
        study: found[0]!.study,
        reason: options.reason,
      });
    });
}

/** What a simulation may run with and no site approves. */
function unnamedOrigins({ imaging }: Study): string[] {
  if (imaging === undefined) return [];
  return [...takenOver(imaging)]
    .filter(([, { from }]) => from.bundle === undefined)
    .map(
      ([section]) =>
        `Sites would refuse this: imaging.${section} names no bundle. \`concordat model learned BUNDLE\` prints a section that does.`,
    );
}

/** A study file, with patterns replaced where a table is given. Throws STUDY_* with every problem. */
export async function readStudy(file: string, columns: string | undefined): Promise<Study> {
  const study = parseStudy(readFileSync(file, 'utf8'), path.basename(file));
  if (study.imaging !== undefined) {
    const { studyFeatureNames } = await import('../../site-agent/radiomics/study-names.js');
    const names = studyFeatureNames(study.imaging);
    // A feature that is named in full and that no image gives is a column of the sites' tables.
    const fromTables = study.cohort.features.filter((name) => !name.includes('*') && !names.includes(name));
    if (columns === undefined) return resolveFeatures(study, [...names, ...fromTables]);
  }
  if (columns === undefined || !hasPatterns(study)) return study;
  const { readTable } = await import('../../site-agent/cohort-files.js');
  const { guessIdColumn } = await import('../../site-agent/cohort.site.js');
  const header = readTable(columns);
  const id = guessIdColumn(study, header, null);
  return resolveFeatures(study, header.header, id === null ? [] : [id]);
}

export interface StatusRow {
  readonly study: string;
  readonly name: string;
  readonly phase: string;
  readonly approved: number;
  readonly sites: number;
  readonly rounds: number;
  readonly ratified: number;
  readonly quorum: number;
  readonly reason: string;
}

/** Folds the coordinator's log; the coordinator may be running or not. */
export async function studyStatus(folder: string): Promise<StatusRow[]> {
  const { requireCoordinatorFolder } = await import('../run-coordinator.js');
  requireCoordinatorFolder(folder);
  const { openEventStore } = await import('../../coordinator/event-store.js');
  const { openBlobStore } = await import('../../coordinator/blob-store.js');
  const { foldStudies } = await import('../../coordinator/shell/fold-studies.js');
  const { quorumOf } = await import('../../coordinator/study.js');
  const events = openEventStore(path.join(folder, 'events.db'));
  const blobs = openBlobStore(path.join(folder, 'blobs'));
  try {
    return foldStudies(events, blobs).map((state) => ({
      study: state.studyHash,
      name: state.study.name,
      phase: state.phase,
      approved: state.approvals.size,
      sites: studySites(state.study).length,
      rounds: state.rounds,
      ratified: [...state.ratifications.values()].filter((verdict) => verdict === 'ratified').length,
      quorum: quorumOf(state.study),
      reason: state.reason ?? '',
    }));
  } finally {
    events.close();
  }
}

/** Puts a request where the coordinator looks, and waits for its answer beside it. */
async function throughInbox(folder: string, request: Record<string, unknown>): Promise<void> {
  const { requireCoordinatorFolder } = await import('../run-coordinator.js');
  requireCoordinatorFolder(folder);
  const inbox = path.join(folder, 'inbox');
  mkdirSync(inbox, { recursive: true });
  const file = path.join(inbox, `${Date.now()}-${process.pid}.json`);
  writeFileSync(`${file}.draft`, JSON.stringify(request));
  renameSync(`${file}.draft`, file);
  for (let waited = 0; waited < 10_000; waited += 50) {
    const answer = takeAnswer(file);
    if (answer?.ok === true) return;
    if (answer !== undefined)
      throw new ConcordatError(answer.code ?? 'INTERNAL_BUG', answer.message ?? 'the coordinator refused');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new ConcordatError('CLI_COORDINATOR_SILENT', `the coordinator of ${folder} has not answered for 10 seconds`);
}
