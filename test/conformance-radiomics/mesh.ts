import { notBuilt } from './not-built.js';

export const mesh = notBuilt('mesh', 'pyradiomics', /^mesh.*\.json$/, 'not compared yet');
