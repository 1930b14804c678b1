/** Lines that one transform works on at once. */
export const LANES = 16;

/**
 * Discrete Fourier transforms of many complex lines of one length at once: sample k of line b lies at `k * lanes + b`, so that the
 * inner loops run over neighbouring numbers with one twiddle factor. Unscaled; the inverse is the same with both arrays exchanged.
 */
export interface LineTransform {
  transform(re: Float64Array, im: Float64Array, lanes: number): void;
}

/** The smallest length of at least `atLeast` without prime factors above 5. */
export function goodLength(atLeast: number): number {
  for (let length = Math.max(1, atLeast); ; length++) {
    let rest = length;
    for (const radix of [2, 3, 5]) while (rest % radix === 0) rest /= radix;
    if (rest === 1) return length;
  }
}

const known = new Map<number, LineTransform>();

/** The transform of a length, whatever its prime factors. */
export function lineTransform(length: number): LineTransform {
  let transform = known.get(length);
  if (transform === undefined) {
    transform = goodLength(length) === length ? new Stockham(length) : new Bluestein(length);
    known.set(length, transform);
  }
  return transform;
}

interface Stage {
  readonly radix: 2 | 3 | 4 | 5;
  /** Length of the transforms that the stage leaves to do. */
  readonly rest: number;
  /** exp(−2πi p k / (radix · rest)) for p < rest and 0 < k < radix, real and imaginary part after one another. */
  readonly twiddles: Float64Array;
}

/** Stockham's form for lengths of factors 2, 3, 4 and 5: what leaves each stage lies in order, so nothing is shuffled. */
class Stockham implements LineTransform {
  readonly #stages: Stage[] = [];
  #re: Float64Array = new Float64Array(0);
  #im: Float64Array = new Float64Array(0);

  constructor(readonly length: number) {
    let rest = length;
    for (const radix of [4, 2, 3, 5] as const)
      while (rest % radix === 0) {
        const whole = rest;
        rest /= radix;
        const twiddles = new Float64Array(rest * (radix - 1) * 2);
        for (let p = 0, at = 0; p < rest; p++)
          for (let k = 1; k < radix; k++) {
            const angle = (2 * Math.PI * ((p * k) % whole)) / whole;
            twiddles[at++] = Math.cos(angle);
            twiddles[at++] = -Math.sin(angle);
          }
        this.#stages.push({ radix, rest, twiddles });
      }
  }

  transform(re: Float64Array, im: Float64Array, lanes: number): void {
    const total = this.length * lanes;
    if (this.#re.length < total) {
      this.#re = new Float64Array(total);
      this.#im = new Float64Array(total);
    }
    let from: readonly [Float64Array, Float64Array] = [re, im];
    let to: readonly [Float64Array, Float64Array] = [this.#re, this.#im];
    let run = lanes;
    for (const stage of this.#stages) {
      BUTTERFLIES[stage.radix](stage, run, from[0], from[1], to[0], to[1]);
      [from, to] = [to, from];
      run *= stage.radix;
    }
    if (from[0] !== re) {
      re.set(from[0].subarray(0, total));
      im.set(from[1].subarray(0, total));
    }
  }
}

type Butterfly = (
  s: Stage,
  run: number,
  ar: Float64Array,
  ai: Float64Array,
  br: Float64Array,
  bi: Float64Array,
) => void;

const BUTTERFLIES: Record<Stage['radix'], Butterfly> = {
  2({ rest, twiddles }, run, ar, ai, br, bi) {
    const hop = rest * run;
    for (let p = 0; p < rest; p++) {
      const wr = twiddles[2 * p]!;
      const wi = twiddles[2 * p + 1]!;
      const from = p * run;
      const to = 2 * p * run;
      for (let q = 0; q < run; q++) {
        const xr = ar[from + q]!;
        const xi = ai[from + q]!;
        const yr = ar[from + hop + q]!;
        const yi = ai[from + hop + q]!;
        br[to + q] = xr + yr;
        bi[to + q] = xi + yi;
        br[to + run + q] = (xr - yr) * wr - (xi - yi) * wi;
        bi[to + run + q] = (xr - yr) * wi + (xi - yi) * wr;
      }
    }
  },
  3({ rest, twiddles }, run, ar, ai, br, bi) {
    const hop = rest * run;
    const half = Math.sqrt(3) / 2;
    for (let p = 0; p < rest; p++) {
      const [w1r, w1i, w2r, w2i] = twiddles.subarray(4 * p, 4 * p + 4) as unknown as [number, number, number, number];
      const from = p * run;
      const to = 3 * p * run;
      for (let q = 0; q < run; q++) {
        const i = from + q;
        const sr = ar[i + hop]! + ar[i + 2 * hop]!;
        const si = ai[i + hop]! + ai[i + 2 * hop]!;
        const dr = half * (ai[i + hop]! - ai[i + 2 * hop]!);
        const di = half * (ar[i + 2 * hop]! - ar[i + hop]!);
        const mr = ar[i]! - 0.5 * sr;
        const mi = ai[i]! - 0.5 * si;
        br[to + q] = ar[i]! + sr;
        bi[to + q] = ai[i]! + si;
        br[to + run + q] = (mr + dr) * w1r - (mi + di) * w1i;
        bi[to + run + q] = (mr + dr) * w1i + (mi + di) * w1r;
        br[to + 2 * run + q] = (mr - dr) * w2r - (mi - di) * w2i;
        bi[to + 2 * run + q] = (mr - dr) * w2i + (mi - di) * w2r;
      }
    }
  },
  4({ rest, twiddles }, run, ar, ai, br, bi) {
    const hop = rest * run;
    for (let p = 0; p < rest; p++) {
      const w1r = twiddles[6 * p]!;
      const w1i = twiddles[6 * p + 1]!;
      const w2r = twiddles[6 * p + 2]!;
      const w2i = twiddles[6 * p + 3]!;
      const w3r = twiddles[6 * p + 4]!;
      const w3i = twiddles[6 * p + 5]!;
      const from = p * run;
      const to = 4 * p * run;
      for (let q = 0; q < run; q++) {
        const i = from + q;
        const s02r = ar[i]! + ar[i + 2 * hop]!;
        const s02i = ai[i]! + ai[i + 2 * hop]!;
        const d02r = ar[i]! - ar[i + 2 * hop]!;
        const d02i = ai[i]! - ai[i + 2 * hop]!;
        const s13r = ar[i + hop]! + ar[i + 3 * hop]!;
        const s13i = ai[i + hop]! + ai[i + 3 * hop]!;
        const d13r = ar[i + hop]! - ar[i + 3 * hop]!;
        const d13i = ai[i + hop]! - ai[i + 3 * hop]!;
        br[to + q] = s02r + s13r;
        bi[to + q] = s02i + s13i;
        br[to + run + q] = (d02r + d13i) * w1r - (d02i - d13r) * w1i;
        bi[to + run + q] = (d02r + d13i) * w1i + (d02i - d13r) * w1r;
        br[to + 2 * run + q] = (s02r - s13r) * w2r - (s02i - s13i) * w2i;
        bi[to + 2 * run + q] = (s02r - s13r) * w2i + (s02i - s13i) * w2r;
        br[to + 3 * run + q] = (d02r - d13i) * w3r - (d02i + d13r) * w3i;
        bi[to + 3 * run + q] = (d02r - d13i) * w3i + (d02i + d13r) * w3r;
      }
    }
  },
  5({ rest, twiddles }, run, ar, ai, br, bi) {
    const hop = rest * run;
    const c1 = Math.cos((2 * Math.PI) / 5);
    const c2 = Math.cos((4 * Math.PI) / 5);
    const s1 = Math.sin((2 * Math.PI) / 5);
    const s2 = Math.sin((4 * Math.PI) / 5);
    for (let p = 0; p < rest; p++) {
      const from = p * run;
      const to = 5 * p * run;
      for (let q = 0; q < run; q++) {
        const i = from + q;
        const [xr, xi] = [ar[i]!, ai[i]!];
        const t1r = ar[i + hop]! + ar[i + 4 * hop]!;
        const t1i = ai[i + hop]! + ai[i + 4 * hop]!;
        const t2r = ar[i + 2 * hop]! + ar[i + 3 * hop]!;
        const t2i = ai[i + 2 * hop]! + ai[i + 3 * hop]!;
        const u1r = ar[i + hop]! - ar[i + 4 * hop]!;
        const u1i = ai[i + hop]! - ai[i + 4 * hop]!;
        const u2r = ar[i + 2 * hop]! - ar[i + 3 * hop]!;
        const u2i = ai[i + 2 * hop]! - ai[i + 3 * hop]!;
        br[to + q] = xr + t1r + t2r;
        bi[to + q] = xi + t1i + t2i;
        const m1r = xr + c1 * t1r + c2 * t2r;
        const m1i = xi + c1 * t1i + c2 * t2i;
        const m2r = xr + c2 * t1r + c1 * t2r;
        const m2i = xi + c2 * t1i + c1 * t2i;
        const v1r = s1 * u1i + s2 * u2i;
        const v1i = -(s1 * u1r + s2 * u2r);
        const v2r = s2 * u1i - s1 * u2i;
        const v2i = -(s2 * u1r - s1 * u2r);
        put(br, bi, to + run + q, m1r + v1r, m1i + v1i, twiddles, 8 * p);
        put(br, bi, to + 2 * run + q, m2r + v2r, m2i + v2i, twiddles, 8 * p + 2);
        put(br, bi, to + 3 * run + q, m2r - v2r, m2i - v2i, twiddles, 8 * p + 4);
        put(br, bi, to + 4 * run + q, m1r - v1r, m1i - v1i, twiddles, 8 * p + 6);
      }
    }
  },
};

function put(
  br: Float64Array,
  bi: Float64Array,
  at: number,
  r: number,
  i: number,
  twiddles: Float64Array,
  w: number,
): void {
  br[at] = r * twiddles[w]! - i * twiddles[w + 1]!;
  bi[at] = r * twiddles[w + 1]! + i * twiddles[w]!;
}

/** Any length as a convolution with a chirp: L. Bluestein, IEEE Trans. Audio Electroacoust. 18 (1970) 451-455. */
class Bluestein implements LineTransform {
  readonly #padded: number;
  readonly #inner: LineTransform;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #chirpRe: Float64Array;
  readonly #chirpIm: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(readonly length: number) {
    this.#padded = goodLength(2 * length - 1);
    this.#inner = lineTransform(this.#padded);
    // k² modulo 2n keeps the angle exact for long lines.
    const angle = (k: number) => (Math.PI * ((k * k) % (2 * length))) / length;
    this.#cos = Float64Array.from({ length }, (_, k) => Math.cos(angle(k)));
    this.#sin = Float64Array.from({ length }, (_, k) => Math.sin(angle(k)));
    this.#chirpRe = new Float64Array(this.#padded);
    this.#chirpIm = new Float64Array(this.#padded);
    for (let k = 0; k < length; k++)
      for (const at of k === 0 ? [0] : [k, this.#padded - k]) {
        this.#chirpRe[at] = this.#cos[k]!;
        this.#chirpIm[at] = this.#sin[k]!;
      }
    this.#inner.transform(this.#chirpRe, this.#chirpIm, 1);
    this.#re = new Float64Array(this.#padded * LANES);
    this.#im = new Float64Array(this.#padded * LANES);
  }

  transform(re: Float64Array, im: Float64Array, lanes: number): void {
    const [a, b] = [this.#re, this.#im];
    const end = this.length * lanes;
    a.fill(0, end, this.#padded * lanes);
    b.fill(0, end, this.#padded * lanes);
    for (let k = 0, i = 0; k < this.length; k++) {
      const c = this.#cos[k]!;
      const s = this.#sin[k]!;
      for (let lane = 0; lane < lanes; lane++, i++) {
        a[i] = re[i]! * c + im[i]! * s;
        b[i] = im[i]! * c - re[i]! * s;
      }
    }
    this.#inner.transform(a, b, lanes);
    for (let k = 0, i = 0; k < this.#padded; k++) {
      const c = this.#chirpRe[k]!;
      const s = this.#chirpIm[k]!;
      for (let lane = 0; lane < lanes; lane++, i++) {
        const x = a[i]!;
        a[i] = x * c - b[i]! * s;
        b[i] = x * s + b[i]! * c;
      }
    }
    this.#inner.transform(b, a, lanes);
    for (let k = 0, i = 0; k < this.length; k++) {
      const c = this.#cos[k]! / this.#padded;
      const s = this.#sin[k]! / this.#padded;
      for (let lane = 0; lane < lanes; lane++, i++) {
        re[i] = a[i]! * c + b[i]! * s;
        im[i] = b[i]! * c - a[i]! * s;
      }
    }
  }
}
