import type { Samples } from './volume.js';

/**
 * out[o + i] = Σ_k weights[k] · data[offsets[k] + i] for i < length, the terms added in the order in which they stand: a convolution of
 * whole rows at once, since neighbours along one axis share their taps along another.
 */
export function weightedRows(
  out: Float64Array,
  o: number,
  data: Samples,
  offsets: Int32Array,
  weights: Float64Array,
  length: number,
): void {
  const count = weights.length;
  let k = 0;
  if (count >= 6) {
    six(out, o, data, offsets, weights, length);
    k = 6;
  } else if (count >= 2) {
    const [a, b] = [offsets[0]!, offsets[1]!];
    const [wa, wb] = [weights[0]!, weights[1]!];
    for (let i = 0; i < length; i++) out[o + i] = wa * data[a + i]! + wb * data[b + i]!;
    k = 2;
  } else out.fill(0, o, o + length);
  for (; k + 1 < count; k += 2) {
    const [a, b] = [offsets[k]!, offsets[k + 1]!];
    const [wa, wb] = [weights[k]!, weights[k + 1]!];
    for (let i = 0; i < length; i++) out[o + i] = out[o + i]! + wa * data[a + i]! + wb * data[b + i]!;
  }
  if (k < count) {
    const a = offsets[k]!;
    const wa = weights[k]!;
    for (let i = 0; i < length; i++) out[o + i] = out[o + i]! + wa * data[a + i]!;
  }
}

function six(
  out: Float64Array,
  o: number,
  data: Samples,
  offsets: Int32Array,
  weights: Float64Array,
  length: number,
): void {
  const [a, b, c] = [offsets[0]!, offsets[1]!, offsets[2]!];
  const [d, e, f] = [offsets[3]!, offsets[4]!, offsets[5]!];
  const [wa, wb, wc] = [weights[0]!, weights[1]!, weights[2]!];
  const [wd, we, wf] = [weights[3]!, weights[4]!, weights[5]!];
  for (let i = 0; i < length; i++)
    out[o + i] =
      wa * data[a + i]! +
      wb * data[b + i]! +
      wc * data[c + i]! +
      wd * data[d + i]! +
      we * data[e + i]! +
      wf * data[f + i]!;
}

/** The same in float32: each product and each sum is rounded. */
export function weightedRowsFloat32(
  out: Float32Array,
  o: number,
  data: Samples,
  offsets: Int32Array,
  weights: Float64Array,
  length: number,
): void {
  const { fround } = Math;
  const isLong = weights.length >= 6;
  if (isLong) sixFloat32(out, o, data, offsets, weights, length);
  if (weights.length === 6) return;
  for (let i = 0; i < length; i++) {
    let sum = isLong ? out[o + i]! : 0;
    for (let k = isLong ? 6 : 0; k < weights.length; k++)
      sum = fround(sum + fround(weights[k]! * data[offsets[k]! + i]!));
    out[o + i] = sum;
  }
}

function sixFloat32(
  out: Float32Array,
  o: number,
  data: Samples,
  offsets: Int32Array,
  weights: Float64Array,
  length: number,
): void {
  const { fround } = Math;
  const a = offsets[0]!;
  const b = offsets[1]!;
  const c = offsets[2]!;
  const d = offsets[3]!;
  const e = offsets[4]!;
  const f = offsets[5]!;
  const wa = weights[0]!;
  const wb = weights[1]!;
  const wc = weights[2]!;
  const wd = weights[3]!;
  const we = weights[4]!;
  const wf = weights[5]!;
  for (let i = 0; i < length; i++) {
    // The first is added to nothing too: a product of −0 becomes 0.
    let sum = 0 + fround(wa * data[a + i]!);
    sum = fround(sum + fround(wb * data[b + i]!));
    sum = fround(sum + fround(wc * data[c + i]!));
    sum = fround(sum + fround(wd * data[d + i]!));
    sum = fround(sum + fround(we * data[e + i]!));
    out[o + i] = sum + fround(wf * data[f + i]!);
  }
}
