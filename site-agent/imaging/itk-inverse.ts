/**
 * The inverse of a 3 × 3 matrix as ITK computes it, bit for bit: V · diag(1/w) · Uᵀ of the singular value decomposition of LINPACK (J.
 * Dongarra et al., LINPACK Users' Guide, SIAM 1979, chapter 11). On an oblique grid its last bit decides which of two voxels is the
 * nearest where a new voxel lies half-way, and whether an interpolated value that falls on a voxel is truncated to one less.
 *
 * Matrices are row-major. A singular value of 0 counts as its own inverse, 0.
 */
export function itkInverse(m: readonly number[]): number[] {
  const { u, w, v } = singularValues(m);
  const inverted = w.map((value) => (value === 0 ? 0 : 1 / value));
  const out: number[] = [];
  for (let i = 0; i < 3; i++) {
    const scaled = inverted.map((value, k) => v[k]![i]! * value);
    for (let j = 0; j < 3; j++) out.push(scaled[0]! * u[0]![j]! + scaled[1]! * u[1]![j]! + scaled[2]! * u[2]![j]!);
  }
  return out;
}

type Column = [number, number, number];

interface Decomposition {
  /** Columns of the left and right singular vectors. */
  readonly u: Column[];
  readonly w: Column;
  readonly v: Column[];
}

function singularValues(m: readonly number[]): Decomposition {
  const { u, v, s, e } = bidiagonal([0, 1, 2].map((j): Column => [m[j]!, m[3 + j]!, m[6 + j]!]));
  diagonalise(u, v, s, e);
  return { u, w: s, v };
}

/** Householder reflections to bidiagonal form: diagonal in `s`, superdiagonal in `e`. `x` are columns and is used up. */
function bidiagonal(x: Column[]): { u: Column[]; v: Column[]; s: Column; e: Column } {
  const s: Column = [0, 0, 0];
  const e: Column = [0, 0, 0];
  const u: Column[] = [zeros(), zeros(), zeros()];
  const v: Column[] = [zeros(), zeros(), zeros()];
  for (let l = 0; l < 2; l++) {
    const column = x[l]!;
    s[l] = reflector(column, l);
    for (let j = l + 1; j < 3; j++) {
      if (s[l] !== 0) addTo(x[j]!, -dot(column, x[j]!, l) / column[l]!, column, l);
      e[j] = x[j]![l]!;
    }
    for (let i = l; i < 3; i++) u[l]![i] = column[i]!;
    if (l > 0) continue;
    e[0] = reflector(e, 1);
    if (e[0] !== 0) {
      const work = zeros();
      for (let j = 1; j < 3; j++) addTo(work, e[j]!, x[j]!, 1);
      for (let j = 1; j < 3; j++) addTo(x[j]!, -e[j]! / e[1]!, work, 1);
    }
    v[0] = [0, e[1]!, e[2]!];
  }
  s[2] = x[2]![2]!;
  e[1] = x[2]![1]!;
  e[2] = 0;
  accumulate(u, s, [1, 0], (l) => l);
  u[2]![0] = u[2]![0]!;
  accumulateRight(v, e);
  return { u, v, s, e };
}

/** Turns `x` from `from` on into its reflector and gives the element that the reflection leaves, its sign changed. */
function reflector(x: Column, from: number): number {
  let norm = norm2(x, from);
  if (norm === 0) return -0;
  if (x[from] !== 0) norm = x[from]! < 0 ? -norm : norm;
  const factor = 1 / norm;
  for (let i = from; i < 3; i++) x[i] = factor * x[i]!;
  x[from]! += 1;
  return -norm;
}

/** The left vectors, from the reflectors that lie in their columns. */
function accumulate(u: Column[], s: Column, order: readonly number[], first: (l: number) => number): void {
  u[2] = [0, 0, 1];
  for (const l of order) {
    const own = u[l]!;
    if (s[l] === 0) {
      own.fill(0);
      own[l] = 1;
      continue;
    }
    const from = first(l);
    for (let j = l + 1; j < 3; j++) addTo(u[j]!, -dot(own, u[j]!, from) / own[from]!, own, from);
    for (let i = from; i < 3; i++) own[i] = -own[i]!;
    own[from]! += 1;
    for (let i = 0; i < from; i++) own[i] = 0;
  }
}

/** The right vectors; there is one reflector, in the first column from its second element on. */
function accumulateRight(v: Column[], e: Column): void {
  const own = v[0]!;
  v[2] = [0, 0, 1];
  v[1] = [0, 1, 0];
  if (e[0] !== 0) for (const column of [v[1]!, v[2]!]) addTo(column, -dot(own, column, 1) / own[1]!, own, 1);
  v[0] = [1, 0, 0];
}

/** Implicit QR steps until the superdiagonal is gone; singular values end descending. */
function diagonalise(u: Column[], v: Column[], s: Column, e: Column): void {
  let m = 2;
  while (m >= 0) {
    const l = splitAt(s, e, m);
    if (l === m) {
      settle(u, v, s, m);
      m--;
      continue;
    }
    const zero = zeroFrom(s, e, l, m);
    if (zero === m) deflate(v, s, e, l, m);
    else if (zero >= l) split(u, s, e, zero + 1, m);
    else step(u, v, s, e, l, m);
  }
}

/** First row of the last block whose superdiagonal has no negligible element; sets such an element to 0. */
function splitAt(s: Column, e: Column, m: number): number {
  for (let l = m - 1; l >= 0; l--) {
    const test = Math.abs(s[l]!) + Math.abs(s[l + 1]!);
    if (test + Math.abs(e[l]!) !== test) continue;
    e[l] = 0;
    return l + 1;
  }
  return 0;
}

/** The last row of the block whose diagonal element is negligible, which is set to 0; `l` − 1 where there is none. */
function zeroFrom(s: Column, e: Column, l: number, m: number): number {
  for (let k = m; k >= l; k--) {
    const test = (k === m ? 0 : Math.abs(e[k]!)) + (k === l ? 0 : Math.abs(e[k - 1]!));
    if (test + Math.abs(s[k]!) !== test) continue;
    s[k] = 0;
    return k;
  }
  return l - 1;
}

function deflate(v: Column[], s: Column, e: Column, l: number, m: number): void {
  let f = e[m - 1]!;
  e[m - 1] = 0;
  for (let k = m - 1; k >= l; k--) {
    const { r, c, n } = givens(s[k]!, f);
    s[k] = r;
    if (k !== l) {
      f = -n * e[k - 1]!;
      e[k - 1] = c * e[k - 1]!;
    }
    rotate(v[k]!, v[m]!, c, n);
  }
}

function split(u: Column[], s: Column, e: Column, l: number, m: number): void {
  let f = e[l - 1]!;
  e[l - 1] = 0;
  for (let k = l; k <= m; k++) {
    const { r, c, n } = givens(s[k]!, f);
    s[k] = r;
    f = -n * e[k]!;
    e[k] = c * e[k]!;
    rotate(u[k]!, u[l - 1]!, c, n);
  }
}

function step(u: Column[], v: Column[], s: Column, e: Column, l: number, m: number): void {
  const scale = Math.max(...[s[m]!, s[m - 1]!, e[m - 1]!, s[l]!, e[l]!].map(Math.abs));
  const [sm, before, above] = [s[m]! / scale, s[m - 1]! / scale, e[m - 1]! / scale];
  const [sl, el] = [s[l]! / scale, e[l]! / scale];
  const b = ((before + sm) * (before - sm) + above * above) / 2;
  const c2 = sm * above * (sm * above);
  let shift = 0;
  if (b !== 0 || c2 !== 0) {
    shift = Math.sqrt(b * b + c2);
    if (b < 0) shift = -shift;
    shift = c2 / (b + shift);
  }
  let f = (sl + sm) * (sl - sm) + shift;
  let g = sl * el;
  for (let k = l; k < m; k++) {
    const right = givens(f, g);
    if (k !== l) e[k - 1] = right.r;
    f = right.c * s[k]! + right.n * e[k]!;
    e[k] = right.c * e[k]! - right.n * s[k]!;
    g = right.n * s[k + 1]!;
    s[k + 1] = right.c * s[k + 1]!;
    rotate(v[k]!, v[k + 1]!, right.c, right.n);
    const left = givens(f, g);
    s[k] = left.r;
    f = left.c * e[k]! + left.n * s[k + 1]!;
    s[k + 1] = -left.n * e[k]! + left.c * s[k + 1]!;
    g = left.n * e[k + 1]!;
    e[k + 1] = left.c * e[k + 1]!;
    rotate(u[k]!, u[k + 1]!, left.c, left.n);
  }
  e[m - 1] = f;
}

/** A singular value that is found: made positive, and put in its place among those found before. */
function settle(u: Column[], v: Column[], s: Column, found: number): void {
  if (s[found]! < 0) {
    s[found] = -s[found]!;
    v[found] = v[found]!.map((value) => -value) as Column;
  }
  for (let l = found; l < 2 && s[l]! < s[l + 1]!; l++) {
    [s[l], s[l + 1]] = [s[l + 1]!, s[l]!];
    [v[l], v[l + 1]] = [v[l + 1]!, v[l]!];
    [u[l], u[l + 1]] = [u[l + 1]!, u[l]!];
  }
}

/** The plane rotation that takes (a, b) to (r, 0). */
function givens(a: number, b: number): { r: number; c: number; n: number } {
  const scale = Math.abs(a) + Math.abs(b);
  if (scale === 0) return { r: 0, c: 1, n: 0 };
  const [x, y] = [a / scale, b / scale];
  const length = scale * Math.sqrt(x * x + y * y);
  const larger = Math.abs(a) > Math.abs(b) ? a : b;
  const r = larger < 0 ? -length : length;
  return { r, c: a / r, n: b / r };
}

function rotate(a: Column, b: Column, c: number, n: number): void {
  for (let i = 0; i < 3; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = c * x + n * y;
    b[i] = c * y - n * x;
  }
}

function norm2(x: Column, from: number): number {
  if (from === 2) return Math.abs(x[2]);
  let scale = 0;
  let sum = 1;
  for (let i = from; i < 3; i++) {
    const size = Math.abs(x[i]!);
    if (size === 0) continue;
    const ratio = scale < size ? scale / size : size / scale;
    if (scale < size) {
      sum = 1 + sum * (ratio * ratio);
      scale = size;
    } else sum += ratio * ratio;
  }
  return scale * Math.sqrt(sum);
}

function dot(a: Column, b: Column, from: number): number {
  let sum = 0;
  for (let i = from; i < 3; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** `to` + factor · `x`, from one element on. */
function addTo(to: Column, factor: number, x: Column, from: number): void {
  if (factor === 0) return;
  for (let i = from; i < 3; i++) to[i] = to[i]! + factor * x[i]!;
}

function zeros(): Column {
  return [0, 0, 0];
}
