import { createHash } from 'node:crypto';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { contributionBytes, encodeContribution } from '../../shared/fixed-point.js';
import type { RoundTerms } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import { declarationHash } from '../../shared/secagg/context.js';
import { agreementPublicKey } from '../../shared/secagg/keys.js';
import { Secret } from '../../shared/secret.js';
import { type TensorSpec, tensorSize } from '../../shared/tensors.js';

/** A tiny study: who the sites are, what each round asks and what each site would answer. All from the seed. */
export interface SimStudy {
  readonly terms: RoundTerms;
  readonly keys: ReadonlyMap<string, { readonly signingKey: Secret; readonly boxKey: Secret }>;
  readonly rounds: readonly SimRound[];
}

export interface SimRound {
  readonly round: number;
  readonly computation: string;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  readonly specs: readonly TensorSpec[];
  readonly bytes: number;
  /** site -> encoded words, in declaration order. */
  readonly words: ReadonlyMap<string, readonly BigUint64Array[]>;
}

const SITE_NAMES = [
  'alder',
  'birch',
  'cedar',
  'dogwood',
  'elm',
  'fir',
  'ginkgo',
  'hazel',
  'ivy',
  'juniper',
  'kapok',
  'larch',
];

export function siteNames(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => SITE_NAMES[index] ?? `site-${String(index).padStart(3, '0')}`,
  ).sort();
}

const hashOf = (...parts: (string | number)[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');
const keyOf = (...parts: (string | number)[]) =>
  new Secret(createHash('sha256').update(JSON.stringify(parts)).digest());

// The same keys in every study, so that the slow part of sealing is done once per test process.
const siteKeys = new Map<string, { signingKey: Secret; boxKey: Secret }>();
function keysOf(site: string) {
  const known = siteKeys.get(site) ?? { signingKey: keyOf('signing', site), boxKey: keyOf('box', site) };
  siteKeys.set(site, known);
  return known;
}

export function makeTerms(
  sites: readonly string[],
  options: Partial<Omit<RoundTerms, 'roster'>> = {},
  seed = 0,
): RoundTerms {
  return {
    mode: 'secure',
    coordinator: 'malicious',
    minSites: Math.min(3, sites.length),
    onMissingSite: 'wait',
    ...options,
    roster: {
      studyHash: hashOf('study', seed),
      rosterVersion: 1,
      sites: [...sites].sort().map((site) => ({
        site,
        signingPublicKey: ed25519PublicKey(keysOf(site).signingKey),
        boxPublicKey: agreementPublicKey(keysOf(site).boxKey),
      })),
    },
  };
}

export function simKeys(site: string) {
  return keysOf(site);
}

function tensor(name: string, shape: number[], ring: 64 | 128, fractionBits: number, bound: number): TensorSpec {
  return {
    name,
    kind: name,
    shape,
    ring,
    fractionBits,
    bound,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: `simulated ${name}`,
  };
}

export function makeStudy(terms: RoundTerms, rounds: number, seed: number): SimStudy {
  const random = seededRandom('sim-data', seed);
  const sites = terms.roster.sites.map((entry) => entry.site);
  return {
    terms,
    keys: new Map(sites.map((site) => [site, keysOf(site)])),
    rounds: Array.from({ length: rounds }, (_, index): SimRound => {
      const round = index + 1;
      const specs =
        round % 2 === 1
          ? [tensor('moments', [2, 3], 128, 80, 2 ** 40), tensor('count', [2], 64, 0, 2 ** 40)]
          : [tensor('weights', [11 + random.integer(30)], 64, 24, 2 ** 20), tensor('loss', [1], 128, 80, 2 ** 40)];
      const words = new Map<string, readonly BigUint64Array[]>();
      for (const site of sites) {
        // A held-out site leaves a tensor out, which counts as zeros.
        const present = specs.filter((_, position) => position === 0 || random.uniform() < 0.8);
        const contribution = new Map(
          present.map((spec) => [
            spec.name,
            Float64Array.from({ length: tensorSize(spec) }, () => {
              const value = random.normal() * (spec.fractionBits === 0 ? 1000 : 3);
              return spec.fractionBits === 0 ? Math.round(value) : value;
            }),
          ]),
        );
        words.set(site, encodeContribution(specs, contribution, sites.length));
      }
      const computation = index < 2 ? 'describe' : 'logistic';
      return {
        round,
        computation,
        broadcastHash: hashOf('broadcast', seed, round),
        declarationHash: declarationHash(specs),
        specs,
        bytes: contributionBytes(specs),
        words,
      };
    }),
  };
}

/** The sum over these sites in plain BigInt arithmetic: shares no code with addInto. */
export function plainSum(round: SimRound, sites: readonly string[]): bigint[][] {
  return round.specs.map((spec, index) => {
    const perEntry = spec.ring / 64;
    return Array.from({ length: tensorSize(spec) }, (_, entry) => {
      let sum = 0n;
      for (const site of sites) {
        const words = round.words.get(site)![index]!;
        for (let word = 0; word < perEntry; word++) sum += words[entry * perEntry + word]! << BigInt(64 * word);
      }
      return BigInt.asUintN(spec.ring, sum);
    });
  });
}

export function entriesOf(round: SimRound, blocks: readonly BigUint64Array[]): bigint[][] {
  return round.specs.map((spec, index) => {
    const perEntry = spec.ring / 64;
    const block = blocks[index]!;
    return Array.from({ length: tensorSize(spec) }, (_, entry) => {
      let value = 0n;
      for (let word = 0; word < perEntry; word++) value += block[entry * perEntry + word]! << BigInt(64 * word);
      return value;
    });
  });
}
