import { ConcordatError } from '../../shared/errors.js';
import type { NiftiHeader } from './nifti-header.js';
import { type Grid, isOrthonormal, type Vec3 } from './volume.js';

/** Three rows of four: voxel indices to RAS in the file's unit of length. */
type Affine = readonly number[];

export interface NiftiGeometry {
  readonly grid: Grid;
  readonly source: 'sform' | 'qform' | 'none';
  /** What the header contradicts itself in or leaves open, each a sentence. */
  readonly notes: readonly string[];
}

/** ITK's tolerance for a qform that says the same as the sform. */
const SIMILAR = 1e-4;

/**
 * Where the voxels lie, by ITK's rules (itk::NiftiImageIO, 5.4), since SimpleITK is what PyRadiomics reads with: the sform where its
 * axes are at right angles and it is either alone, or scanner coordinates (code 1), or the same as the qform; else the qform; without
 * both, axes along LPS from the origin. Spacing is pixdim. RAS becomes LPS.
 * @throws ConcordatError IMAGE_GEOMETRY_UNUSABLE where there is no spacing, or only an sform whose axes are not at right angles.
 */
export function niftiGeometry(header: NiftiHeader): NiftiGeometry {
  const { mmPerUnit } = header;
  const sform = header.sformCode > 0 && header.srow.every(Number.isFinite) ? header.srow : null;
  const qform = header.qformCode > 0 ? qformAffine(header) : null;
  const chosen = choose(header, sform, qform);
  const notes: string[] = [];
  if (chosen === null)
    notes.push('The header has neither an sform nor a qform: position and orientation of the image are not known.');
  const spacing = [0, 1, 2].map((axis) => spacingAlong(header, axis, chosen === sform ? sform : null, notes));
  const size = [0, 1, 2].map((axis) => header.dim[axis] ?? 1);
  const flip = [-1, -1, 1];
  const direction = Array.from({ length: 9 }, (_, i) => {
    const [row, axis] = [Math.floor(i / 3), i % 3];
    return chosen === null
      ? row === axis
        ? 1
        : 0
      : (flip[row]! * chosen[4 * row + axis]!) / columnLength(chosen, axis);
  });
  const position = flip.map((sign, row) => (chosen === null ? 0 : zeroAsZero(sign * chosen[4 * row + 3]! * mmPerUnit)));
  // Numbers near the end of their range overflow on the way.
  if (!isOrthonormal(direction) || !position.every(Number.isFinite))
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      `the ${chosen === sform ? 'sform' : 'qform'} of the header gives the image no position`,
    );
  return {
    grid: {
      size: size as unknown as Vec3,
      spacingMm: spacing.map((length) => length * mmPerUnit) as unknown as Vec3,
      origin: position as unknown as Vec3,
      direction: direction.map(zeroAsZero),
    },
    source: chosen === null ? 'none' : chosen === sform ? 'sform' : 'qform',
    notes,
  };
}

function choose(header: NiftiHeader, sform: Affine | null, qform: Affine | null): Affine | null {
  if (sform === null) return qform;
  if (isOrthogonal(sform) && (qform === null || header.sformCode === 1 || areSimilar(sform, qform))) return sform;
  if (qform !== null) return qform;
  throw new ConcordatError(
    'IMAGE_GEOMETRY_UNUSABLE',
    'the axes of the image (sform) are not at right angles and the header has no qform',
  );
}

/** pixdim as ITK takes it; where it is missing, the length of the sform's column, which the standard puts above it. */
function spacingAlong(header: NiftiHeader, axis: number, sform: Affine | null, notes: string[]): number {
  // A 2D image lies in its plane; the thickness of a plane that the header leaves out is 1, as in ITK.
  if (axis >= header.dim.length) return 1;
  const length = sform === null ? 0 : columnLength(sform, axis);
  const stated = Math.abs(header.pixdim[axis + 1]!);
  if (!(stated > 0 && Number.isFinite(stated))) {
    if (length > 0) return length;
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      `the spacing along axis ${'xyz'[axis]} (pixdim) is ${stated} and the header has no other`,
    );
  }
  if (length > 0 && Math.abs(stated - length) > 1e-3)
    notes.push(`Along axis ${'xyz'[axis]} pixdim says ${stated} and the sform ${length}; pixdim is used, as ITK does.`);
  return stated;
}

/** Method 2 of the standard, rounded to float32 where ITK does. */
function qformAffine({ quaternion, qoffset, pixdim }: NiftiHeader): Affine | null {
  let [b, c, d] = quaternion;
  if (![...quaternion, ...qoffset].every(Number.isFinite)) return null;
  const squares = b * b + c * c + d * d;
  let a = 1 - squares;
  if (a < 1e-7) {
    const shrink = 1 / Math.sqrt(squares);
    [a, b, c, d] = [0, b * shrink, c * shrink, d * shrink];
  } else a = Math.sqrt(a);
  const [x, y, z] = [1, 2, 3].map((axis) => (pixdim[axis]! > 0 ? pixdim[axis]! : 1)) as [number, number, number];
  const depth = pixdim[0]! < 0 ? -z : z;
  return [
    (a * a + b * b - c * c - d * d) * x,
    2 * (b * c - a * d) * y,
    2 * (b * d + a * c) * depth,
    qoffset[0],
    2 * (b * c + a * d) * x,
    (a * a + c * c - b * b - d * d) * y,
    2 * (c * d - a * b) * depth,
    qoffset[1],
    2 * (b * d - a * c) * x,
    2 * (c * d + a * b) * y,
    (a * a + d * d - b * b - c * c) * depth,
    qoffset[2],
  ].map(Math.fround);
}

const columnLength = (affine: Affine, axis: number): number =>
  Math.sqrt([0, 1, 2].reduce((sum, row) => sum + affine[4 * row + axis]! * affine[4 * row + axis]!, 0));

/** ITK tests the axes once their lengths are taken out. */
const isOrthogonal = (affine: Affine): boolean =>
  isOrthonormal(
    Array.from({ length: 9 }, (_, i) => affine[4 * Math.floor(i / 3) + (i % 3)]! / columnLength(affine, i % 3)),
  );

function areSimilar(one: Affine, other: Affine): boolean {
  return [0, 1, 2, 3].every((axis) => {
    const [a, b] = axis === 3 ? [1, 1] : [columnLength(one, axis), columnLength(other, axis)];
    return (
      Math.abs(a - b) <= SIMILAR &&
      [0, 1, 2].every((row) => Math.abs(one[4 * row + axis]! / a - other[4 * row + axis]! / b) <= SIMILAR)
    );
  });
}

const zeroAsZero = (value: number): number => (value === 0 ? 0 : value);
