import { baseline } from './baseline.js';
import { golden } from './golden.js';
import { ibsi1 } from './ibsi1.js';
import { ibsi2 } from './ibsi2.js';
import { icc } from './icc.js';
import { intermediate } from './intermediate.js';
import { matrices } from './matrices.js';
import { mesh } from './mesh.js';
import type { Part } from './part.js';
import { peritumoral } from './peritumoral.js';
import { preprocessing } from './preprocessing.js';
import { synthetic } from './synthetic.js';
import { voxel } from './voxel.js';
import { wavelets } from './wavelets.js';

/** In the order of the report. */
export const PARTS: readonly Part[] = [
  baseline,
  matrices,
  golden,
  preprocessing,
  intermediate,
  synthetic,
  voxel,
  mesh,
  wavelets,
  ibsi1,
  ibsi2,
  peritumoral,
  icc,
];
