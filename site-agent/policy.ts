import { z } from 'zod';
import { ConcordatError, type Problem } from '../shared/errors.js';
import { shownPerSiteByDesign } from '../shared/guard-decision.js';
import { readYaml } from '../shared/strict-yaml.js';
import type { Study } from '../shared/study.js';
import { disclosiveModels } from '../shared/study-check.js';
import type { TensorSpec } from '../shared/tensors.js';
import { approvalRuleSchema, ruleProblems } from './approvers.js';

/** What a computation may be called here: exactly what this agent has site halves for. */
export const COMPUTATION_NAMES = [
  'describe',
  'landmarks',
  'habitats',
  'combat',
  'stability',
  'moments',
  'logistic',
  'cox',
  'fedavg',
  'validate',
] as const;

export const PRESETS = ['strict', 'standard'] as const;
export type Preset = (typeof PRESETS)[number];

/**
 * policy.yaml: what this site allows, whatever a study asks. Local; its own file, so that it can be reviewed. A preset is
 * nothing but the defaults of the other fields: whatever stands in the file goes before it.
 */
function policySchemaOf(preset: Preset) {
  return z.strictObject({
    concordat: z.literal(1).describe('Version of the policy format.'),
    preset: z
      .enum(PRESETS)
      .default('strict')
      .describe('What holds for the fields that are left out; the table below says how the presets differ.'),
    minimumCohort: z.int().min(1).default(10).describe('A study that accepts fewer cases per site is refused.'),
    minimumCount: z.int().min(1).default(5).describe('A study that shows smaller counts is refused.'),
    minimumCases: z
      .int()
      .min(1)
      .default(5)
      .describe("Two studies' cohorts must be equal or differ by at least so many cases."),
    dominance: z
      .number()
      .positive()
      .max(1)
      .default(0.9)
      .describe(
        'A cohort is refused where one case makes up a larger share of a numeric column; 1 turns the rule off.',
      ),
    minSites: z
      .int()
      .min(2)
      .default(3)
      .describe('Totals over fewer sites count as isolating; a study with a lower number is refused.'),
    computations: z
      .array(z.enum(COMPUTATION_NAMES))
      .default([...COMPUTATION_NAMES])
      .describe('Computations that may run here.'),
    secureAggregation: z
      .enum(['required', 'optional'])
      .default('required')
      .describe('`optional` accepts studies whose coordinator sees each contribution.'),
    coordinator: z
      .enum(['malicious', 'curious'])
      .default('curious')
      .describe('`malicious` refuses studies that trust the coordinator to follow the protocol.'),
    visibility: z
      .strictObject({
        metrics: z.boolean().default(true).describe("This site's own validation metrics may be visible."),
        descriptions: z.boolean().default(true).describe("This site's own counts and distributions may be visible."),
        aggregate: z
          .boolean()
          .default(preset === 'standard')
          .describe('Totals may isolate this site where the study lists it under privacy.showAggregate.'),
      })
      .prefault({})
      .describe('What may be visible for this site alone.'),
    retainedTranscript: z
      .boolean()
      .default(false)
      .describe('Studies may have the coordinator keep masked inputs and revealed shares (transcript.retain).'),
    automaticApproval: z
      .boolean()
      .default(false)
      .describe('Approve every study that this policy allows without asking. For demonstrations.'),
    approval: approvalRuleSchema
      .optional()
      .describe('Named persons who approve; left out, whoever runs `site approve` does. Excludes automaticApproval.'),
  });
}

/** The schema with the defaults of `strict`; the presets differ in nothing else. */
export const policySchema = policySchemaOf('strict');

export type Policy = z.output<typeof policySchema>;

/** What a preset alone allows. */
export function presetPolicy(preset: Preset): Policy {
  return policySchemaOf(preset).parse({ concordat: 1, preset });
}

export const DEFAULT_POLICY: Policy = presetPolicy('strict');

/** @throws ConcordatError POLICY_UNREADABLE or POLICY_INVALID with every problem at once. */
export function parsePolicy(text: string, file: string): Policy {
  const strict = readYaml(text, file, policySchema);
  const reading =
    strict.kind === 'ok' && strict.value.preset !== 'strict'
      ? readYaml(text, file, policySchemaOf(strict.value.preset))
      : strict;
  if (reading.kind === 'ok') {
    const contradictory = contradictions(reading.value).map(({ path, message }) => reading.problemAt(path, message));
    if (contradictory.length === 0) return reading.value;
    throw invalidPolicy(file, contradictory);
  }
  const { kind, problems } = reading;
  throw kind === 'unreadable'
    ? new ConcordatError('POLICY_UNREADABLE', `${file} cannot be read`, { problems })
    : invalidPolicy(file, problems);
}

function invalidPolicy(file: string, problems: readonly Problem[]): ConcordatError {
  const many = `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
  return new ConcordatError('POLICY_INVALID', `${file} has ${many}`, { problems });
}

function contradictions({ approval, automaticApproval }: Policy) {
  if (approval === undefined) return [];
  const problems = ruleProblems(approval).map(({ path, message }) => ({ path: ['approval', ...path], message }));
  if (automaticApproval)
    problems.push({
      path: ['automaticApproval'],
      message: 'excludes `approval`: named persons approve, or nobody does',
    });
  return problems;
}

/** One field of the policy in force, `visibility.aggregate` for one inside a group. */
export interface PolicyField {
  readonly field: string;
  readonly value: unknown;
  /** What the preset alone would have there. */
  readonly preset: unknown;
  readonly origin: 'preset' | 'override';
  readonly meaning: string;
}

/** The policy in force, field by field, and where it departs from its preset. */
export function policyFields(policy: Policy): PolicyField[] {
  const meanings = new Map(fieldMeanings());
  const base = new Map(flat(presetPolicy(policy.preset)));
  return flat(policy).map(([field, value]) => ({
    field,
    value,
    preset: base.get(field),
    origin: JSON.stringify(base.get(field)) === JSON.stringify(value) ? 'preset' : 'override',
    meaning: meanings.get(field) ?? '',
  }));
}

/** The groups opened up, in the order of the schema. */
function flat(policy: Policy): [string, unknown][] {
  const { concordat: _, preset: __, approval, ...fields } = policy;
  const named = approval === undefined ? 'nobody is named' : `${approval.required} of ${approval.approvers.length}`;
  return [
    ...Object.entries(fields).flatMap(([field, value]): [string, unknown][] =>
      field === 'visibility'
        ? Object.entries(policy.visibility).map(([name, seen]) => [`visibility.${name}`, seen])
        : [[field, value]],
    ),
    ['approval', named],
  ];
}

function fieldMeanings(): [string, string][] {
  const { shape } = policySchema;
  return [
    ...Object.entries(shape).map(([field, schema]): [string, string] => [field, schema.description ?? '']),
    ...Object.entries(shape.visibility.unwrap().shape).map(([name, schema]): [string, string] => [
      `visibility.${name}`,
      schema.description ?? '',
    ]),
  ];
}

const APPROVAL_EXAMPLE = `# Each makes a key with: concordat site approver init NAME --out FILE
# approval:
#   required: 2
#   approvers:
#     - {name: ..., publicKey: ...}`;

/**
 * policy.yaml as `site init` writes it: the preset, and every other field as a comment with its value under the preset and a
 * sentence. Only what a hospital uncomments departs from the preset, so changing the preset's name changes all the rest.
 */
export function policyTemplate(preset: Preset): string {
  const fields = policyFields(presetPolicy(preset));
  const line = (name: string, { value, meaning }: PolicyField, indent = '') =>
    `# ${meaning.replaceAll('`', '')}\n#${indent}${name}: ${JSON.stringify(value).replaceAll('"', '').replaceAll(',', ', ')}`;
  const seen = fields.filter(({ field }) => field.startsWith('visibility.'));
  const blocks = fields.flatMap((entry) => {
    if (entry.field === 'approval') return [`# ${entry.meaning.replaceAll('`', '')}\n${APPROVAL_EXAMPLE}`];
    if (!entry.field.startsWith('visibility.')) return [line(entry.field, entry)];
    if (entry !== seen[0]) return [];
    return [
      ['#visibility:', ...seen.map((each) => line(each.field.slice('visibility.'.length), each, '  '))].join('\n'),
    ];
  });
  return `# What this site allows, whatever a study asks. docs/study.md describes the fields, docs/security.md the presets.
# \`concordat site policy\` shows what is in force. A field without # goes before the preset.
concordat: 1
preset: ${preset}

${blocks.join('\n\n')}
`;
}

export type PolicyDecision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reasons: readonly string[] };

/**
 * Whether this site's policy allows a study, with every reason against it. `leaves` are the tensors that the study is
 * known to make the site send, by computation.
 */
export function evaluateStudy(
  policy: Policy,
  study: Study,
  leaves: Readonly<Record<string, readonly TensorSpec[]>>,
  site: string,
): PolicyDecision {
  const reasons: string[] = [];
  const { privacy } = study;
  const atLeast = (what: string, asked: number, allowed: number) => {
    if (asked < allowed) reasons.push(`privacy.${what} is ${asked}, this site's policy wants at least ${allowed}`);
  };
  atLeast('minimumCohort', privacy.minimumCohort, policy.minimumCohort);
  atLeast('minimumCount', privacy.minimumCount, policy.minimumCount);
  atLeast('minSites', privacy.minSites, policy.minSites);
  if (policy.secureAggregation === 'required' && !privacy.secureAggregation)
    reasons.push('the study runs without secure aggregation, so the coordinator would see every contribution');
  if (policy.coordinator === 'malicious' && privacy.secureAggregation && privacy.coordinator === 'curious')
    reasons.push('the study trusts the coordinator to follow the protocol (privacy.coordinator: curious)');
  if (study.transcript?.retain === true && !policy.retainedTranscript)
    reasons.push(
      'the coordinator would keep masked inputs and revealed shares (transcript.retain), which the policy does not allow',
    );
  if (disclosiveModels(study).length > 0)
    reasons.push('an unstratified Cox model needs exact risk sets, which give patients away; it runs in simulate only');
  if (!policy.visibility.aggregate && privacy.showAggregate.includes(site))
    reasons.push('totals could isolate this site (privacy.showAggregate), which its policy does not allow');
  for (const computation of Object.keys(leaves))
    if (!policy.computations.some((allowed) => allowed === computation))
      reasons.push(`the computation "${computation}" is not among those that may run here`);
  const refused = new Set<string>();
  for (const leaf of Object.values(leaves).flat()) {
    const reason = visibilityRefusal(policy, leaf, site, privacy.showAggregate);
    if (reason !== null) refused.add(reason);
  }
  reasons.push(...refused);
  return reasons.length === 0 ? { allowed: true } : { allowed: false, reasons };
}

/** @throws ConcordatError POLICY_STUDY_REFUSED with every reason as a problem. */
export function requireAllowed(decision: PolicyDecision, studyName: string): void {
  if (decision.allowed) return;
  throw new ConcordatError('POLICY_STUDY_REFUSED', `this site's policy does not allow study "${studyName}"`, {
    problems: decision.reasons.map((message) => ({ message })),
  });
}

/** Why this tensor may not be visible for this site alone, or null. */
export function visibilityRefusal(
  policy: Policy,
  leaf: TensorSpec,
  site: string,
  showAggregate: readonly string[],
): string | null {
  if (leaf.visibility !== 'site' || !leaf.contributors.some((entry) => entry.site === site)) return null;
  if (shownPerSiteByDesign(leaf.kind)) {
    const metrics = leaf.kind.startsWith('validate.');
    if (metrics ? policy.visibility.metrics : policy.visibility.descriptions) return null;
    return `"${leaf.kind}" would be visible for this site alone, and its policy keeps ${metrics ? 'metrics' : 'descriptions'} to totals`;
  }
  if (policy.visibility.aggregate && showAggregate.includes(site)) return null;
  return `"${leaf.kind}" is filled by ${leaf.contributors.map((entry) => entry.site).join(' and ')} only, so it shows what this site sends`;
}
