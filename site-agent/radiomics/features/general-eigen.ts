/**
 * Eigenvalues of a real matrix, row-major, overwritten: reduction to Hessenberg form by elimination with pivots, then the shifted QR
 * iteration (Martin, Peters and Wilkinson 1970; EISPACK's elmhes and hqr). In no particular order; complex ones in pairs.
 * @returns null where the iteration does not end
 */
export function generalEigenvalues(a: Float64Array, n: number): { re: Float64Array; im: Float64Array } | null {
  toHessenberg(a, n);
  return hessenbergEigenvalues(a, n);
}

function toHessenberg(a: Float64Array, n: number): void {
  for (let m = 1; m < n - 1; m++) {
    let pivot = 0;
    let from = m;
    for (let i = m; i < n; i++)
      if (Math.abs(a[i * n + m - 1]!) > Math.abs(pivot)) {
        pivot = a[i * n + m - 1]!;
        from = i;
      }
    if (pivot === 0) continue;
    if (from !== m) {
      for (let j = m - 1; j < n; j++) swap(a, from * n + j, m * n + j);
      for (let j = 0; j < n; j++) swap(a, j * n + from, j * n + m);
    }
    for (let i = m + 1; i < n; i++) {
      const factor = a[i * n + m - 1]! / pivot;
      if (factor === 0) continue;
      a[i * n + m - 1] = 0;
      for (let j = m; j < n; j++) a[i * n + j]! -= factor * a[m * n + j]!;
      for (let j = 0; j < n; j++) a[j * n + m]! += factor * a[j * n + i]!;
    }
  }
}

function swap(a: Float64Array, i: number, j: number): void {
  const kept = a[i]!;
  a[i] = a[j]!;
  a[j] = kept;
}

const EPSILON = 2.220446049250313e-16;

export function hessenbergEigenvalues(a: Float64Array, n: number): { re: Float64Array; im: Float64Array } | null {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  let norm = 0;
  for (let i = 0; i < n; i++) for (let j = Math.max(i - 1, 0); j < n; j++) norm += Math.abs(a[i * n + j]!);
  let high = n - 1;
  let shifted = 0;
  let rounds = 0;
  while (high >= 0) {
    let low = high;
    for (; low > 0; low--) {
      const scale = Math.abs(a[(low - 1) * n + low - 1]!) + Math.abs(a[low * n + low]!);
      if (Math.abs(a[low * n + low - 1]!) <= EPSILON * (scale === 0 ? norm : scale)) {
        a[low * n + low - 1] = 0;
        break;
      }
    }
    const x = a[high * n + high]!;
    if (low === high) {
      re[high] = x + shifted;
      high--;
      rounds = 0;
      continue;
    }
    const y = a[(high - 1) * n + high - 1]!;
    const w = a[high * n + high - 1]! * a[(high - 1) * n + high]!;
    if (low === high - 1) {
      splitPair(re, im, high, x + shifted, y + shifted, w);
      high -= 2;
      rounds = 0;
      continue;
    }
    if (rounds === 60) return null;
    let [sx, sy, sw] = [x, y, w];
    if (rounds > 0 && rounds % 10 === 0) {
      shifted += x;
      for (let i = 0; i <= high; i++) a[i * n + i]! -= x;
      const s = Math.abs(a[high * n + high - 1]!) + Math.abs(a[(high - 1) * n + high - 2]!);
      sx = 0.75 * s;
      sy = sx;
      sw = -0.4375 * s * s;
    }
    rounds++;
    doubleStep(a, n, low, high, sx, sy, sw);
  }
  return { re, im };
}

/** Eigenvalues of the 2 × 2 block with diagonal y, x and product w of its off-diagonal. */
function splitPair(re: Float64Array, im: Float64Array, high: number, x: number, y: number, w: number): void {
  const p = 0.5 * (y - x);
  const q = p * p + w;
  const z = Math.sqrt(Math.abs(q));
  if (q >= 0) {
    const root = p + (p >= 0 ? z : -z);
    re[high - 1] = x + root;
    re[high] = root === 0 ? x + root : x - w / root;
    return;
  }
  re[high - 1] = x + p;
  re[high] = x + p;
  im[high - 1] = z;
  im[high] = -z;
}

/** One implicit double shift on rows low to high. */
function doubleStep(a: Float64Array, n: number, low: number, high: number, x: number, y: number, w: number): void {
  let m = high - 2;
  let p = 0;
  let q = 0;
  let r = 0;
  for (; m >= low; m--) {
    const z = a[m * n + m]!;
    const rr = x - z;
    const ss = y - z;
    p = (rr * ss - w) / a[(m + 1) * n + m]! + a[m * n + m + 1]!;
    q = a[(m + 1) * n + m + 1]! - z - rr - ss;
    r = a[(m + 2) * n + m + 1]!;
    const s = Math.abs(p) + Math.abs(q) + Math.abs(r);
    p /= s;
    q /= s;
    r /= s;
    if (m === low) break;
    const u = Math.abs(a[m * n + m - 1]!) * (Math.abs(q) + Math.abs(r));
    const v = Math.abs(p) * (Math.abs(a[(m - 1) * n + m - 1]!) + Math.abs(z) + Math.abs(a[(m + 1) * n + m + 1]!));
    if (u <= EPSILON * v) break;
  }
  for (let i = m + 2; i <= high; i++) {
    a[i * n + i - 2] = 0;
    if (i > m + 2) a[i * n + i - 3] = 0;
  }
  for (let k = m; k < high; k++) {
    let scale = 0;
    if (k !== m) {
      p = a[k * n + k - 1]!;
      q = a[(k + 1) * n + k - 1]!;
      r = k === high - 1 ? 0 : a[(k + 2) * n + k - 1]!;
      scale = Math.abs(p) + Math.abs(q) + Math.abs(r);
      if (scale === 0) continue;
      p /= scale;
      q /= scale;
      r /= scale;
    }
    const s = (p >= 0 ? 1 : -1) * Math.sqrt(p * p + q * q + r * r);
    if (s === 0) continue;
    if (k !== m) a[k * n + k - 1] = -s * scale;
    else if (low !== m) a[k * n + k - 1] = -a[k * n + k - 1]!;
    p += s;
    const fx = p / s;
    const fy = q / s;
    const fz = r / s;
    q /= p;
    r /= p;
    const third = k !== high - 1;
    for (let j = k; j <= high; j++) {
      let t = a[k * n + j]! + q * a[(k + 1) * n + j]!;
      if (third) {
        t += r * a[(k + 2) * n + j]!;
        a[(k + 2) * n + j]! -= t * fz;
      }
      a[(k + 1) * n + j]! -= t * fy;
      a[k * n + j]! -= t * fx;
    }
    const last = Math.min(high, k + 3);
    for (let i = low; i <= last; i++) {
      let t = fx * a[i * n + k]! + fy * a[i * n + k + 1]!;
      if (third) {
        t += fz * a[i * n + k + 2]!;
        a[i * n + k + 2]! -= t * r;
      }
      a[i * n + k + 1]! -= t * q;
      a[i * n + k]! -= t;
    }
  }
}
