import { ibsi1 } from './ibsi1.js';
import { ibsi2 } from './ibsi2.js';
import { icc } from './icc.js';
import { mesh } from './mesh.js';
import type { Part } from './part.js';
import { peritumoral } from './peritumoral.js';
import { preprocessing } from './preprocessing.js';
import { voxel } from './voxel.js';
import { wavelets } from './wavelets.js';

/** In the order of the report. */
export const PARTS: readonly Part[] = [preprocessing, voxel, mesh, wavelets, ibsi1, ibsi2, peritumoral, icc];
