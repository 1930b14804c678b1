import { ConcordatError } from '../../shared/errors.js';
import { LANDMARK_PERCENTILES } from '../../shared/imaging-learned.js';
import { gridOf, type Mask, type Volume } from './volume.js';

/**
 * Standardisation of MRI intensities by landmarks of the histogram: every image is stretched, piece by piece, so that its percentiles come to lie where
 * those of a population do.
 *
 * Sources: Nyúl and Udupa, Magn Reson Med 1999;42:1072-81; Nyúl, Udupa and Zhang, IEEE Trans Med Imaging 2000;19:143-50 (landmarks at deciles); Shah et al.,
 * Med Image Anal 2011;15:267-82.
 */
export type Landmarks = readonly number[];

/**
 * Intensities at the percentiles LANDMARK_PERCENTILES (linear between ranks) inside `organ`, or where that is null, of the voxels above the mean of the
 * whole image, which is Nyúl's foreground. Voxels without a finite value are left aside.
 *
 * @throws ConcordatError IMAGE_LANDMARKS_UNDEFINED where the 99th percentile is not above the 1st.
 */
export function caseLandmarks(image: Volume, organ: Mask | null): number[] {
  const inside = organ === null ? foreground(image) : image.data.filter((_, at) => organ.data[at] === 1);
  const values = Float64Array.from(inside).filter(Number.isFinite).sort();
  const landmarks = values.length === 0 ? [] : LANDMARK_PERCENTILES.map((percent) => percentile(values, percent));
  if (!(landmarks[0]! < landmarks.at(-1)!))
    throw new ConcordatError(
      'IMAGE_LANDMARKS_UNDEFINED',
      'the voxels that landmarks are measured in have one intensity, or there are none',
    );
  return landmarks;
}

function foreground({ data }: Volume): Volume['data'] {
  let sum = 0;
  let n = 0;
  for (let i = 0; i < data.length; i++)
    if (Number.isFinite(data[i]!)) {
      sum += data[i]!;
      n++;
    }
  const mean = sum / n;
  return data.filter((value) => value > mean);
}

/** Of ascending values, linear between ranks: rank (n − 1) · percent / 100 from 0. */
function percentile(values: Float64Array, percent: number): number {
  const rank = ((values.length - 1) * percent) / 100;
  const below = Math.floor(rank);
  const low = values[below]!;
  const high = values[Math.min(below + 1, values.length - 1)]!;
  return low + (rank - below) * (high - low);
}

/** Where a case's landmarks come to lie when its first and last are put on the ends of the scale: what is averaged over cases. */
export function onScale(landmarks: Landmarks, [low, high]: readonly [number, number]): number[] {
  const first = landmarks[0]!;
  const last = landmarks.at(-1)!;
  // The ends are set, not computed, so that rounding moves no mean of them.
  return landmarks.map((value, at) =>
    at === 0 ? low : at === landmarks.length - 1 ? high : low + ((value - first) / (last - first)) * (high - low),
  );
}

/**
 * The image with each landmark put where `standard` says, linear in between; below the first and above the last the pieces at the ends go on. Landmarks
 * of one intensity, as images of few grey levels have them, count as one that is put in the middle of their places. Float64.
 */
export function standardize(image: Volume, landmarks: Landmarks, standard: Landmarks): Volume<Float64Array> {
  const { from, to } = knots(landmarks, standard);
  const slopes = from.slice(1).map((end, piece) => (to[piece + 1]! - to[piece]!) / (end - from[piece]!));
  const out = new Float64Array(image.data.length);
  const lastPiece = slopes.length - 1;
  for (let i = 0; i < out.length; i++) {
    const value = image.data[i]!;
    let piece = 0;
    while (piece < lastPiece && value >= from[piece + 1]!) piece++;
    out[i] = to[piece]! + (value - from[piece]!) * slopes[piece]!;
  }
  return { ...gridOf(image), data: out };
}

function knots(landmarks: Landmarks, standard: Landmarks): { from: number[]; to: number[] } {
  const from: number[] = [];
  const to: number[] = [];
  for (let at = 0; at < landmarks.length; ) {
    let end = at;
    let sum = 0;
    for (; end < landmarks.length && landmarks[end] === landmarks[at]; end++) sum += standard[end]!;
    from.push(landmarks[at]!);
    to.push(sum / (end - at));
    at = end;
  }
  return { from, to };
}
