import { roiOf } from '../../site-agent/imaging/roi.js';
import { meshDiameters } from '../../site-agent/radiomics/features/diameter.js';
import { meshMeasures, paddedRegion } from '../../site-agent/radiomics/features/mesh.js';
import { testGrid, testVolume } from '../support/images.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

interface MeshFile {
  readonly cases: readonly {
    readonly config: number;
    readonly spacing_zyx: readonly [number, number, number];
    readonly surfaceArea: number;
    readonly meshVolume: number;
    readonly max3D: number;
    readonly max2DSlice: number;
    readonly max2DColumn: number;
    readonly max2DRow: number;
  }[];
}

/** Surface, volume and diameters of every mask of 2 × 2 × 2 voxels: they settle what the surface's table says. One row a spacing. */
export const mesh: Part = {
  name: 'mesh',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('pyradiomics', /^mesh.*\.json$/)) {
      const reference = `pyradiomics/${file}`;
      const bySpacing = new Map<string, Pair[]>();
      for (const one of folder.json<MeshFile>(reference).cases) {
        const [z, y, x] = one.spacing_zyx;
        const grid = testGrid([2, 2, 2], { spacingMm: [x, y, z] });
        const mask = testVolume(grid, Uint8Array, (i, j, k) => (one.config >> (i + 2 * j + 4 * k)) & 1);
        // The whole grid, not the region's box: where a surface is open, its volume depends on the corner it is seen from.
        const region = paddedRegion(roiOf(mask), { lower: [0, 0, 0], upper: [1, 1, 1] });
        const { areaMm2, volumeMm3 } = meshMeasures(region, grid.spacingMm);
        const { any, slice, column, row } = meshDiameters(region, grid.spacingMm);
        const pair = (name: string, want: number, got: number): Pair => ({ name: `${one.config} ${name}`, want, got });
        const spacing = `spacing ${one.spacing_zyx.join(' ')}`;
        bySpacing.set(spacing, [
          ...(bySpacing.get(spacing) ?? []),
          pair('area', one.surfaceArea, areaMm2),
          pair('volume', one.meshVolume, volumeMm3),
          pair('diameter', one.max3D, any),
          pair('slice diameter', one.max2DSlice, slice),
          pair('column diameter', one.max2DColumn, column),
          pair('row diameter', one.max2DRow, row),
        ]);
      }
      for (const [spacing, pairs] of bySpacing)
        sheet.compare({ case: '2x2x2 masks', quantity: spacing, reference }, pairs);
    }
  },
};
