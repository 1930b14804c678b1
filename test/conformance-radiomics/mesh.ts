import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { meshDiameters } from '../../site-agent/radiomics/features/diameter.js';
import { meshMeasures, paddedRegion } from '../../site-agent/radiomics/features/mesh.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

interface MeshCase {
  /** Bit i is voxel i of a 2 × 2 × 2 mask, x fastest. */
  readonly config: number;
  readonly spacing_zyx: readonly [number, number, number];
  readonly surfaceArea: number;
  readonly meshVolume: number;
  readonly max3D: number;
  readonly max2DSlice: number;
  readonly max2DColumn: number;
  readonly max2DRow: number;
}

type Measure = Exclude<keyof MeshCase, 'config' | 'spacing_zyx'>;

/** Every way in which eight neighbouring voxels can be inside: surface, volume and diameters of the mesh. */
export const mesh: Part = {
  name: 'mesh',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('pyradiomics', /^mesh.*\.json$/)) {
      const reference = `pyradiomics/${file}`;
      sheet.attempt({ case: file, quantity: 'mesh', reference }, () => {
        const { cases } = folder.json<{ readonly cases: readonly MeshCase[] }>('pyradiomics', file);
        const pairs = new Map<string, Pair[]>();
        for (const one of cases) {
          const name = `configuration ${one.config} spacing ${one.spacing_zyx.join(' × ')}`;
          for (const [measure, got] of Object.entries(measuresOf(one))) {
            // A file may hold some of the measures.
            if (one[measure as Measure] === undefined) continue;
            const list = pairs.get(measure) ?? [];
            pairs.set(measure, list);
            list.push({ name, want: one[measure as Measure], got });
          }
        }
        for (const [quantity, list] of pairs)
          sheet.compare({ case: file.replace(/\.json$/, ''), quantity, reference }, list);
      });
    }
  },
};

function measuresOf(one: MeshCase): Record<Measure, number> {
  const mask = maskOf(one);
  // The whole grid, as these were computed: where the surface is open, its volume depends on the box.
  const region = paddedRegion(roiOf(mask), { lower: [0, 0, 0], upper: [1, 1, 1] });
  const { areaMm2, volumeMm3 } = meshMeasures(region, mask.spacingMm);
  const diameters = meshDiameters(region, mask.spacingMm);
  return {
    surfaceArea: areaMm2,
    meshVolume: volumeMm3,
    max3D: diameters['any'],
    max2DSlice: diameters.slice,
    max2DColumn: diameters.column,
    max2DRow: diameters.row,
  };
}

function maskOf({ config, spacing_zyx: [z, y, x] }: MeshCase): Volume<Uint8Array> {
  return {
    size: [2, 2, 2],
    spacingMm: [x, y, z],
    origin: [0, 0, 0],
    direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    data: Uint8Array.from({ length: 8 }, (_, i) => (config >> i) & 1),
  };
}
