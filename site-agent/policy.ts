import { z } from 'zod';
import { ConcordatError } from '../shared/errors.js';
import { shownPerSiteByDesign } from '../shared/guard-decision.js';
import { readYaml } from '../shared/strict-yaml.js';
import type { Study } from '../shared/study.js';
import { disclosiveModels } from '../shared/study-check.js';
import type { TensorSpec } from '../shared/tensors.js';

/** What a computation may be called here: exactly what this agent has site halves for. */
export const COMPUTATION_NAMES = ['describe', 'combat', 'moments', 'logistic', 'cox', 'fedavg', 'validate'] as const;

/** policy.yaml: what this site allows, whatever a study asks. Local; its own file, so that it can be reviewed. */
export const policySchema = z.strictObject({
  concordat: z.literal(1).describe('Version of the policy format.'),
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
    .describe('A cohort is refused where one case makes up a larger share of a numeric column; 1 turns the rule off.'),
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
        .default(false)
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
});

export type Policy = z.output<typeof policySchema>;

export const DEFAULT_POLICY: Policy = policySchema.parse({ concordat: 1 });

/** @throws ConcordatError POLICY_UNREADABLE or POLICY_INVALID with every problem at once. */
export function parsePolicy(text: string, file: string): Policy {
  const reading = readYaml(text, file, policySchema);
  if (reading.kind === 'ok') return reading.value;
  const { kind, problems } = reading;
  throw kind === 'unreadable'
    ? new ConcordatError('POLICY_UNREADABLE', `${file} cannot be read`, { problems })
    : new ConcordatError(
        'POLICY_INVALID',
        `${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
        {
          problems,
        },
      );
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
