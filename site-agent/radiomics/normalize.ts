import { gridOf, type Volume } from '../imaging/volume.js';

export interface NormalizeSettings {
  readonly normalizeScale: number;
  /** In standard deviations, or null. */
  readonly removeOutliers: number | null;
}

/**
 * Z-scores over the whole image times `normalizeScale`, in float64; values farther out than `removeOutliers` standard
 * deviations are set to that many before the scale is applied. The standard deviation has n − 1 below.
 *
 * Source: PyRadiomics, imageoperations.normalizeImage; ITK, NormalizeImageFilter. An image of one intensity has no
 * z-score: every value is NaN, there and here, which the classes of intensities then refuse.
 */
export function normalizeImage(image: Volume, settings: NormalizeSettings): Volume<Float64Array> {
  const { data } = image;
  const { mean, variance } = momentsOf(data);
  const scale = 1 / Math.sqrt(variance);
  const limit = settings.removeOutliers;
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) {
    let z = (data[i]! - mean) * scale;
    if (limit !== null) z = z > limit ? limit : z < -limit ? -limit : z;
    out[i] = z * settings.normalizeScale;
  }
  return { ...gridOf(image), data: out };
}

/** The image with intensities beyond `low` and `high` set to them; it keeps its pixel type, into which both are cut. */
export function clipImage(image: Volume, [low, high]: readonly [number, number]): Volume {
  const data = image.data.slice();
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value < low) data[i] = low;
    else if (value > high) data[i] = high;
  }
  return { ...gridOf(image), data };
}

/** Mean and variance (n − 1), from compensated sums of values and squares as ITK's StatisticsImageFilter has them. */
function momentsOf(data: ArrayLike<number>): { mean: number; variance: number } {
  const sum = new CompensatedSum();
  const squares = new CompensatedSum();
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    sum.add(value);
    squares.add(value * value);
  }
  const n = data.length;
  return { mean: sum.total / n, variance: (squares.total - (sum.total * sum.total) / n) / (n - 1) };
}

/** Kahan's sum. */
class CompensatedSum {
  total = 0;
  private lost = 0;

  add(value: number): void {
    const corrected = value - this.lost;
    const next = this.total + corrected;
    this.lost = next - this.total - corrected;
    this.total = next;
  }
}
