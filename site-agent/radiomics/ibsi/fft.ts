/**
 * Discrete Fourier transform of complex signals whose length has no prime factor above 5 (Stockham's form: no bit reversal), and of
 * three-dimensional grids, one axis after another. Unscaled in both directions.
 */
export class Fft {
  readonly length: number;
  readonly #factors: number[];
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #spare: Signal;

  constructor(length: number) {
    this.length = length;
    this.#factors = factorsOf(length);
    this.#cos = new Float64Array(length);
    this.#sin = new Float64Array(length);
    for (let k = 0; k < length; k++) {
      this.#cos[k] = Math.cos((2 * Math.PI * k) / length);
      this.#sin[k] = -Math.sin((2 * Math.PI * k) / length);
    }
    this.#spare = { re: new Float64Array(length), im: new Float64Array(length) };
  }

  /** Forward transform in place. The inverse, unscaled, is the same with `re` and `im` exchanged. */
  transform(re: Float64Array, im: Float64Array): void {
    let from: Signal = { re, im };
    let to = this.#spare;
    let rest = this.length;
    let stride = 1;
    for (const radix of this.#factors) {
      rest /= radix;
      this.#pass(radix, rest, stride, from, to);
      [from, to] = [to, from];
      stride *= radix;
    }
    if (from.re !== re) {
      re.set(from.re);
      im.set(from.im);
    }
  }

  /** One stage: `stride` interleaved transforms of length radix · rest become radix · stride ones of length rest. */
  #pass(radix: number, rest: number, stride: number, from: Signal, to: Signal): void {
    const { length } = this;
    const cos = this.#cos;
    const sin = this.#sin;
    const hop = stride * rest;
    for (let p = 0; p < rest; p++) {
      const turn = p * stride;
      if (radix === 4) this.#four(p, stride, hop, cos, sin, from, to);
      else if (radix === 2) two(p, stride, hop, cos[turn]!, sin[turn]!, from, to);
      else
        for (let k = 0; k < radix; k++) {
          const at = (turn * k) % length;
          odd(radix, k, p, stride, hop, length / radix, cos, sin, at, from, to);
        }
    }
  }

  #four(p: number, stride: number, hop: number, cos: Float64Array, sin: Float64Array, from: Signal, to: Signal): void {
    const turn = p * stride;
    const w1r = cos[turn]!;
    const w1i = sin[turn]!;
    const w2r = cos[2 * turn]!;
    const w2i = sin[2 * turn]!;
    const w3r = cos[3 * turn]!;
    const w3i = sin[3 * turn]!;
    const { re: ar, im: ai } = from;
    const { re: br, im: bi } = to;
    for (let q = 0; q < stride; q++) {
      const x = q + stride * p;
      const y = q + 4 * stride * p;
      const r0 = ar[x]!;
      const i0 = ai[x]!;
      const r1 = ar[x + hop]!;
      const i1 = ai[x + hop]!;
      const r2 = ar[x + 2 * hop]!;
      const i2 = ai[x + 2 * hop]!;
      const r3 = ar[x + 3 * hop]!;
      const i3 = ai[x + 3 * hop]!;
      const sr = r0 + r2;
      const si = i0 + i2;
      const dr = r0 - r2;
      const di = i0 - i2;
      const tr = r1 + r3;
      const ti = i1 + i3;
      // −i times the other difference.
      const er = i1 - i3;
      const ei = r3 - r1;
      br[y] = sr + tr;
      bi[y] = si + ti;
      const r = dr + er;
      const i = di + ei;
      br[y + stride] = r * w1r - i * w1i;
      bi[y + stride] = r * w1i + i * w1r;
      const ur = sr - tr;
      const ui = si - ti;
      br[y + 2 * stride] = ur * w2r - ui * w2i;
      bi[y + 2 * stride] = ur * w2i + ui * w2r;
      const vr = dr - er;
      const vi = di - ei;
      br[y + 3 * stride] = vr * w3r - vi * w3i;
      bi[y + 3 * stride] = vr * w3i + vi * w3r;
    }
  }
}

interface Signal {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

function two(p: number, stride: number, hop: number, wr: number, wi: number, from: Signal, to: Signal): void {
  const { re: ar, im: ai } = from;
  const { re: br, im: bi } = to;
  for (let q = 0; q < stride; q++) {
    const x = q + stride * p;
    const y = q + 2 * stride * p;
    const dr = ar[x]! - ar[x + hop]!;
    const di = ai[x]! - ai[x + hop]!;
    br[y] = ar[x]! + ar[x + hop]!;
    bi[y] = ai[x]! + ai[x + hop]!;
    br[y + stride] = dr * wr - di * wi;
    bi[y + stride] = dr * wi + di * wr;
  }
}

/** Output k of a butterfly of any radix: the sum by its definition, turned by the twiddle factor at `turn`. */
function odd(
  radix: number,
  k: number,
  p: number,
  stride: number,
  hop: number,
  unit: number,
  cos: Float64Array,
  sin: Float64Array,
  turn: number,
  from: Signal,
  to: Signal,
): void {
  const { re: ar, im: ai } = from;
  const { re: br, im: bi } = to;
  const start = stride * p;
  const end = stride * (radix * p + k);
  for (let q = 0; q < stride; q++) {
    br[end + q] = ar[start + q]!;
    bi[end + q] = ai[start + q]!;
  }
  for (let m = 1; m < radix; m++) {
    const wr = cos[((k * m) % radix) * unit]!;
    const wi = sin[((k * m) % radix) * unit]!;
    const x = start + hop * m;
    for (let q = 0; q < stride; q++) {
      br[end + q]! += ar[x + q]! * wr - ai[x + q]! * wi;
      bi[end + q]! += ar[x + q]! * wi + ai[x + q]! * wr;
    }
  }
  const wr = cos[turn]!;
  const wi = sin[turn]!;
  for (let q = 0; q < stride; q++) {
    const r = br[end + q]!;
    const i = bi[end + q]!;
    br[end + q] = r * wr - i * wi;
    bi[end + q] = r * wi + i * wr;
  }
}

function factorsOf(length: number): number[] {
  const factors: number[] = [];
  let rest = length;
  for (const radix of [4, 2, 3, 5])
    while (rest % radix === 0) {
      factors.push(radix);
      rest /= radix;
    }
  if (rest !== 1) throw new RangeError(`a transform of length ${length} has a prime factor above 5`);
  return factors;
}

/** The smallest length of at least `atLeast` without prime factors above 5. */
export function goodLength(atLeast: number): number {
  for (let length = Math.max(1, atLeast); ; length++) {
    let rest = length;
    for (const radix of [2, 3, 5]) while (rest % radix === 0) rest /= radix;
    if (rest === 1) return length;
  }
}

/** Forward transform in place of a grid with x fastest. */
export function transform3d(re: Float64Array, im: Float64Array, size: readonly [number, number, number]): void {
  const strides = [1, size[0], size[0] * size[1]];
  for (let axis = 0; axis < 3; axis++) {
    const length = size[axis]!;
    if (length === 1) continue;
    const fft = new Fft(length);
    const stride = strides[axis]!;
    const lineRe = new Float64Array(length);
    const lineIm = new Float64Array(length);
    const block = stride * length;
    for (let base = 0; base < re.length; base += block)
      for (let inner = 0; inner < stride; inner++) {
        const start = base + inner;
        let any = false;
        for (let k = 0, at = start; k < length; k++, at += stride) {
          lineRe[k] = re[at]!;
          lineIm[k] = im[at]!;
          if (lineRe[k] !== 0 || lineIm[k] !== 0) any = true;
        }
        if (!any) continue;
        fft.transform(lineRe, lineIm);
        for (let k = 0, at = start; k < length; k++, at += stride) {
          re[at] = lineRe[k]!;
          im[at] = lineIm[k]!;
        }
      }
  }
}
