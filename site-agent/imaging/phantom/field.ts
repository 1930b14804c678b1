import type { SeededRandom } from '../../../shared/rng.js';
import type { Vec3 } from '../volume.js';

/** Random functions that the phantom is made of. All are seeded and need no file. */

/**
 * A smooth random function on the unit sphere with mean about 0 and variance about 1: a sum of plane waves of the direction, the
 * longer ones stronger. It bends a ball's surface.
 */
export function sphereField(random: SeededRandom, waves = 12): (x: number, y: number, z: number) => number {
  // Five numbers a wave: its vector (x, y, z), phase and amplitude.
  const parts = new Float64Array(5 * waves);
  let variance = 0;
  for (let at = 0; at < waves; at++) {
    const axis = unitVector(random);
    const frequency = 2 + 4 * random.uniform();
    const phase = 2 * Math.PI * random.uniform();
    const amplitude = random.normal() / Math.sqrt(1 + at / 4);
    parts.set([frequency * axis[0], frequency * axis[1], frequency * axis[2], phase, amplitude], 5 * at);
    variance += (amplitude * amplitude) / 2;
  }
  const scale = 1 / Math.sqrt(variance);
  return (x, y, z) => {
    let sum = 0;
    for (let at = 0; at < parts.length; at += 5)
      sum += parts[at + 4]! * Math.cos(x * parts[at]! + y * parts[at + 1]! + z * parts[at + 2]! + parts[at + 3]!);
    return scale * sum;
  };
}

function unitVector(random: SeededRandom): Vec3 {
  const [x, y, z] = [random.normal(), random.normal(), random.normal()];
  const length = Math.sqrt(x * x + y * y + z * z) || 1;
  return [x / length, y / length, z / length];
}

/**
 * White noise of unit variance on a lattice of `stepMm`, read between its points by trilinear interpolation: texture whose grains are
 * about `stepMm` wide, the same for every scanner that looks at it. The box goes from -halfMm to halfMm on each axis.
 */
export class LatticeField {
  private readonly values: Float32Array;
  private readonly side: number;

  constructor(
    random: SeededRandom,
    private readonly halfMm: number,
    private readonly stepMm: number,
  ) {
    this.side = Math.ceil((2 * halfMm) / stepMm) + 2;
    this.values = new Float32Array(this.side * this.side * this.side);
    for (let i = 0; i < this.values.length; i++) this.values[i] = random.normal();
  }

  at(xMm: number, yMm: number, zMm: number): number {
    const { side, values } = this;
    const x = this.inside(xMm);
    const y = this.inside(yMm);
    const z = this.inside(zMm);
    const i = Math.floor(x);
    const j = Math.floor(y);
    const k = Math.floor(z);
    const u = x - i;
    const v = y - j;
    const w = z - k;
    const near = i + side * (j + side * k);
    const far = near + side * side;
    const line = (at: number) => values[at]! + u * (values[at + 1]! - values[at]!);
    const front = line(near) + v * (line(near + side) - line(near));
    const back = line(far) + v * (line(far + side) - line(far));
    return front + w * (back - front);
  }

  private inside(mm: number): number {
    return Math.min(this.side - 1.001, Math.max(0, (mm + this.halfMm) / this.stepMm));
  }
}

/** Gaussian blur with the same width in mm along every axis, in place; edges are repeated. */
export function blur(data: Float32Array, size: Vec3, spacingMm: Vec3, sigmaMm: number): void {
  const stride = [1, size[0], size[0] * size[1]];
  for (let axis = 0; axis < 3; axis++) {
    const kernel = gaussian(sigmaMm / spacingMm[axis]!);
    if (kernel.length === 1) continue;
    blurAxis(data, size, axis, stride[axis]!, kernel);
  }
}

function gaussian(sigma: number): Float64Array {
  const reach = Math.ceil(3 * sigma);
  if (reach < 1) return Float64Array.of(1);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, at) =>
    Math.exp(-((at - reach) * (at - reach)) / (2 * sigma * sigma)),
  );
  const sum = kernel.reduce((total, weight) => total + weight, 0);
  return kernel.map((weight) => weight / sum);
}

function blurAxis(data: Float32Array, size: Vec3, axis: number, stride: number, kernel: Float64Array): void {
  const length = size[axis]!;
  const reach = (kernel.length - 1) / 2;
  const line = new Float64Array(length + 2 * reach);
  const lines = data.length / length;
  for (let at = 0; at < lines; at++) {
    const start = Math.floor(at / stride) * stride * length + (at % stride);
    for (let i = 0; i < length; i++) line[reach + i] = data[start + i * stride]!;
    line.fill(line[reach]!, 0, reach);
    line.fill(line[reach + length - 1]!, reach + length);
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k]! * line[i + k]!;
      data[start + i * stride] = sum;
    }
  }
}
