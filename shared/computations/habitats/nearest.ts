/** Which centroid (two numbers each) is nearest to a voxel's intensity and entropy, by Euclid; the first of several. */
export function nearestCentroid(centroids: ArrayLike<number>, intensity: number, entropy: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let c = 0; 2 * c < centroids.length; c++) {
    const [dx, dy] = [intensity - centroids[2 * c]!, entropy - centroids[2 * c + 1]!];
    if (dx * dx + dy * dy < least) {
      least = dx * dx + dy * dy;
      best = c;
    }
  }
  return best;
}
