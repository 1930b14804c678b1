/**
 * Turns over every pixel whose centre lies inside a closed outline, so that outlines filled one after the other give the even-odd rule. Pixel
 * centres are whole numbers. An edge owns its upper end and not its lower, a span its left end and not its right, so that outlines which share an
 * edge neither overlap nor leave a gap.
 * @param slice `width` × `height` zeros and ones, row by row
 * @param outline x and y of each corner, in pixels; the last is joined to the first
 */
export function fillEvenOdd(slice: Uint8Array, width: number, height: number, outline: Float64Array): void {
  const corners = outline.length / 2;
  const crossings: number[][] = [];
  for (let i = 0; i < corners; i++) {
    const j = (i + 1) % corners;
    const [x1, y1] = [outline[2 * i]!, outline[2 * i + 1]!];
    const [x2, y2] = [outline[2 * j]!, outline[2 * j + 1]!];
    const [top, bottom] = y1 < y2 ? [y1, y2] : [y2, y1];
    const last = Math.min(height - 1, Math.ceil(bottom) - 1);
    for (let y = Math.max(0, Math.ceil(top)); y <= last; y++) {
      crossings[y] ??= [];
      crossings[y]!.push(x1 + ((y - y1) * (x2 - x1)) / (y2 - y1));
    }
  }
  crossings.forEach((row, y) => {
    row.sort((a, b) => a - b);
    for (let i = 0; i + 1 < row.length; i += 2) {
      const end = Math.min(width - 1, Math.ceil(row[i + 1]!) - 1);
      for (let x = Math.max(0, Math.ceil(row[i]!)); x <= end; x++) slice[y * width + x]! ^= 1;
    }
  });
}
