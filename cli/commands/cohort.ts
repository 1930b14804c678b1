import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import type { RemovalEffect } from '../../site-agent/shell/removals.js';
import { output } from '../console.js';
import { count, wrap } from '../format.js';
import { withStore } from './site-store.js';

interface RemoveOptions {
  readonly dir: string;
  readonly case?: readonly string[];
  readonly file?: string;
}

/** `concordat site cohort remove`: patients who have withdrawn. Their identifiers stay in this process. */
export function registerSiteCohort(site: Command): void {
  const cohort = site.command('cohort').description('the cases that studies at this site may use');
  cohort
    .command('remove')
    .description('leave cases out of every study not yet approved: their patients have withdrawn')
    .requiredOption('--dir <folder>', 'folder of the site')
    .option(
      '--case <id...>',
      'identifiers (they stay in the history of the shell, and other users of this host may see them in the list of processes)',
    )
    .option('--file <file>', 'file with one identifier a line; - reads them from the standard input')
    .action(async (options: RemoveOptions, command: Command) => {
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { removeCases } = await import('../../site-agent/shell/removals.js');
      const { sitePolicy } = await import('../run-site.js');
      const ids = identifiers(options);
      const { site: name } = readSiteKeys(options.dir);
      const { minimumCases } = sitePolicy(options.dir);
      const place = { site: name, folder: options.dir, minimumCases, nowMs: Date.now() };
      const { added, effects } = await withStore(options.dir, async (store) =>
        removeCases(store, place, ids, (known) => readStudyDocument(known.document, known.studyHash).name),
      );
      output(command.optsWithGlobals()['json'] === true).result(text(ids.length, added, minimumCases, effects), {
        cases: ids.length,
        added,
        studies: effects,
      });
    });
}

/** Throws CLI_USAGE where none is given. */
function identifiers(options: RemoveOptions): string[] {
  const lines =
    options.file === undefined ? [] : readFileSync(options.file === '-' ? 0 : options.file, 'utf8').split(/\r?\n/);
  const ids = [...new Set([...(options.case ?? []), ...lines].map((id) => id.trim()).filter((id) => id !== ''))];
  if (ids.length === 0) throw new ConcordatError('CLI_USAGE', 'no case is named: give --case ID or --file FILE');
  return ids;
}

/** Counts and studies only: what is shown may end in a protocol of the hospital. */
function text(given: number, added: number, minimumCases: number, effects: readonly RemovalEffect[]): string {
  const lines = [
    `${count(given, 'case')} given, ${added} new on the list. Studies that are approved from now on leave them out.`,
  ];
  for (const effect of effects)
    lines.push('', ...wrap(`${effect.name} (${effect.study.slice(0, 12)}): ${saying(effect)}`, 100));
  const near = effects.filter(({ overlaps }) => overlaps).map(({ name }) => name);
  if (near.length > 0)
    lines.push(
      '',
      ...wrap(
        `A next study over the same table would differ from ${near.join(', ')} by fewer than ${minimumCases} cases. The difference of their totals would show just the patients who left, so this site will refuse it (POLICY_COHORT_OVERLAP) until more cases have come or gone.`,
        100,
      ),
    );
  return lines.join('\n');
}

function saying({ state, study, cases, contributions }: RemovalEffect): string {
  const held = `${count(cases, 'of the cases is', 'of the cases are')} in its cohort`;
  const left = `${count(contributions, 'contribution')} with them ${contributions === 1 ? 'has' : 'have'} left`;
  if (state === 'not begun') return 'not decided here; they are left out of it.';
  if (cases === 0) return 'holds none of the cases.';
  switch (state) {
    case 'frozen':
      return `approved, not begun; its cohort is frozen and ${held}. To keep them out: concordat site withdraw ${study.slice(0, 12)}.`;
    case 'running':
      return `running; its cohort is frozen and ${held}; ${left}, which cannot be taken back. It goes on with them unless this site withdraws: concordat site withdraw ${study.slice(0, 12)}.`;
    case 'published':
      return `published; ${held}; ${left}. The model and its totals cannot be taken back.`;
    default:
      return `ended; ${held}; ${left}, which cannot be taken back.`;
  }
}
