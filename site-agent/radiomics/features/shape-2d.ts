import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { CATALOGUE } from './catalogue.js';
import { collect, type Wanted } from './collect.js';
import { largestDistance } from './diameter.js';
import { type PaddedRegion, paddedRegion } from './mesh.js';
import { axisVariances } from './shape.js';

/**
 * Shape features of a region in one slice as PyRadiomics defines them: outline by marching squares, pixels that touch by a corner alone
 * being apart. Every value is null with a reason where force2D is off or the region has more than one slice along `force2Ddimension`.
 */
export function shape2D(input: ClassInput, wanted: Wanted = null): FeatureSet {
  const { roi, settings } = input;
  const flat = 2 - settings.force2Ddimension;
  const slices = roi.box === null ? 0 : roi.box.upper[flat]! - roi.box.lower[flat]! + 1;
  if (!settings.force2D) return noPlane('force2D is off, so there is no plane for a shape to be in', wanted);
  if (slices > 1) return noPlane('the region has more than one slice along force2Ddimension', wanted);
  // Rows before columns, as PyRadiomics' arrays.
  const [u, v] = [2, 1, 0].filter((axis) => axis !== flat) as [number, number];
  const du = input.image.spacingMm[u]!;
  const dv = input.image.spacingMm[v]!;
  const { perimeter, surface, diameter } = outline(paddedRegion(roi), u, v, flat, du, dv);
  const [minor, major] = axisVariances(roi, input.image.spacingMm, [u, v]) as [number, number];
  const sphericity = (2 * Math.sqrt(Math.PI * surface)) / perimeter;
  return collect(
    'shape2D',
    {
      Elongation: Math.sqrt(minor / major),
      MajorAxisLength: 4 * Math.sqrt(major),
      MaximumDiameter: diameter,
      MeshSurface: surface,
      MinorAxisLength: 4 * Math.sqrt(minor),
      Perimeter: perimeter,
      PerimeterSurfaceRatio: perimeter / surface,
      PixelSurface: roi.indices.length * (du * dv),
      SphericalDisproportion: 1 / sphericity,
      Sphericity: sphericity,
    },
    wanted,
  );
}

function noPlane(reason: string, wanted: Wanted): FeatureSet {
  const none = Object.fromEntries(CATALOGUE.shape2D.map(({ name }) => [name, Number.NaN]));
  return collect('shape2D', none, wanted, reason);
}

/** Share of a square that is inside the outline, by how many of its corners are; two opposite corners count as two single ones. */
const INSIDE = [0, 1 / 8, 1 / 2, 7 / 8, 1];

function outline(region: PaddedRegion, u: number, v: number, flat: number, du: number, dv: number) {
  const { size, cells } = region;
  const strides = [1, size[0], size[0] * size[1]];
  const su = strides[u]!;
  const sv = strides[v]!;
  const start = strides[flat]!;
  const slant = Math.sqrt((du / 2) * (du / 2) + (dv / 2) * (dv / 2));
  let slants = 0;
  let alongU = 0;
  let alongV = 0;
  let inside = 0;
  const vertices: number[] = [];
  for (let a = 0; a < size[u]! - 1; a++)
    for (let b = 0; b < size[v]! - 1; b++) {
      const at = start + a * su + b * sv;
      const here = cells[at]!;
      const nextU = cells[at + su]!;
      const nextV = cells[at + sv]!;
      const across = cells[at + su + sv]!;
      if (here !== nextU) vertices.push((a + 0.5) * du, b * dv, 0);
      if (here !== nextV) vertices.push(a * du, (b + 0.5) * dv, 0);
      const corners = here + nextU + nextV + across;
      if (corners === 2 && here === across) {
        inside += 2 * INSIDE[1]!;
        slants += 2;
        continue;
      }
      inside += INSIDE[corners]!;
      if (corners === 1 || corners === 3) slants++;
      else if (corners === 2) {
        if (here === nextU) alongU++;
        else alongV++;
      }
    }
  return {
    perimeter: slants * slant + alongU * du + alongV * dv,
    surface: inside * du * dv,
    diameter: largestDistance(Float64Array.from(vertices)),
  };
}
