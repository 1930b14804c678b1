import { ConcordatError, type Problem } from '../../../shared/errors.js';
import type { Grid, Vec3 } from '../volume.js';
import { cross, dot, minus, type Plane } from './slices.js';

/**
 * How far slices may stray from an even stack: along it by a twentieth of the slice distance, sideways by a tenth of a pixel over the whole
 * stack. Positions that are rounded to 0.01 mm stay far below; one missing slice strays by half a distance.
 */
export const STACK_TOLERANCE = { along: 0.05, sideways: 0.1 } as const;

export interface Stack {
  readonly grid: Grid;
  /** For each slice of the grid, from the first to the last, which of the given planes it is. */
  readonly order: readonly number[];
}

/** What is wrong with a set of slices; each problem that is there, not only the first. */
export interface StackProblem {
  readonly code: 'IMAGE_SLICES_DIFFER' | 'IMAGE_SLICES_DUPLICATE' | 'IMAGE_SLICES_SHEARED' | 'IMAGE_SLICES_UNEVEN';
  readonly message: string;
  /** The planes concerned. */
  readonly planes: readonly number[];
}

export interface StackFacts {
  readonly columns: number;
  readonly rows: number;
  /** Distance to take where there is a single slice: its thickness. */
  readonly singleSliceMm: number | null;
}

/**
 * Puts planes into one stack along their normal, by their positions alone.
 * @returns the stack, or what is wrong with the slices
 */
export function stackOf(planes: readonly Plane[], facts: StackFacts): Stack | readonly StackProblem[] {
  const first = planes[0]!;
  const differing = planes.flatMap((plane, i) => (isParallel(plane, first) ? [] : [i]));
  if (differing.length > 0)
    return [
      {
        code: 'IMAGE_SLICES_DIFFER',
        message: `${differing.length} of ${planes.length} slices have another orientation or pixel spacing than the first`,
        planes: differing,
      },
    ];
  const normal = cross(first.alongRow, first.alongColumn);
  const along = planes.map((plane) => dot(plane.position, normal));
  const order = planes.map((_, i) => i).sort((a, b) => along[a]! - along[b]! || a - b);
  const at = order.map((i) => along[i]!);
  const problems = [...duplicates(order, at), ...gaps(order, at), ...shear(planes, order, normal)];
  if (problems.length > 0) return problems;
  const distance = planes.length > 1 ? (at.at(-1)! - at[0]!) / (planes.length - 1) : (facts.singleSliceMm ?? 1);
  const { position, alongRow, alongColumn } = planes[order[0]!]!;
  return {
    grid: {
      size: [facts.columns, facts.rows, planes.length],
      spacingMm: [first.columnSpacingMm, first.rowSpacingMm, distance],
      origin: position,
      direction: [0, 1, 2].flatMap((row) => [alongRow[row]!, alongColumn[row]!, normal[row]!]),
    },
    order,
  };
}

/** @throws ConcordatError with the code of the first problem and all of them in `problems` */
export function stackOrThrow(planes: readonly Plane[], facts: StackFacts, nameOf: (plane: number) => string): Stack {
  const stack = stackOf(planes, facts);
  if ('grid' in stack) return stack;
  throw new ConcordatError(stack[0]!.code, stack.map(({ message }) => message).join('; '), {
    problems: stack.flatMap(({ message, planes: concerned }): Problem[] =>
      concerned.map((plane) => ({ file: nameOf(plane), message })),
    ),
  });
}

function isParallel(one: Plane, other: Plane): boolean {
  const near = (a: Vec3, b: Vec3): boolean => a.every((value, i) => Math.abs(value - b[i]!) <= 1e-4);
  const same = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-4 * Math.max(a, b);
  return (
    near(one.alongRow, other.alongRow) &&
    near(one.alongColumn, other.alongColumn) &&
    same(one.rowSpacingMm, other.rowSpacingMm) &&
    same(one.columnSpacingMm, other.columnSpacingMm)
  );
}

function duplicates(order: readonly number[], at: readonly number[]): StackProblem[] {
  const twice = at.flatMap((position, i) => (i > 0 && position - at[i - 1]! < 1e-3 ? [i] : []));
  if (twice.length === 0) return [];
  return [
    {
      code: 'IMAGE_SLICES_DUPLICATE',
      message: `${listed(twice.map((i) => `the slice at ${millimetres(at[i]!)} is there more than once`))} (several phases or time points in one series, or one file twice)`,
      planes: twice.flatMap((i) => [order[i - 1]!, order[i]!]),
    },
  ];
}

function gaps(order: readonly number[], at: readonly number[]): StackProblem[] {
  const distances = at.slice(1).map((position, i) => position - at[i]!);
  const apart = distances.filter((distance) => distance >= 1e-3);
  if (apart.length < 2) return [];
  const usual = [...apart].sort((a, b) => a - b)[Math.floor((apart.length - 1) / 2)]!;
  const even = (at.at(-1)! - at[0]!) / distances.length;
  const straying = at.some((position, i) => Math.abs(position - at[0]! - i * even) > STACK_TOLERANCE.along * even);
  if (!straying || apart.length < distances.length)
    if (!distances.some((distance) => distance > 1.5 * usual))
      // With duplicates the even distance says nothing; a hole among them still shows.
      return [];
  const holes = distances.flatMap((distance, i) => (distance > 1.5 * usual ? [i] : []));
  const message =
    holes.length > 0
      ? listed(
          holes.map(
            (i) =>
              `between ${millimetres(at[i]!)} and ${millimetres(at[i + 1]!)} ${missing(Math.round(distances[i]! / usual) - 1)} (slices lie ${millimetres(usual)} apart)`,
          ),
        )
      : `the distance of slices is uneven: from ${millimetres(Math.min(...apart))} to ${millimetres(Math.max(...apart))}`;
  return [
    {
      code: 'IMAGE_SLICES_UNEVEN',
      message,
      planes: holes.length > 0 ? holes.flatMap((i) => [order[i]!, order[i + 1]!]) : [],
    },
  ];
}

const missing = (count: number): string =>
  count === 1 ? 'one slice is missing' : `${Math.max(1, count)} slices are missing`;

function shear(planes: readonly Plane[], order: readonly number[], normal: Vec3): StackProblem[] {
  const first = planes[order[0]!]!;
  const allowed = STACK_TOLERANCE.sideways * Math.min(first.rowSpacingMm, first.columnSpacingMm);
  let worst = 0;
  let degrees = 0;
  for (const i of order) {
    const offset = minus(planes[i]!.position, first.position);
    const along = dot(offset, normal);
    const sideways = Math.sqrt(Math.max(0, dot(offset, offset) - along * along));
    if (sideways <= worst) continue;
    worst = sideways;
    degrees = (Math.atan2(sideways, Math.abs(along)) * 180) / Math.PI;
  }
  if (worst <= allowed) return [];
  return [
    {
      code: 'IMAGE_SLICES_SHEARED',
      message: `the slices do not lie one above the other: they move sideways by up to ${millimetres(worst)}, ${degrees.toFixed(1)}° (gantry tilt)`,
      planes: [],
    },
  ];
}

/** The first few of a list, so that a message stays a line. */
function listed(parts: readonly string[]): string {
  const shown = parts.slice(0, 3).join(', ');
  return parts.length > 3 ? `${shown} and ${parts.length - 3} more such places` : shown;
}

const millimetres = (value: number): string => `${Number(value.toFixed(3))} mm`;
