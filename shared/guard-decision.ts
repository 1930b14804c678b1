import { ConcordatError, type ErrorCode } from './errors.js';
import {
  type Atom,
  combinations,
  fewestPatients,
  type GuardVector,
  isolatedBy,
  isolatedGroups,
  type Span,
  sitesTouched,
  spanOf,
} from './guard-span.js';
import type { Contributor, TensorSpec } from './tensors.js';

/**
 * The disclosure guard: may this set of totals be signed, given every set signed before? Pure data in, pure data out;
 * the site keeps the state durably, per cohort. Vectors count whatever the broadcast was: two totals of one kind at
 * different coefficients are treated as if they could be subtracted.
 */
export interface GuardState {
  readonly kinds: Readonly<Record<string, KindState>>;
  /** The deciding site's own cell of each case (in the frozen cohort's order), by cut: later studies may cut otherwise. */
  readonly cuts?: Readonly<Record<string, readonly number[]>>;
}

export interface KindState {
  /** Distinct vectors released, with the largest number of moment columns each was released with. */
  readonly vectors: readonly ReleasedVector[];
  /** Sites whose own numbers of this kind are declared visible by design (per-site metrics and descriptions). */
  readonly open: readonly string[];
}

export interface ReleasedVector extends GuardVector {
  readonly key: string;
  readonly columns: number;
}

/** What one signed set would release: a vector for every tensor, restricted to the survivors. */
export interface GuardRequest {
  readonly tensors: readonly {
    readonly kind: string;
    readonly vector: GuardVector;
    readonly columns: number;
    readonly visibility: 'total' | 'site';
  }[];
}

export interface GuardRules {
  readonly minSites: number;
  /** Sites that signed that totals may isolate their own share. */
  readonly showAggregate: readonly string[];
  readonly minimumCohort: number;
  /** The deciding site and its patients per cell; null where nobody's patients are known (study check). */
  readonly own: OwnCohort | null;
}

export interface OwnCohort {
  readonly site: string;
  readonly atoms: readonly Atom[];
  /** This study's cut, case by case; then `atoms` are taken from it and from the cuts of earlier studies together. */
  readonly cut?: { readonly scheme: string; readonly cellOf: readonly number[]; readonly counted: readonly number[] };
}

/** A group of sites that some combination of totals of `kind` shows alone, although not all of it agreed. */
export interface Isolation {
  readonly kind: string;
  readonly sites: readonly string[];
  readonly undeclared: readonly string[];
}

export type GuardDecision =
  | { readonly ok: true; readonly state: GuardState }
  | {
      readonly ok: false;
      readonly code: Extract<ErrorCode, 'POLICY_GUARD_ISOLATES' | 'POLICY_GUARD_TOO_FEW'>;
      /** Names sites and kinds only, so it may be sent to the coordinator. */
      readonly message: string;
      readonly isolated: readonly Isolation[];
    };

export const EMPTY_GUARD: GuardState = { kinds: {} };

/**
 * Metrics and descriptions are shown per site on purpose: the study says so, a site sees it before it approves, and its
 * policy may refuse it. Everything else that isolates a site needs its signed showAggregate, also where the design leaves only one
 * or two sites to fill a tensor.
 */
export function shownPerSiteByDesign(kind: string): boolean {
  return kind.startsWith('describe.') || kind.startsWith('validate.');
}

/** The request that signing `survivors` for these tensors would be. `scheme` names the cut into cells. */
export function guardRequest(
  leaves: readonly TensorSpec[],
  survivors: readonly string[],
  scheme: string,
  cells: number,
): GuardRequest {
  const alive = new Set(survivors);
  return {
    tensors: leaves.map((leaf) => ({
      kind: leaf.kind,
      vector: { scheme, cells, contributors: leaf.contributors.filter(({ site }) => alive.has(site)) },
      columns: leaf.momentColumns,
      visibility: leaf.visibility,
    })),
  };
}

/** Adds a request's vectors to the state; `changed` names the kinds that learnt something new. */
export function withRequest(state: GuardState, request: GuardRequest): { state: GuardState; changed: string[] } {
  const kinds: Record<string, KindState> = { ...state.kinds };
  const changed = new Set<string>();
  for (const { kind, vector, columns, visibility } of request.tensors) {
    const before = kinds[kind] ?? { vectors: [], open: [] };
    const after = withOpen(withVector(before, vector, columns), kind, vector, visibility);
    if (after === before) continue;
    kinds[kind] = after;
    changed.add(kind);
  }
  return { state: changed.size === 0 ? state : { ...state, kinds }, changed: [...changed] };
}

/** Pieces of the own cohort that no cut divides. */
export function atomsOfCuts(cuts: Readonly<Record<string, readonly number[]>>, counted: readonly number[]): Atom[] {
  const schemes = Object.keys(cuts).sort();
  const atoms = new Map<string, Atom>();
  for (const [row, weight] of counted.entries()) {
    const cells = schemes.map((scheme) => cuts[scheme]![row]!);
    const key = cells.join(',');
    const known = atoms.get(key);
    atoms.set(key, {
      cells: known?.cells ?? Object.fromEntries(schemes.map((scheme, at) => [scheme, cells[at]!])),
      n: (known?.n ?? 0) + weight,
    });
  }
  return [...atoms.values()];
}

/** Adds the own cut to the state, and puts the atoms of all cuts into the rules. */
function withCut(state: GuardState, rules: GuardRules): { state: GuardState; rules: GuardRules } {
  const own = rules.own;
  if (own?.cut === undefined) return { state, rules };
  const { scheme, cellOf, counted } = own.cut;
  const cuts = { ...state.cuts, [scheme]: cellOf };
  const sizes = new Set([...Object.values(cuts), counted].map((cut) => cut.length));
  // The state is read from the site's store: cuts of another length are those of another cohort, or damage.
  if (sizes.size !== 1)
    throw new ConcordatError('STORE_DAMAGED', "the disclosure guard's state does not fit the frozen cohort");
  return {
    state: state.cuts?.[scheme] === undefined ? { ...state, cuts } : state,
    rules: { ...rules, own: { site: own.site, atoms: atomsOfCuts(cuts, counted) } },
  };
}

/** Decides one set and gives the state to keep before anything is signed. The same set again is free. */
export function guardDecision(before: GuardState, request: GuardRequest, given: GuardRules): GuardDecision {
  const { state, rules } = withCut(before, given);
  const { state: next, changed } = withRequest(state, request);
  const { kinds } = next;
  const isolated = changed.flatMap((kind) => isolations(kind, kinds[kind]!, rules));
  if (isolated.length > 0)
    return { ok: false, code: 'POLICY_GUARD_ISOLATES', message: isolationMessage(isolated), isolated };
  const small = changed.filter((kind) => tooFew(kinds[kind]!, rules) !== null);
  if (small.length > 0)
    return {
      ok: false,
      code: 'POLICY_GUARD_TOO_FEW',
      message: `totals of ${small.map((kind) => `"${kind}"`).join(', ')} would show too few patients of site "${rules.own?.site}"`,
      isolated: [],
    };
  return { ok: true, state: next };
}

function withVector(state: KindState, vector: GuardVector, columns: number): KindState {
  const contributors = vector.contributors.filter(({ cells }) => cells.length > 0);
  if (contributors.length === 0) return state;
  const key = vectorKey(vector.scheme, contributors);
  const known = state.vectors.find((other) => other.key === key);
  if (known !== undefined && known.columns >= columns) return state;
  const kept = state.vectors.filter((other) => other.key !== key);
  return { ...state, vectors: [...kept, { scheme: vector.scheme, cells: vector.cells, contributors, key, columns }] };
}

function withOpen(state: KindState, kind: string, vector: GuardVector, visibility: 'total' | 'site'): KindState {
  if (visibility !== 'site' || !shownPerSiteByDesign(kind)) return state;
  const open = new Set([...state.open, ...vector.contributors.map(({ site }) => site)]);
  return open.size === state.open.length ? state : { ...state, open: [...open].sort() };
}

function vectorKey(scheme: string, contributors: readonly Contributor[]): string {
  const parts = contributors.map(({ site, cells }) => `${site}:${[...cells].sort((a, b) => a - b).join(',')}`);
  return `${scheme};${parts.sort().join(';')}`;
}

// Recomputing a span from its vectors costs milliseconds, so the cache may vanish at a restart.
const spans = new WeakMap<KindState, Span>();

export function spanOfKind(state: KindState): Span {
  const known = spans.get(state);
  if (known !== undefined) return known;
  const span = spanOf(state.vectors);
  spans.set(state, span);
  return span;
}

/** Groups of `kind` that would be shown alone without the agreement of all of them, smallest first. */
export function isolations(kind: string, state: KindState, rules: GuardRules): Isolation[] {
  const span = spanOfKind(state);
  const agreed = new Set([...rules.showAggregate, ...state.open]);
  const size = Math.min(rules.minSites - 1, span.sites.length);
  for (const group of combinations(span.sites, size)) {
    if (group.every((site) => agreed.has(site))) continue;
    if (sitesTouched(span, isolatedBy(span, group)).every((site) => agreed.has(site))) continue;
    return isolatedGroups(span, rules.minSites)
      .map((sites) => ({ kind, sites, undeclared: sites.filter((site) => !agreed.has(site)) }))
      .filter(({ undeclared }) => undeclared.length > 0);
  }
  return [];
}

/**
 * The single-site rules for the own patients in anything that shows a group the own site is in: at least minimumCohort
 * of them, and more than the columns of a moment matrix. A combination shows only the columns that all totals in
 * it have, so the matrices of at least m columns are judged together, for every m. Null where the rules hold.
 */
export function tooFew(state: KindState, rules: GuardRules): { patients: number; needed: number } | null {
  const own = rules.own;
  if (own === null) return null;
  const patients = fewestOwn(spanOfKind(state), rules.minSites, own);
  if (patients < rules.minimumCohort) return { patients, needed: rules.minimumCohort };
  const levels = [...new Set(state.vectors.map((vector) => vector.columns))].sort((a, b) => b - a);
  if (levels[0] === undefined || patients > levels[0]) return null;
  for (const level of levels) {
    if (level < patients) break;
    const span = spanOf(state.vectors.filter((vector) => vector.columns >= level));
    const shown = fewestOwn(span, rules.minSites, own);
    if (shown <= level) return { patients: shown, needed: level + 1 };
  }
  return null;
}

function fewestOwn(span: Span, minSites: number, own: { site: string; atoms: readonly Atom[] }): number {
  if (!span.sites.includes(own.site)) return Number.POSITIVE_INFINITY;
  const others = span.sites.filter((site) => site !== own.site);
  let fewest = Number.POSITIVE_INFINITY;
  for (const rest of combinations(others, Math.min(minSites - 2, others.length)))
    fewest = Math.min(fewest, fewestPatients(span, [own.site, ...rest], own.site, own.atoms));
  return fewest;
}

function isolationMessage(isolated: readonly Isolation[]): string {
  const groups = new Map<string, string[]>();
  for (const { kind, sites } of isolated) {
    const name = sites.join(' and ');
    groups.set(name, [...(groups.get(name) ?? []), kind]);
  }
  const parts = [...groups].map(([name, kinds]) => `${name} (${[...new Set(kinds)].sort().join(', ')})`);
  return `the totals so far and this one together would show the share of ${parts.join('; ')} alone`;
}
