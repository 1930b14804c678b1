import { assert } from './errors.js';
import type { Contributor } from './tensors.js';

/**
 * Exact linear algebra behind the disclosure guard. A released total is a 0/1 vector over (site, fold cell): which
 * patients' terms are in it. Whoever holds several totals of one kind can form every rational combination of them, so
 * what can be learnt about a group P of sites is the subspace W_P of the span that is supported on P alone.
 *
 * Everything is computed over the integers without rounding (BigInt rows, divided by their common divisor), so the
 * answer is the rational one: no prime to choose and no tolerance. Entries stay tiny, because the rows are 0/1 designs.
 *
 * Coordinates. Studies on one cohort may cut it into cells differently (another seed, another number of folds). All cuts
 * share the site's total, so a site's part of a vector is written as (coefficient of the site's total, then what each
 * cell k >= 1 has more than cell 0). That is an invertible change of coordinates inside every site, so supports on sites
 * are unchanged, and vectors of different cuts live in one space.
 */
export interface GuardVector {
  /** Name of the cut into cells; the same name always means the same cells. */
  readonly scheme: string;
  /** Number of cells in that cut. */
  readonly cells: number;
  readonly contributors: readonly Contributor[];
}

/** A piece of the own cohort that no cut divides: its cell in each scheme, and how many patients it has. */
export interface Atom {
  readonly cells: Readonly<Record<string, number>>;
  readonly n: number;
}

interface Column {
  readonly site: string;
  readonly scheme: string | null;
  readonly cell: number;
}

/** The span of all vectors released so far, reduced. */
export interface Span {
  readonly columns: readonly Column[];
  readonly rank: number;
  /** Rows n with v in span <=> n . v = 0 for all of them. */
  readonly annihilator: readonly (readonly bigint[])[];
  readonly sites: readonly string[];
}

/** Reduces the vectors once; isolation questions are then small eliminations over the group's own columns. */
export function spanOf(vectors: readonly GuardVector[]): Span {
  const byKey = new Map<string, { column: Column; index: number }>();
  const sparse = vectors.map((vector) => {
    const entries = new Map<string, bigint>();
    for (const { site, cells } of vector.contributors) {
      const members = new Set(cells);
      const base = members.has(0) ? 1 : 0;
      const put = (column: Column, value: number) => {
        const key = `${column.site}|${column.scheme ?? ''}|${column.cell}`;
        if (!byKey.has(key)) byKey.set(key, { column, index: byKey.size });
        if (value !== 0) entries.set(key, BigInt(value));
      };
      put({ site, scheme: null, cell: 0 }, base);
      for (let cell = 1; cell < vector.cells; cell++)
        put({ site, scheme: vector.scheme, cell }, (members.has(cell) ? 1 : 0) - base);
    }
    return entries;
  });
  const keys = [...byKey.keys()];
  const rows = sparse.map((entries) => keys.map((key) => entries.get(key) ?? 0n));
  const columns = keys.map((key) => byKey.get(key)!.column);
  const { reduced, pivots } = reduce(rows, keys.length);
  const sites = [...new Set(columns.map((column) => column.site))].sort();
  return { columns, rank: pivots.length, annihilator: nullSpace(reduced, pivots, keys.length), sites };
}

/**
 * Basis of W_P: all vectors of the span that are zero outside the sites of `group`. Row-major over `columns`, the
 * indices of the group's columns in the span.
 */
export function isolatedBy(span: Span, group: readonly string[]): { columns: number[]; basis: bigint[][] } {
  const columns = span.columns.flatMap((column, index) => (group.includes(column.site) ? [index] : []));
  const restricted = span.annihilator.map((row) => columns.map((index) => row[index]!));
  const { reduced, pivots } = reduce(restricted, columns.length);
  return { columns, basis: nullSpace(reduced, pivots, columns.length) };
}

/** Sites of `group` on which some vector of W_P is not zero. */
export function sitesTouched(span: Span, isolated: { columns: number[]; basis: bigint[][] }): string[] {
  const touched = new Set<string>();
  for (const vector of isolated.basis)
    for (const [at, value] of vector.entries())
      if (value !== 0n) touched.add(span.columns[isolated.columns[at]!]!.site);
  return [...touched].sort();
}

/**
 * Groups of fewer than `minSites` sites whose patients' terms some combination of the totals shows alone, smallest
 * first; a group is listed only where it shows more than its smaller listed groups do.
 */
export function isolatedGroups(span: Span, minSites: number): string[][] {
  const found: string[][] = [];
  for (let size = 1; size < minSites && size <= span.sites.length; size++)
    for (const group of combinations(span.sites, size)) {
      const touched = sitesTouched(span, isolatedBy(span, group));
      if (touched.length < size) continue;
      const inside = found.filter((known) => known.every((site) => group.includes(site)));
      const explained = new Set(inside.flat());
      if (touched.some((site) => !explained.has(site))) found.push([...group]);
    }
  return found;
}

/**
 * Fewest patients of `site` in any combination of totals that shows only sites of `group`: the smallest support, in
 * patients, of a non-zero vector of W_P projected on the site. Infinity where nothing is shown. Where the exact search
 * would be long the smallest shown piece is returned, which is never more than the exact answer; 0 where a cut is shown that
 * the atoms do not know, because nothing can then be said.
 */
export function fewestPatients(span: Span, group: readonly string[], site: string, atoms: readonly Atom[]): number {
  const isolated = isolatedBy(span, group);
  for (const [at, index] of isolated.columns.entries()) {
    const { site: where, scheme } = span.columns[index]!;
    const known = scheme === null || atoms.every((atom) => atom.cells[scheme] !== undefined);
    if (where === site && !known && isolated.basis.some((vector) => vector[at] !== 0n)) return 0;
  }
  const values = isolated.basis.map((vector) =>
    atoms.map((atom) => {
      let value = 0n;
      for (const [at, entry] of vector.entries()) {
        const column = span.columns[isolated.columns[at]!]!;
        if (column.site !== site) continue;
        if (column.scheme === null || atom.cells[column.scheme] === column.cell) value += entry;
      }
      return value;
    }),
  );
  return smallestSupport(
    values,
    atoms.map((atom) => atom.n),
  );
}

/** Matrix entries that the search below may touch before it settles for its lower bound: a fraction of a second. */
const SUPPORT_SEARCH_MAX = 4_000_000;

/** Smallest total weight of the support of a non-zero vector in the row space. Infinity for the zero space. */
export function smallestSupport(rows: readonly (readonly bigint[])[], weights: readonly number[]): number {
  const { reduced, pivots } = reduce(rows, weights.length);
  const dimension = pivots.length;
  if (dimension === 0) return Number.POSITIVE_INFINITY;
  // Proportional columns are zero together, so they count as one piece.
  const pieces = new Map<string, { column: bigint[]; weight: number }>();
  for (let at = 0; at < weights.length; at++) {
    const column = primitive(reduced.map((row) => row[at]!));
    if (column.every((value) => value === 0n)) continue;
    const key = column.join(',');
    const known = pieces.get(key);
    pieces.set(key, { column, weight: (known?.weight ?? 0) + weights[at]! });
  }
  const list = [...pieces.values()].sort((a, b) => b.weight - a.weight);
  const smallestPiece = Math.min(...list.map((piece) => piece.weight));
  if (list.length === dimension) return smallestPiece;

  // Piece by piece, heavy ones first: either the vector is zero there, which takes one dimension, or its weight counts.
  let best = Number.POSITIVE_INFINITY;
  let touched = 0;
  const search = (basis: readonly (readonly bigint[])[], at: number, weight: number): void => {
    touched += basis.length * list.length;
    if (basis.length === 0 || weight >= best || touched > SUPPORT_SEARCH_MAX) return;
    if (basis.length === 1) {
      best = Math.min(
        best,
        list.reduce((sum, piece, index) => sum + (basis[0]![index] === 0n ? 0 : piece.weight), 0),
      );
      return;
    }
    const tool = basis.find((row) => row[at] !== 0n);
    if (tool === undefined) {
      search(basis, at + 1, weight);
      return;
    }
    const zeroHere = basis
      .filter((row) => row !== tool)
      .map((row) => (row[at] === 0n ? row : eliminate(row, tool, at)));
    search(zeroHere, at + 1, weight);
    search(basis, at + 1, weight + list[at]!.weight);
  };
  const basis = Array.from({ length: dimension }, (_, row) => list.map((piece) => piece.column[row]!));
  search(basis, 0, 0);
  return touched > SUPPORT_SEARCH_MAX ? smallestPiece : best;
}

/** Reduced row echelon form over the integers; rows are primitive and pivot columns zero elsewhere. */
export function reduce(rows: readonly (readonly bigint[])[], width: number): { reduced: bigint[][]; pivots: number[] } {
  const reduced: bigint[][] = [];
  const pivots: number[] = [];
  const seen = new Set<string>();
  for (const given of rows) {
    assert(given.length === width, 'rows of one matrix have one width');
    const key = given.join(',');
    if (seen.has(key)) continue;
    seen.add(key);
    let row = [...given];
    for (const [at, pivot] of pivots.entries()) if (row[pivot] !== 0n) row = eliminate(row, reduced[at]!, pivot);
    const pivot = row.findIndex((value) => value !== 0n);
    if (pivot < 0) continue;
    for (let at = 0; at < reduced.length; at++)
      if (reduced[at]![pivot] !== 0n) reduced[at] = eliminate(reduced[at]!, row, pivot);
    reduced.push(row);
    pivots.push(pivot);
  }
  return { reduced, pivots };
}

/** row * tool[pivot] - tool * row[pivot], made primitive: zero at the pivot. */
function eliminate(row: readonly bigint[], tool: readonly bigint[], pivot: number): bigint[] {
  const keep = tool[pivot]!;
  const remove = row[pivot]!;
  return primitive(row.map((value, at) => (tool[at] === 0n ? value * keep : value * keep - tool[at]! * remove)));
}

/** Divided by the greatest common divisor, first non-zero entry positive. */
function primitive(row: bigint[]): bigint[] {
  let divisor = 0n;
  for (const value of row) {
    if (value === 0n) continue;
    divisor = divisor === 0n ? absolute(value) : greatestCommonDivisor(divisor, absolute(value));
    if (divisor === 1n) break;
  }
  if (divisor === 0n) return row;
  const first = row.find((value) => value !== 0n)!;
  const by = first < 0n ? -divisor : divisor;
  return by === 1n ? row : row.map((value) => value / by);
}

/** Basis of { x : reduced x = 0 }, one vector for each column without pivot. */
function nullSpace(reduced: readonly (readonly bigint[])[], pivots: readonly number[], width: number): bigint[][] {
  const isPivot = new Set(pivots);
  const basis: bigint[][] = [];
  for (let free = 0; free < width; free++) {
    if (isPivot.has(free)) continue;
    let scale = 1n;
    for (const [at, pivot] of pivots.entries()) {
      if (reduced[at]![free] === 0n) continue;
      const head = absolute(reduced[at]![pivot]!);
      scale = (scale / greatestCommonDivisor(scale, head)) * head;
    }
    const vector = new Array<bigint>(width).fill(0n);
    vector[free] = scale;
    for (const [at, pivot] of pivots.entries()) vector[pivot] = (-reduced[at]![free]! * scale) / reduced[at]![pivot]!;
    basis.push(vector);
  }
  return basis;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** All subsets of `size` items, in lexicographic order of their positions. */
export function* combinations<T>(items: readonly T[], size: number): Generator<T[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let first = 0; first + size <= items.length; first++)
    for (const rest of combinations(items.slice(first + 1), size - 1)) yield [items[first]!, ...rest];
}
