/**
 * Power-of-two pre-scaling: before values of unknown scale are summed in fixed point, the sites agree per column on an
 * exponent e with all |value| < 2^e. Each site marks one coarse bin of binary exponents; the marks are summed securely
 * and the largest marked bin counts. Multiplying by 2^-e is exact, so scaling costs no bit.
 */
import { assert, ConcordatError } from './errors.js';

/** Width of a bin in binary exponents. Coarse, so that a bin tells little about the largest value. */
export const EXPONENT_STEP = 4;
/** Upper exponent of the first bin: smaller values are scaled as if they reached it and still have 80 - 64 bits. */
export const EXPONENT_LOWEST = -64;
/** Bins per column; the last one ends at 2^128. */
export const EXPONENT_BINS = 49;

const bits = new DataView(new ArrayBuffer(8));

/** Smallest e with |value| < 2^e; -1073 or below for subnormal values and 0. */
export function binaryExponent(value: number): number {
  bits.setFloat64(0, value);
  return ((bits.getUint32(0) >>> 20) & 0x7ff) - 1022;
}

/** Bin of the largest magnitude of a column. Throws COHORT_VALUE_OUT_OF_RANGE at 2^128 and beyond (naming no case). */
export function exponentBin(largestMagnitude: number, column: string): number {
  const bin = Math.max(0, Math.ceil((binaryExponent(largestMagnitude) - EXPONENT_LOWEST) / EXPONENT_STEP));
  if (!(largestMagnitude >= 0) || bin >= EXPONENT_BINS)
    throw new ConcordatError('COHORT_VALUE_OUT_OF_RANGE', `column "${column}" holds a value of 2^128 or more`);
  return bin;
}

/** Adds one mark for a column whose observed values have this largest magnitude; `histogram` is columns x bins. */
export function markExponent(histogram: Float64Array, index: number, largestMagnitude: number, column: string): void {
  histogram[index * EXPONENT_BINS + exponentBin(largestMagnitude, column)]! += 1;
}

/** Agreed exponents from the summed marks (columns x bins): the upper end of the largest marked bin, 0 if none is. */
export function agreedExponents(histogram: Float64Array): Int32Array {
  const columns = histogram.length / EXPONENT_BINS;
  assert(Number.isInteger(columns), 'an exponent histogram has EXPONENT_BINS entries per column');
  const exponents = new Int32Array(columns);
  for (let column = 0; column < columns; column++)
    for (let bin = EXPONENT_BINS - 1; bin >= 0; bin--)
      if (histogram[column * EXPONENT_BINS + bin]! > 0) {
        exponents[column] = EXPONENT_LOWEST + EXPONENT_STEP * bin;
        break;
      }
  return exponents;
}

/** Sum in index order with Neumaier's compensation (ZAMM 1974): a constant column has its value as mean. */
export class CompensatedSum {
  private sum = 0;
  private lost = 0;

  add(value: number): void {
    const next = this.sum + value;
    if (Math.abs(this.sum) >= Math.abs(value)) this.lost += this.sum - next + value;
    else this.lost += value - next + this.sum;
    this.sum = next;
  }

  get value(): number {
    return this.sum + this.lost;
  }
}
