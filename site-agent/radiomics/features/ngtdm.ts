import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, type Wanted } from './collect.js';
import { type DifferenceSums, ngtdmSums } from './counts.js';
import { type Discretized, discretize } from './discretize.js';
import { directions } from './neighbourhood.js';

/** Neighbouring grey-tone difference features as PyRadiomics defines them; Coarseness of a flat region is 10⁶. */
export function ngtdm(input: ClassInput, wanted: Wanted = null, binned: Discretized = discretize(input)): FeatureSet {
  const { grid } = binned;
  const steps = directions(grid.extent, input.settings.distances, input.settings);
  return ngtdmFeatures(ngtdmSums(grid, steps), grid.greyLevels, wanted);
}

export function ngtdmFeatures(
  { count, difference }: DifferenceSums,
  greyLevels: Int32Array,
  wanted: Wanted = null,
): FeatureSet {
  const n = greyLevels.length;
  let voxels = 0;
  let differences = 0;
  for (let i = 0; i < n; i++) {
    voxels += count[i]!;
    differences += difference[i]!;
  }
  const p = count.map((c) => c / voxels);
  let weighted = 0;
  for (let i = 0; i < n; i++) weighted += p[i]! * difference[i]!;
  let contrast = 0;
  let spread = 0;
  let complexity = 0;
  let strength = 0;
  for (let i = 0; i < n; i++) {
    if (count[i] === 0) continue;
    const pi = p[i]!;
    const gi = greyLevels[i]!;
    const pisi = pi * difference[i]!;
    for (let j = 0; j < n; j++) {
      if (count[j] === 0) continue;
      const pj = p[j]!;
      const apart = gi - greyLevels[j]!;
      const apart2 = apart * apart;
      contrast += pi * pj * apart2;
      spread += Math.abs(gi * pi - greyLevels[j]! * pj);
      complexity += (Math.abs(apart) * (pisi + pj * difference[j]!)) / (pi + pj);
      strength += (pi + pj) * apart2;
    }
  }
  let present = 0;
  for (let i = 0; i < n; i++) if (count[i]! > 0) present++;
  const pairs = present * (present - 1);
  return collect(
    'ngtdm',
    {
      Busyness: spread === 0 ? 0 : weighted / spread,
      Coarseness: weighted === 0 ? 1e6 : 1 / weighted,
      Complexity: complexity / voxels,
      Contrast: pairs === 0 ? 0 : (contrast * differences) / voxels / pairs,
      Strength: differences === 0 ? 0 : strength / differences,
    },
    wanted,
  );
}
