import { bundleDigest, bundleJson, sha256 } from '../../shared/bundle/bundle.js';
import { modelCard } from '../../shared/bundle/card.js';
import { type BundleModelInput, buildModelOnnx } from '../../shared/bundle/model-graph.js';
import { signatureFile } from '../../shared/bundle/verify.js';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { toHex } from '../../shared/hex.js';
import { nextRoster, type RosterMember, signRosterWith } from '../../shared/roster.js';
import { Secret } from '../../shared/secret.js';
import { studyHash } from '../../shared/study.js';
import type { Ratification } from '../../shared/study-messages.js';
import { parseStudy } from '../../shared/study-parse.js';
import { signRatification } from '../../shared/study-signatures.js';

export const SITES = ['alder', 'birch', 'cedar'];
const secretOf = (byte: number) => new Secret(new Uint8Array(32).fill(byte));
export const consortiumKey = secretOf(99);
export const consortiumPublicKey = ed25519PublicKey(consortiumKey);
export const siteKey = (site: string) => secretOf(1 + SITES.indexOf(site));
export const HEAD = 'ab'.repeat(32);

export const STUDY_TEXT = `
concordat: 1
name: bundle-test
title: A model for a test
cohort:
  endpoint: {type: binary, column: mvi}
  features: [f0, f1]
  covariates: [{column: sex, levels: [F, M]}, {column: age, unit: years}]
sites: {training: [alder, birch, cedar]}
harmonization: {method: combat, covariates: [sex, age]}
model: {type: logistic, lambda: 0}
quorum: 2
seed: 3
`;
export const study = parseStudy(STUDY_TEXT, 'study.yaml');

export const modelInput: BundleModelInput = {
  features: ['f0', 'f1'],
  covariates: [
    { name: 'sex', levels: ['F', 'M'] },
    { name: 'age', levels: null },
  ],
  harmonization: {
    method: 'combat',
    columns: ['sexM', 'age'],
    covariateMean: Float64Array.from([0.5, 60]),
    coefficients: Float64Array.from([0.2, -0.1, 0.01, 0.02]),
    grandMean: Float64Array.from([1, 5]),
    pooledVariance: Float64Array.from([0.5, 4]),
    untouched: Uint8Array.from([0, 0]),
  },
  withCovariates: true,
  mean: Float64Array.from([1.1, 5.2, 0.5, 60]),
  sd: Float64Array.from([0.8, 2.1, 0.5, 9]),
  model: { type: 'linear', intercept: -0.2, beta: Float64Array.from([0.9, -0.6, 0.3, 0.1]) },
  endpoint: 'binary',
  baselineHazard: null,
};

function member(site: string, status: RosterMember['status'] = 'active'): RosterMember {
  const signingPublicKey = toHex(ed25519PublicKey(siteKey(site)));
  return { site, signingPublicKey, tlsFingerprint: Buffer.from(site.padEnd(32, '.')).toString('hex'), status };
}

export interface FolderOptions {
  readonly signers?: readonly string[];
  readonly revoked?: readonly string[];
  readonly model?: BundleModelInput;
  /** What result.json says. */
  readonly result?: unknown;
  readonly change?: (ratification: Omit<Ratification, 'signature'>) => Omit<Ratification, 'signature'>;
}

/** A whole bundle, signed: path -> bytes. */
export function bundleFiles(options: FolderOptions = {}): Map<string, Uint8Array> {
  const roster = nextRoster(
    null,
    SITES.map((site) => member(site, options.revoked?.includes(site) === true ? 'revoked' : 'active')),
    '2026-01-01T00:00:00Z',
  );
  const result = Buffer.from(`${JSON.stringify(options.result ?? {})}\n`);
  const metrics = {
    auc: { value: 0.812, low: 0.75, high: 0.87 },
    brier: { value: 0.17 },
    events: { suppressed: true },
    sensitivity: null,
  } as const;
  const card = modelCard({
    study,
    studyHash: studyHash(study),
    version: '1.0.0',
    sites: [
      { name: 'alder', role: 'training', n: 120, events: 40 },
      { name: 'birch', role: 'training', n: 90, events: null },
    ],
    validation: {
      folds: [
        {
          name: 'without-alder',
          model: 'logistic',
          arm: 'combat',
          heldOut: ['alder'],
          evaluates: 'procedure',
          sites: { alder: metrics },
          pooled: metrics,
        },
      ],
    },
    threshold: 0.42,
    simulated: true,
  });
  const files = new Map<string, Uint8Array>([
    ['model.onnx', buildModelOnnx(options.model ?? modelInput)],
    ['card.md', Buffer.from(card)],
    ['study.yaml', Buffer.from(STUDY_TEXT)],
    ['roster.json', Buffer.from(`${JSON.stringify(signRosterWith(consortiumKey, roster))}\n`)],
    ['result.json', result],
  ]);
  const { harmonization } = options.model ?? modelInput;
  const bundle = bundleJson(
    {
      name: study.name,
      version: '1.0.0',
      studyHash: studyHash(study),
      resultHash: sha256(result),
      endpoint: { type: 'binary', column: 'mvi' },
      inputs: [
        { name: 'f0', unit: null, levels: null },
        { name: 'f1', unit: null, levels: null },
        { name: 'sex', unit: null, levels: ['F', 'M'] },
        { name: 'age', unit: 'years', levels: null },
      ],
      features: 2,
      harmonization: harmonization === null ? 'none' : harmonization.method,
      threshold: 0.42,
      sites: [{ name: 'alder', role: 'training' }],
      metrics: {},
    },
    files,
  );
  files.set('bundle.json', bundle);
  for (const site of options.signers ?? SITES) {
    const statement: Omit<Ratification, 'signature'> = {
      studyHash: studyHash(study),
      bundleDigest: bundleDigest(bundle),
      rosterVersion: 1,
      transcriptHead: HEAD,
      site,
      verdict: 'ratified',
      reason: '',
    };
    const { path, bytes } = signatureFile(signRatification(options.change?.(statement) ?? statement, siteKey(site)));
    files.set(path, bytes);
  }
  return files;
}
