import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { Audit } from '../../coordinator/audit.js';
import { type BundleFiles, learnedIn, learnedYaml } from '../../shared/bundle/learned.js';
import { type Verification, verifyBundle } from '../../shared/bundle/verify.js';
import { ConcordatError } from '../../shared/errors.js';
import { output } from '../console.js';
import { readConsortiumPublicKey } from '../consortium-keys.js';
import { table } from '../format.js';
import type { SiteRegistryLink } from '../run-site.js';

interface RegistryOptions {
  readonly dir?: string;
  readonly site?: string;
}

export function registerModel(program: Command): void {
  const model = program.command('model').description('published models: list, get, verify offline');

  model
    .command('list')
    .description('models and summaries in a coordinator’s registry')
    .option('--dir <folder>', 'folder of the coordinator')
    .option('--site <folder>', 'ask the coordinator, as this site')
    .action(async (options: RegistryOptions, command: Command) => {
      const entries = await listed(options);
      const text =
        entries.length === 0
          ? 'Nothing has been published.'
          : table(
              ['name', 'phase', 'digest', 'study', 'published'],
              entries.map((entry) => [
                entry.name,
                entry.phase,
                entry.digest.slice(0, 16),
                entry.studyHash.slice(0, 12),
                entry.publishedAt,
              ]),
            );
      output(command.optsWithGlobals()['json'] === true).result(text, { models: entries });
    });

  model
    .command('get')
    .description('copy a registered bundle to a folder')
    .argument('<name>', 'name in the registry, or the study’s name')
    .option('--dir <folder>', 'folder of the coordinator')
    .option('--site <folder>', 'fetch from the coordinator, as this site')
    .requiredOption('--out <folder>', 'where to put it')
    .action(async (name: string, options: RegistryOptions & { out: string }, command: Command) => {
      const files = await fetched(name, options);
      for (const [file, bytes] of files) {
        const target = path.join(options.out, file);
        mkdirSync(path.dirname(target), { recursive: true });
        writeFileSync(target, bytes);
      }
      output(command.optsWithGlobals()['json'] === true).result(
        `${files.size} files in ${options.out}\nNext: concordat model verify ${path.join(options.out, 'bundle')}`,
        { name, out: options.out, files: [...files.keys()] },
      );
    });

  model
    .command('verify')
    .description('verify a bundle offline: digests, study hash, signatures, quorum')
    .argument('<bundle>', 'folder with bundle.json')
    .option('--consortium <key>', 'consortium.pub to check the roster against')
    .action((bundle: string, options: { consortium?: string }, command: Command) => {
      const verification = verified(bundle, readFolder(bundle), options.consortium);
      const lines = [
        `Verified  ${verification.digest}`,
        `Ratified  ${verification.ratified.join(', ')} (${verification.ratified.length} of quorum ${verification.quorum})`,
        ...(verification.refused.length === 0 ? [] : [`Refused   ${verification.refused.join(', ')}`]),
        verification.rosterPinned
          ? 'Roster    signed by the consortium key you gave'
          : 'Roster    not checked against a consortium key: give --consortium to know whose sites these are',
      ];
      output(command.optsWithGlobals()['json'] === true).result(lines.join('\n'), { verified: true, ...verification });
    });

  model
    .command('learned')
    .description('what a study learned from images, as lines for the imaging section of a later study')
    .argument('<bundle>', 'folder with bundle.json')
    .option('--consortium <key>', 'consortium.pub to check the roster against')
    .action((bundle: string, options: { consortium?: string }, command: Command) => {
      const files = readFolder(bundle);
      const verification = verified(bundle, files, options.consortium);
      const learned = learnedIn(files);
      if (learned.standardize === undefined && learned.habitats === undefined)
        throw new ConcordatError('BUNDLE_UNKNOWN', `study "${learned.name}" learned nothing from images`, {
          hint: 'A study learns landmarks and habitats where its imaging section has `learn`; docs/radiomics-learned.md shows it.',
        });
      const lines = [
        `# Learned by study ${learned.name}, countersigned by ${verification.ratified.join(', ')}. Put this under imaging:`,
        ...learnedYaml(learned)
          .trimEnd()
          .split('\n')
          .map((line) => `  ${line}`),
      ];
      output(command.optsWithGlobals()['json'] === true).result(lines.join('\n'), { ...learned });
    });

  model
    .command('audit')
    .description('check a bundle against the transcript of its study, as far as what was kept allows')
    .argument('<bundle>', 'folder with bundle.json')
    .requiredOption('--transcript <folder>', 'folder with transcript.json, beside the bundle in the registry')
    .option('--consortium <key>', 'consortium.pub to check the roster against')
    .action(async (bundle: string, options: { transcript: string; consortium?: string }, command: Command) => {
      const { auditBundle } = await import('../../coordinator/audit.js');
      if (!existsSync(options.transcript))
        throw new ConcordatError('CLI_FILE_MISSING', `${options.transcript} does not exist`);
      const fileOf = (file: string): Uint8Array | undefined => {
        const full = path.join(options.transcript, file);
        return existsSync(full) ? readFileSync(full) : undefined;
      };
      const audit = auditBundle({
        bundle: readFolder(bundle),
        transcript: fileOf,
        ...(options.consortium === undefined
          ? {}
          : { consortiumPublicKey: readConsortiumPublicKey(options.consortium) }),
      });
      if (audit.problems.length > 0)
        throw new ConcordatError('BUNDLE_AUDIT_FAILED', `${bundle} and its transcript contradict each other`, {
          problems: audit.problems,
        });
      output(command.optsWithGlobals()['json'] === true).result(auditText(audit), { audited: true, ...audit });
    });

  program
    .command('predict')
    .description('score a table of raw values with a bundle, through onnxruntime')
    .argument('<bundle>', 'folder with bundle.json')
    .requiredOption('--table <csv>', 'raw values under the study’s column names')
    .option('--calibration <json>', 'harmonization.json of the patients’ site')
    .option('--id-column <name>', 'column that names a case')
    .requiredOption('--out <csv>', 'where the predictions go')
    .action(
      async (
        bundle: string,
        options: { table: string; calibration?: string; idColumn?: string; out: string },
        command: Command,
      ) => {
        const { predictTable } = await import('../predict.js');
        const { rows } = await predictTable(bundle, options.table, {
          outPath: options.out,
          ...(options.calibration === undefined ? {} : { calibrationPath: options.calibration }),
          ...(options.idColumn === undefined ? {} : { idColumn: options.idColumn }),
        });
        const failed = rows.filter((row) => row.problem !== '').length;
        output(command.optsWithGlobals()['json'] === true).result(
          `${rows.length - failed} rows scored${failed === 0 ? '' : `, ${failed} with a problem (column "problem")`}: ${options.out}`,
          { out: options.out, scored: rows.length - failed, problems: failed },
        );
      },
    );
}

/** Throws BUNDLE_NOT_VERIFIED with every problem. `consortium`: file of the key that the roster must be signed with. */
function verified(folder: string, files: BundleFiles, consortium: string | undefined): Verification {
  const key = consortium === undefined ? {} : { consortiumPublicKey: readConsortiumPublicKey(consortium) };
  const verification = verifyBundle(files, key);
  if (verification.problems.length === 0) return verification;
  throw new ConcordatError(
    'BUNDLE_NOT_VERIFIED',
    `${folder} is not what ${verification.quorum ?? 'its'} sites signed`,
    { problems: verification.problems },
  );
}

/** Says which of the two things was proved, and what was not. */
function auditText({ proved, entries, totals, maskedInputs, head, signedBy }: Audit): string {
  const proof =
    proved === 'recomputed'
      ? [
          `Proved      totals and the model follow from the masked inputs: ${totals} totals were rebuilt from the kept`,
          '            masked inputs and revealed shares, every step of the coordinator was repeated on them, and result',
          '            and model came out bit for bit.',
        ]
      : [
          `Proved      these hashes were committed and signed by these sites: ${maskedInputs} masked inputs and ${totals} totals,`,
          '            in this order.',
          'Not proved  that the totals are sums of the masked inputs, or that the model follows from them: what would',
          '            show it was not kept (transcript.retain).',
        ];
  return [`Transcript  ${entries} entries, head ${head ?? ''}`, `Signed by   ${signedBy.join(', ')}`, ...proof].join(
    '\n',
  );
}

async function listed(options: RegistryOptions) {
  if (options.dir !== undefined) {
    const { readRegistry } = await import('../../coordinator/registry.js');
    const { requireCoordinatorFolder } = await import('../run-coordinator.js');
    requireCoordinatorFolder(options.dir);
    return readRegistry(options.dir);
  }
  return asSite(options, (link) => link.listBundles());
}

async function fetched(name: string, options: RegistryOptions): Promise<Map<string, Uint8Array>> {
  if (options.dir !== undefined) {
    const { readRegistry } = await import('../../coordinator/registry.js');
    const entry = readRegistry(options.dir).find((known) => known.name === name || known.name.startsWith(`${name}-`));
    if (entry === undefined) throw new ConcordatError('BUNDLE_UNKNOWN', `the registry has nothing under "${name}"`);
    return readFolder(path.join(options.dir, 'registry', entry.name));
  }
  return asSite(options, async (link) => {
    const detail = await link.getBundle({ name, version: null });
    const files = new Map<string, Uint8Array>();
    for (const file of detail.files) files.set(file.path, await link.download(file.sha256));
    return files;
  });
}

async function asSite<T>(options: RegistryOptions, act: (link: SiteRegistryLink) => Promise<T>): Promise<T> {
  if (options.site === undefined)
    throw new ConcordatError('CLI_USAGE', 'give --dir (the coordinator’s folder) or --site (a site’s folder)');
  const { openSiteRegistry } = await import('../run-site.js');
  const link = openSiteRegistry(options.site);
  try {
    return await act(link);
  } finally {
    await link.close();
  }
}

/** Path -> bytes of all files below a folder. */
export function readFolder(folder: string, prefix = ''): Map<string, Uint8Array> {
  if (!existsSync(folder)) throw new ConcordatError('CLI_FILE_MISSING', `${folder} does not exist`);
  const files = new Map<string, Uint8Array>();
  for (const entry of readdirSync(path.join(folder, prefix), { withFileTypes: true })) {
    const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) for (const [inner, bytes] of readFolder(folder, name)) files.set(inner, bytes);
    else files.set(name, readFileSync(path.join(folder, name)));
  }
  return files;
}
