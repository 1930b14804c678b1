import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import type { Preset, policyFields } from '../../site-agent/policy.js';
import { output } from '../console.js';
import { table } from '../format.js';

/** `site policy`: what is in force, and where it departs from its preset. */
export function registerSitePolicy(site: Command): void {
  site
    .command('policy')
    .description('the policy in force, field by field: as in the preset, or set here')
    .requiredOption('--dir <folder>', 'folder of the site')
    .action(async (options: { dir: string }, command: Command) => {
      const { policyFields } = await import('../../site-agent/policy.js');
      const { sitePolicy } = await import('../run-site.js');
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      readSiteKeys(options.dir);
      const policy = sitePolicy(options.dir);
      const file = existsSync(path.join(options.dir, 'policy.yaml'));
      const fields = policyFields(policy);
      out(command).result(policyText(policy.preset, file, fields), { preset: policy.preset, file, fields });
    });
}

const out = (command: Command) => output(command.optsWithGlobals()['json'] === true);

function policyText(preset: string, file: boolean, fields: ReturnType<typeof policyFields>): string {
  const show = (value: unknown) => (Array.isArray(value) ? value.join(', ') : String(value));
  const rows = fields.map(({ field, value, preset, origin }) => [
    field,
    show(value),
    origin === 'preset' ? 'preset' : `set here (preset: ${show(preset)})`,
  ]);
  const where = file ? 'policy.yaml' : 'there is no policy.yaml';
  return `Preset ${preset} (${where})\n\n${table(['field', 'value', 'from'], rows)}`;
}

/** Every preset, by the compiler; what they are is the site's code, which no coordinator loads. */
const PRESETS: Readonly<Record<Preset, true>> = { strict: true, standard: true };

export function presetOption(): Option {
  return new Option('--preset <name>', 'policy to begin with; docs/security.md says what each allows')
    .choices(Object.keys(PRESETS))
    .default('strict');
}

/** Files a hospital fills in or reviews; never overwritten. */
export async function writeTemplates(folder: string, preset: Preset): Promise<void> {
  const { policyTemplate } = await import('../../site-agent/policy.js');
  const templates: [string, string][] = [
    [
      'cohort.yaml',
      '# Which table holds this site’s cases, and what its columns are called here. See docs/study.md.\nconcordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n# columns: {sex: Geschlecht}        # study name: local name\n# values: {sex: {w: F, m: M}}\n',
    ],
    ['policy.yaml', policyTemplate(preset)],
  ];
  for (const [name, text] of templates) {
    const file = path.join(folder, name);
    if (!existsSync(file)) writeFileSync(file, text);
  }
}
