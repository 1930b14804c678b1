import { ConcordatError } from '../errors.js';
import { checkSpec } from '../fixed-point.js';
import { LIMITS } from '../limits.js';
import type { RoundTerms } from '../messages.js';
import type { TensorSpec } from '../tensors.js';
import { type Field, PROTOCOL_VERSION, sha256Hex, statement } from './statements.js';

/** What one attempt of one round is about. */
export interface AttemptIdentity {
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
}

/** C: names the attempt in every message, signature and mask key, so that nothing of one attempt fits another. */
export function attemptContext(identity: AttemptIdentity): string {
  return sha256Hex(
    statement(
      'attempt context',
      PROTOCOL_VERSION,
      identity.studyHash,
      identity.rosterVersion,
      identity.computation,
      identity.round,
      identity.attempt,
      identity.broadcastHash,
      identity.declarationHash,
    ),
  );
}

/** Hash of everything a declaration announces, tensor by tensor in sending order. */
export function declarationHash(specs: readonly TensorSpec[]): string {
  const bound = Buffer.alloc(8);
  const fields: Field[] = specs.map((spec) => {
    // The double itself, not its decimal form, so that the hash does not depend on how numbers are printed.
    bound.writeDoubleBE(spec.bound);
    return [
      spec.name,
      spec.kind,
      spec.shape,
      Uint8Array.from(bound),
      spec.ring,
      spec.fractionBits,
      spec.contributors.map((contributor) => [contributor.site, contributor.cells]),
      spec.visibility,
      spec.momentColumns,
      spec.fold,
      spec.meaning,
    ];
  });
  return sha256Hex(statement('declaration', ...fields));
}

/**
 * The declaration that this side computed is the one that the attempt names, and every tensor fits its ring over that many
 * sites. Throws SECAGG_DECLARATION_MISMATCH or SECAGG_RING_OVERFLOW.
 */
export function checkDeclaration(specs: readonly TensorSpec[], announced: string, siteCount: number): void {
  if (declarationHash(specs) !== announced)
    throw new ConcordatError(
      'SECAGG_DECLARATION_MISMATCH',
      'the attempt names another declaration than this side computed',
    );
  for (const spec of specs) checkSpec(spec, siteCount);
}

/** How many shares rebuild a secret, and how many signatures make a set: t, from the study's n sites. */
export function threshold(terms: RoundTerms): number {
  const n = terms.roster.sites.length;
  return terms.coordinator === 'malicious' ? Math.floor((2 * n) / 3) + 1 : Math.floor(n / 2) + 1;
}

/** Fewest sites that a total may be made of. */
export function fewestSurvivors(terms: RoundTerms): number {
  if (terms.mode === 'plain') return Math.min(terms.roster.sites.length, terms.minSites);
  return Math.max(threshold(terms), terms.minSites);
}

/** Site names of the study, in roster order. */
export function rosterSites(terms: RoundTerms): string[] {
  return terms.roster.sites.map((entry) => entry.site);
}

/** Throws SECAGG_TOO_FEW_SITES or SECAGG_SET_INVALID where rounds on these terms could never run. */
export function checkTerms(terms: RoundTerms): void {
  const sites = rosterSites(terms);
  const n = sites.length;
  if (sites.some((site, index) => index > 0 && sites[index - 1]! >= site))
    throw new ConcordatError('SECAGG_SET_INVALID', 'the roster of the study is not sorted by site, or repeats one');
  if (n > LIMITS.sitesMax)
    throw new ConcordatError('SECAGG_SET_INVALID', `a study has at most ${LIMITS.sitesMax} sites, this one has ${n}`);
  if (terms.mode === 'secure' && n < LIMITS.secureSitesMin)
    throw new ConcordatError('SECAGG_TOO_FEW_SITES', `secure aggregation over ${n} sites would hide nothing`);
  if (terms.minSites > n)
    throw new ConcordatError(
      'SECAGG_TOO_FEW_SITES',
      `the study has ${n} sites and asks for ${terms.minSites} in every total`,
    );
}
