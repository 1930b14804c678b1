import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { output } from '../console.js';
import { count } from '../format.js';
import { parseNames, parseSeed, wholeNumber } from '../options.js';

interface PhantomCommandOptions {
  readonly out: string;
  readonly sites: string;
  readonly cases: number;
  readonly modality: string;
  readonly seed: number;
}

/** `concordat phantom`: images of simulated liver lesions with an outcome, to try extraction and studies on. */
export function registerPhantom(program: Command): void {
  program
    .command('phantom')
    .description('write simulated CT or MRI of liver lesions with masks and an outcome, one folder a site')
    .requiredOption('--out <folder>', 'a new or empty folder')
    .option('--sites <names>', 'names of the sites, each with its own scanner', 'alder,birch,cedar,dogwood,elm')
    .option('--cases <n>', 'patients a site, about', wholeNumber(1, 10_000), 20)
    .option('--modality <CT|MR>', 'kind of image', 'CT')
    .option('--seed <n>', 'what everything is drawn from', parseSeed, 1)
    .action(async (options: PhantomCommandOptions, command: Command) => {
      const out = output(command.optsWithGlobals()['json'] === true);
      const { phantomCohort, writePhantomSite } = await import('../phantom-cohort.js');
      const modality = options.modality.toUpperCase();
      if (modality !== 'CT' && modality !== 'MR')
        throw new ConcordatError('CLI_USAGE', `--modality is CT or MR, not ${options.modality}`);
      const names = parseNames(options.sites);
      const wrong = names.filter((name, at) => !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name) || names.indexOf(name) < at);
      if (wrong.length > 0)
        throw new ConcordatError('CLI_USAGE', `--sites: each name once, in letters, digits, hyphen, dot or underscore`);
      if (existsSync(options.out) && readdirSync(options.out).length > 0)
        throw new ConcordatError('CLI_USAGE', `${options.out} is not empty`);
      mkdirSync(options.out, { recursive: true });
      const sites = phantomCohort({ seed: options.seed, sites: names, casesPerSite: options.cases, modality });
      for (const site of sites) {
        out.progress(
          `  ${site.name}: ${count(site.patients.length, 'case')}, ${site.scanner.spacingMm.join(' × ')} mm`,
        );
        writePhantomSite(site, options.seed, path.join(options.out, site.name));
      }
      writeFileSync(
        path.join(options.out, 'README.txt'),
        `SIMULATED DATA (seed ${options.seed}). No image shows a person. Made by \`concordat phantom\`.\n`,
      );
      const cases = sites.reduce((sum, site) => sum + site.patients.length, 0);
      out.result(
        `${count(cases, 'simulated case')} at ${count(sites.length, 'site')} written to ${options.out}\nNext: concordat extract --cohort ${path.join(options.out, names[0]!, 'cohort.yaml')} --out features.csv`,
        { out: options.out, sites: sites.map(({ name, patients }) => ({ name, cases: patients.length })) },
      );
    });
}
