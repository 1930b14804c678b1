import { describe, expect, it } from 'vitest';
import { leavesTable, ledgerTable } from '../../cli/format-site.js';
import { type LedgerEntry, ledgerEntry, verifyLedger } from '../../shared/egress-ledger.js';
import { ConcordatError } from '../../shared/errors.js';
import type { Study } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { checkRelease, describeLeaves, type ReleaseContext } from '../../site-agent/egress.js';
import { DEFAULT_POLICY, evaluateStudy, type Policy, parsePolicy, requireAllowed } from '../../site-agent/policy.js';

const SITES = ['alder', 'birch', 'cedar', 'dogwood'];

function leaf(name: string, change: Partial<TensorSpec> = {}): TensorSpec {
  return {
    name,
    kind: `logistic.${name}`,
    shape: [2, 2],
    bound: 100,
    ring: 128,
    fractionBits: 40,
    contributors: SITES.map((site) => ({ site, cells: [0] })),
    visibility: 'total',
    momentColumns: 0,
    fold: 'all',
    meaning: 'a test tensor',
    ...change,
  };
}

const CONTEXT: ReleaseContext = {
  site: 'alder',
  policy: DEFAULT_POLICY,
  showAggregate: [],
  patients: 40,
  minimumCohort: 10,
};
const LEAVES = [leaf('gradient'), leaf('hessian')];
const OK = new Map([['gradient', new Float64Array([1, -2, 3, 100])]]);

function refusal(run: () => void): ConcordatError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConcordatError);
    return error as ConcordatError;
  }
  throw new Error('it was released');
}

describe('the release gate', () => {
  it('passes what was declared; an absent tensor is zeros', () => {
    expect(() => checkRelease(LEAVES, OK, CONTEXT)).not.toThrow();
  });

  it.each<[string, Map<string, Float64Array>, Partial<ReleaseContext>, readonly TensorSpec[], string]>([
    ['undeclared', new Map([['rows', new Float64Array(4)]]), {}, LEAVES, 'POLICY_UNDECLARED_TENSOR'],
    ['wrong length', new Map([['gradient', new Float64Array(3)]]), {}, LEAVES, 'POLICY_TENSOR_MISMATCH'],
    ['NaN', new Map([['gradient', new Float64Array([0, Number.NaN, 0, 0])]]), {}, LEAVES, 'SECAGG_BOUND_EXCEEDED'],
    [
      'infinite',
      new Map([['gradient', new Float64Array([0, Number.NEGATIVE_INFINITY, 0, 0])]]),
      {},
      LEAVES,
      'SECAGG_BOUND_EXCEEDED',
    ],
    [
      'beyond its bound',
      new Map([['gradient', new Float64Array([0, 100.001, 0, 0])]]),
      {},
      LEAVES,
      'SECAGG_BOUND_EXCEEDED',
    ],
    ['no contributor', OK, { site: 'elm' }, LEAVES, 'POLICY_TENSOR_MISMATCH'],
    ['too few patients', OK, { patients: 9 }, LEAVES, 'POLICY_COHORT_TOO_SMALL'],
    ['one name twice', OK, {}, [leaf('gradient'), leaf('gradient')], 'POLICY_TENSOR_MISMATCH'],
    [
      'visible for one site',
      OK,
      {},
      [leaf('gradient', { visibility: 'site', contributors: [{ site: 'alder', cells: [0] }] })],
      'POLICY_VISIBILITY_REFUSED',
    ],
  ])('refuses whole: %s', (_, contribution, context, leaves, code) => {
    const error = refusal(() => checkRelease(leaves, contribution, { ...CONTEXT, ...context }));
    expect(error.code).toBe(code);
    expect(error.message).toContain('nothing was released');
  });

  it('names every fault and no value', () => {
    const canary = 7431.25;
    const error = refusal(() =>
      checkRelease(
        LEAVES,
        new Map([
          ['rows', new Float64Array([canary])],
          ['gradient', new Float64Array([canary, canary, 0, 0])],
          ['hessian', new Float64Array([Number.NaN])],
        ]),
        CONTEXT,
      ),
    );
    expect(error.problems).toHaveLength(3);
    expect(error.problems[1]!.message).toContain('2 entries beyond its declared bound of 100');
    expect(JSON.stringify([error.message, error.problems])).not.toContain('7431');
  });

  it('lets zeros of a visible tensor pass: whoever is held out shows nothing', () => {
    const leaves = [leaf('gradient', { visibility: 'site', contributors: [{ site: 'alder', cells: [0] }] })];
    expect(() => checkRelease(leaves, new Map([['gradient', new Float64Array(4)]]), CONTEXT)).not.toThrow();
  });
});

describe('the egress ledger', () => {
  const entries: LedgerEntry[] = [];
  for (let round = 1; round <= 3; round++)
    entries.push(
      ledgerEntry(entries[entries.length - 1] ?? null, {
        time: `2026-01-0${round}T10:00:00.000Z`,
        study: 'small',
        computation: 'logistic',
        round,
        attempt: round === 3 ? 2 : 1,
        leaves: LEAVES,
        patients: 40,
        sha256: String(round).repeat(64),
        masked: true,
      }),
    );

  it('is a chain that verifies', () => {
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(entries[1]!.previousHash).toBe(entries[0]!.hash);
    // Two tensors of four entries, two 64-bit words each.
    expect(entries[0]!.bytes).toBe(2 * 4 * 16);
    expect(() => verifyLedger(entries, entries[2]!.hash)).not.toThrow();
    expect(() => verifyLedger([])).not.toThrow();
  });

  it.each<[string, (list: LedgerEntry[]) => LedgerEntry[]]>([
    ['a changed number of patients', (list) => list.map((entry, at) => (at === 1 ? { ...entry, patients: 3 } : entry))],
    ['a changed tensor name', (list) => list.map((entry, at) => (at === 0 ? { ...entry, tensors: [] } : entry))],
    ['a removed entry', (list) => list.filter((_, at) => at !== 1)],
    ['a removed first entry', (list) => list.slice(1)],
    ['a cut end', (list) => list.slice(0, 2)],
    ['another order', (list) => [list[1]!, list[0]!, list[2]!]],
    ['an entry twice', (list) => [...list, list[2]!]],
  ])('shows %s', (_, change) => {
    expect(refusal(() => verifyLedger(change(entries), entries[2]!.hash)).code).toBe('STORE_LEDGER_BROKEN');
  });

  it('is readable and holds nothing per patient', () => {
    expect(Object.keys(entries[0]!).sort()).toEqual([
      'attempt',
      'bytes',
      'computation',
      'hash',
      'masked',
      'patients',
      'previousHash',
      'round',
      'sequence',
      'sha256',
      'study',
      'tensors',
      'time',
    ]);
    const text = ledgerTable(entries);
    expect(text).toContain('3 (attempt 2)');
    expect(text).toContain('3 releases, 384 B');
    expect(ledgerTable([])).toBe('Nothing has left this site.');
  });
});

describe('what will leave', () => {
  it('is told by computation and kind, with what is visible per site', () => {
    const rows = describeLeaves([
      { computation: 'model', rounds: [LEAVES, [leaf('gradient')]], roundsMax: 30 },
      {
        computation: 'validate',
        rounds: [
          SITES.map((site) =>
            leaf(`metrics/${site}`, {
              kind: 'validate.metrics',
              visibility: 'site',
              contributors: [{ site, cells: [0] }],
            }),
          ),
        ],
        roundsMax: null,
      },
    ]);
    expect(
      rows.map(({ kind, tensors, numbers, rounds, visible }) => [kind, tensors, numbers, rounds, visible]),
    ).toEqual([
      ['logistic.gradient', 1, 4, 'up to 30', 'total'],
      ['logistic.hessian', 1, 4, 'up to 30', 'total'],
      ['validate.metrics', 4, 16, '1', 'site'],
    ]);
    const text = leavesTable(rows);
    expect(text).toContain('PER SITE: alder, birch, cedar, dogwood can be told apart in validate.metrics.');
    expect(text.split('\n').every((line) => line.length <= 120)).toBe(true);
  });
});

describe('policy', () => {
  const study = parseStudy(
    `concordat: 1
name: small
cohort: {endpoint: {type: binary, column: mvi}, features: [f1]}
sites: {training: [alder, birch, cedar, dogwood]}
model: {type: logistic}
privacy: {showAggregate: [alder]}
`,
    'study.yaml',
  );
  const open: Policy = { ...DEFAULT_POLICY, visibility: { metrics: true, descriptions: true, aggregate: true } };
  const leaves = { logistic: LEAVES };
  const reasons = (policy: Policy, changed: Study, list = leaves as Record<string, TensorSpec[]>) => {
    const decision = evaluateStudy(policy, changed, list, 'alder');
    return decision.allowed ? [] : decision.reasons;
  };

  it('allows a study that asks nothing beyond it', () => {
    expect(evaluateStudy(open, study, leaves, 'alder')).toEqual({ allowed: true });
    expect(() => requireAllowed(evaluateStudy(open, study, leaves, 'alder'), 'small')).not.toThrow();
  });

  it('lists every reason against one', () => {
    const bold: Study = {
      ...study,
      privacy: { ...study.privacy, minimumCohort: 3, minimumCount: 1, minSites: 2, secureAggregation: false },
    };
    const against = reasons(DEFAULT_POLICY, bold, { logistic: LEAVES, exfiltrate: LEAVES });
    expect(against).toEqual([
      "privacy.minimumCohort is 3, this site's policy wants at least 10",
      "privacy.minimumCount is 1, this site's policy wants at least 5",
      "privacy.minSites is 2, this site's policy wants at least 3",
      'the study runs without secure aggregation, so the coordinator would see every contribution',
      'totals could isolate this site (privacy.showAggregate), which its policy does not allow',
      'the computation "exfiltrate" is not among those that may run here',
    ]);
    const error = refusal(() => requireAllowed({ allowed: false, reasons: against }, 'small'));
    expect(error.code).toBe('POLICY_STUDY_REFUSED');
    expect(error.problems).toHaveLength(6);
  });

  it('keeps metrics, descriptions and isolating totals apart', () => {
    const visible = (kind: string) => ({
      validate: [leaf('x', { kind, visibility: 'site', contributors: [{ site: 'alder', cells: [0] }] })],
    });
    expect(reasons(open, study, visible('validate.metrics'))).toEqual([]);
    const shut: Policy = { ...open, visibility: { metrics: false, descriptions: true, aggregate: true } };
    expect(reasons(shut, study, visible('validate.metrics'))).toHaveLength(1);
    expect(reasons(shut, study, visible('describe.counts'))).toEqual([]);
    // Another site's own metrics are not this site's affair.
    const other = {
      validate: [
        leaf('x', { kind: 'validate.metrics', visibility: 'site', contributors: [{ site: 'birch', cells: [0] }] }),
      ],
    };
    expect(reasons(shut, study, other)).toEqual([]);
    const undeclared: Study = { ...study, privacy: { ...study.privacy, showAggregate: [] } };
    expect(reasons(open, undeclared, visible('logistic.hessian'))).toHaveLength(1);
    expect(reasons(open, study, visible('logistic.hessian'))).toEqual([]);
  });

  it('refuses a coordinator that must be trusted, and unstratified Cox', () => {
    const curious: Study = { ...study, privacy: { ...study.privacy, coordinator: 'curious' } };
    expect(reasons({ ...open, coordinator: 'malicious' }, curious)).toHaveLength(1);
    const cox = parseStudy(
      `concordat: 1
name: os
cohort: {endpoint: {type: survival, time: t, event: e}, features: [f1]}
sites: {training: [alder, birch, cedar]}
model: {type: cox, strata: none}
`,
      'study.yaml',
    );
    expect(reasons(open, cox)[0]).toContain('unstratified');
  });

  it('file: strict, with positions', () => {
    expect(parsePolicy('concordat: 1\nminimumCohort: 20\n', 'policy.yaml').minimumCohort).toBe(20);
    const error = refusal(() =>
      parsePolicy('concordat: 1\nminimumCohorts: 20\nvisibility: {metrics: maybe}\n', 'policy.yaml'),
    );
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.problems.map(({ row, message }) => `${row} ${message}`)).toEqual([
      '2 unknown field "minimumCohorts"; did you mean "minimumCohort"?',
      '3 visibility.metrics must be true or false, not text',
    ]);
    expect(refusal(() => parsePolicy('a: [', 'policy.yaml')).code).toBe('POLICY_UNREADABLE');
  });
});
