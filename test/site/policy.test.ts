import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseStudy } from '../../shared/study-parse.js';
import {
  DEFAULT_POLICY,
  evaluateStudy,
  PRESETS,
  parsePolicy,
  policyFields,
  policyTemplate,
  presetPolicy,
} from '../../site-agent/policy.js';

const LEAVE_ONE_SITE_OUT = parseStudy(
  `concordat: 1
name: loso
cohort: {endpoint: {type: binary, column: mvi}, features: [f1]}
sites: {training: [alder, birch, cedar, dogwood]}
model: {type: logistic}
validation: {leaveOneSiteOut: true}
privacy: {showAggregate: [alder, birch, cedar, dogwood]}
`,
  'study.yaml',
);

const overrides = (text: string) =>
  policyFields(parsePolicy(text, 'policy.yaml'))
    .filter(({ origin }) => origin === 'override')
    .map(({ field, value, preset }) => [field, value, preset]);

describe('policy presets', () => {
  it('strict is the default, and all that a policy without a preset means', () => {
    expect(parsePolicy('concordat: 1\n', 'policy.yaml')).toEqual(DEFAULT_POLICY);
    expect(parsePolicy('concordat: 1\npreset: strict\n', 'policy.yaml')).toEqual(DEFAULT_POLICY);
    expect(DEFAULT_POLICY.visibility.aggregate).toBe(false);
  });

  it('standard allows leave-one-site-out where the study declares it; strict refuses it', () => {
    const decide = (preset: (typeof PRESETS)[number]) =>
      evaluateStudy(presetPolicy(preset), LEAVE_ONE_SITE_OUT, {}, 'alder');
    expect(decide('standard')).toEqual({ allowed: true });
    expect(decide('strict')).toMatchObject({ allowed: false, reasons: [expect.stringContaining('isolate this site')] });
  });

  it('no preset approves by itself, takes plain sums or keeps transcripts', () => {
    for (const preset of PRESETS)
      expect(presetPolicy(preset)).toMatchObject({
        automaticApproval: false,
        secureAggregation: 'required',
        retainedTranscript: false,
      });
  });

  it('a field in the file goes before the preset, and is shown as an override with what the preset has', () => {
    expect(overrides('concordat: 1\npreset: standard\n')).toEqual([]);
    const text =
      'concordat: 1\npreset: standard\nminimumCohort: 20\nvisibility: {aggregate: false, metrics: false}\nminSites: 3\n';
    expect(overrides(text)).toEqual([
      ['minimumCohort', 20, 10],
      ['visibility.metrics', false, true],
      ['visibility.aggregate', false, true],
    ]);
    expect(overrides('concordat: 1\npreset: standard\nvisibility: {metrics: false}\n')).toEqual([
      ['visibility.metrics', false, true],
    ]);
  });

  it('refuses a preset that it does not know, by its place', () => {
    expect(() => parsePolicy('concordat: 1\npreset: lax\n', 'policy.yaml')).toThrow(
      expect.objectContaining({ code: 'POLICY_INVALID', problems: [expect.objectContaining({ row: 2 })] }),
    );
  });

  it.each(PRESETS)('the file of %s means the preset as it stands, and also with every field uncommented', (preset) => {
    const text = policyTemplate(preset);
    expect(parsePolicy(text, 'policy.yaml')).toEqual(presetPolicy(preset));
    // A field is a comment without a space; a sentence has one.
    const opened = text.replace(/^#(?! )( *\w+:.*)$/gm, '$1').replace(/^#( {2}\w+:.*)$/gm, '$1');
    expect(parsePolicy(opened, 'policy.yaml')).toEqual(presetPolicy(preset));
    for (const { field, meaning } of policyFields(presetPolicy(preset))) {
      // Approvers have no value to uncomment: theirs is an example.
      const line = field === 'approval' ? '# approval:' : ` *${field.split('.').at(-1)}: `;
      expect(opened).toMatch(new RegExp(`^${line}`, 'm'));
      expect(meaning).not.toBe('');
      expect(text).toContain(meaning.replaceAll('`', ''));
    }
  });
});

describe('the commands', () => {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  let folder: string;
  const run = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });

  beforeAll(() => {
    if (!existsSync(main)) throw new Error('dist/cli/main.js is missing: run `npm run build` first');
    folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-policy-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('site init --preset writes the file, never over another; site policy shows what is in force and where it is from', () => {
    expect(run('site', 'init', 'alder', '--dir', 'alder', '--preset', 'standard').status).toBe(0);
    const file = path.join(folder, 'alder', 'policy.yaml');
    expect(readFileSync(file, 'utf8')).toBe(policyTemplate('standard'));
    writeFileSync(file, `${policyTemplate('standard')}minimumCohort: 25\n`);
    const shown = run('site', 'policy', '--dir', 'alder');
    expect(shown.stderr).toBe('');
    expect(shown.stdout).toMatch(/^Preset standard \(policy\.yaml\)/);
    expect(shown.stdout).toMatch(/^ *minimumCohort +25 +set here \(preset: 10\)$/m);
    expect(shown.stdout).toMatch(/^ *visibility\.aggregate +true +preset$/m);
    const { preset, fields } = JSON.parse(run('--json', 'site', 'policy', '--dir', 'alder').stdout) as {
      preset: string;
      fields: { field: string; origin: string }[];
    };
    expect(preset).toBe('standard');
    expect(fields.filter(({ origin }) => origin === 'override').map(({ field }) => field)).toEqual(['minimumCohort']);
    expect(run('site', 'init', 'birch', '--dir', 'birch').status).toBe(0);
    expect(readFileSync(path.join(folder, 'birch', 'policy.yaml'), 'utf8')).toBe(policyTemplate('strict'));
    expect(run('site', 'init', 'cedar', '--dir', 'cedar', '--preset', 'lax').status).toBe(2);
  });
});
