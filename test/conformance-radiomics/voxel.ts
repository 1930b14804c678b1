import { notBuilt } from './not-built.js';

export const voxel = notBuilt('voxel', 'pyradiomics/voxel', /^V.*\.json$/, 'not compared yet');
