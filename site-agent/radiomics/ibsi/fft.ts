/**
 * Discrete Fourier transform of complex signals whose length has no prime factor above 5 (Stockham's form: no bit reversal), and of
 * three-dimensional grids, one axis after another. Unscaled in both directions.
 */
export class Fft {
  readonly length: number;
  readonly #factors: number[];
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(length: number) {
    this.length = length;
    this.#factors = factorsOf(length);
    this.#cos = new Float64Array(length);
    this.#sin = new Float64Array(length);
    for (let k = 0; k < length; k++) {
      this.#cos[k] = Math.cos((2 * Math.PI * k) / length);
      this.#sin[k] = -Math.sin((2 * Math.PI * k) / length);
    }
    this.#re = new Float64Array(length);
    this.#im = new Float64Array(length);
  }

  /** Forward transform in place. The inverse, unscaled, is the same with `re` and `im` exchanged. */
  transform(re: Float64Array, im: Float64Array): void {
    let [ar, ai, br, bi] = [re, im, this.#re, this.#im];
    let rest = this.length;
    let stride = 1;
    for (const radix of this.#factors) {
      rest /= radix;
      this.#pass(radix, rest, stride, ar, ai, br, bi);
      [ar, ai, br, bi] = [br, bi, ar, ai];
      stride *= radix;
    }
    if (ar !== re) {
      re.set(ar);
      im.set(ai);
    }
  }

  /** One stage: `stride` interleaved transforms of length radix · rest become radix · stride ones of length rest. */
  #pass(
    radix: number,
    rest: number,
    stride: number,
    ar: Float64Array,
    ai: Float64Array,
    br: Float64Array,
    bi: Float64Array,
  ): void {
    const { length } = this;
    const cos = this.#cos;
    const sin = this.#sin;
    const unit = length / radix;
    const hop = stride * rest;
    for (let p = 0; p < rest; p++)
      for (let q = 0; q < stride; q++) {
        const from = q + stride * p;
        const to = q + stride * radix * p;
        if (radix === 2) {
          const [xr, xi, yr, yi] = [ar[from]!, ai[from]!, ar[from + hop]!, ai[from + hop]!];
          const [dr, di] = [xr - yr, xi - yi];
          const [wr, wi] = [cos[p * stride]!, sin[p * stride]!];
          br[to] = xr + yr;
          bi[to] = xi + yi;
          br[to + stride] = dr * wr - di * wi;
          bi[to + stride] = dr * wi + di * wr;
          continue;
        }
        for (let k = 0; k < radix; k++) {
          let [sr, si] = [0, 0];
          for (let m = 0; m < radix; m++) {
            const w = ((k * m) % radix) * unit;
            const at = from + hop * m;
            sr += ar[at]! * cos[w]! - ai[at]! * sin[w]!;
            si += ar[at]! * sin[w]! + ai[at]! * cos[w]!;
          }
          const turn = (p * stride * k) % length;
          br[to + stride * k] = sr * cos[turn]! - si * sin[turn]!;
          bi[to + stride * k] = sr * sin[turn]! + si * cos[turn]!;
        }
      }
  }
}

function factorsOf(length: number): number[] {
  const factors: number[] = [];
  let rest = length;
  for (const radix of [5, 3, 2])
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
